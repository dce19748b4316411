"""Everything after a registered model: pull, verify, score. Never imports model_training, torch, mlflow or an Azure SDK."""
