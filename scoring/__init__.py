"""Everything after a registered model: pull, verify, score. Imports no model_training, torch, mlflow or Azure SDK."""
