"""Routes that only azure-ai-ml asks for: resource manager's workspace resources, batch endpoints, jobs, MLflow."""
