"""The AutoML image job: the job file as it was written, with this run's data, cluster, experiment and limits.

Knows nothing of waiting for it or of what it leaves.
"""

from __future__ import annotations

import io
from typing import Any

from model_training.jobs.spec import JobSpec
from model_training.workspaces.azureml.service import Asset, AutoMLRequest, RunFacts
from model_training.workspaces.azureml.v2.errors import translated
from model_training.workspaces.azureml.v2.runs import RunCalls
from scoring.errors import UsageError


class AutoMLCalls(RunCalls):
    @translated
    def submit_automl(self, request: AutoMLRequest) -> RunFacts:
        import yaml
        from azure.ai.ml import load_job

        job = load_job(io.StringIO(yaml.safe_dump(document(request))))
        made = self._ml.jobs.create_or_update(job)
        return self._submitted(str(made.name), request.experiment, dict(made.tags or {}))


def document(request: AutoMLRequest) -> dict[str, Any]:
    """The CLI v2 YAML that is submitted. Raises: UsageError for data that v2 cannot read."""
    import yaml

    job = request.job
    written: dict[str, Any] = yaml.safe_load(job.source)
    written.pop("name", None)  # a name is used once, and this file is submitted again and again
    if request.name:
        written["name"] = request.name
    written.pop("validation_data_size", None)
    written.update(
        compute=f"azureml:{request.cluster}",
        experiment_name=request.experiment,
        training_data=_data(request.train),
        validation_data=_data(request.validation),
        limits=_limits(job),
        tags={**(written.get("tags") or {}), **request.tags},
    )
    return written


def _data(asset: Asset) -> dict[str, str]:
    if asset.kind != "mltable":
        raise UsageError(
            f"{asset.name}:{asset.version} is a {asset.kind} data set, and AutoML reads MLTable",
            hint="register it as a data asset of type mltable: `cva data import`",
        )
    return {"type": "mltable", "path": f"azureml:{asset.name}:{asset.version}"}


def _limits(job: JobSpec) -> dict[str, int]:
    """Always all three: what a run may cost is never left to a default."""
    return {
        "timeout_minutes": int(job.limits.timeout_minutes),
        "max_trials": job.limits.max_trials,
        "max_concurrent_trials": job.limits.max_concurrent_trials,
    }
