"""Routes that only SDK v1 asks for: discovery, pipelines, snapshots, run history, artifacts, data sets, AutoML."""
