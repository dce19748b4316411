"""Everything up to a registered model: labelled data, jobs, sweep, training, evaluation, packaging, workspaces."""
