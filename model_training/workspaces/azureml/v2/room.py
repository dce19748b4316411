"""What a batch endpoint has room for: one name in a whole Azure region, and 20 deployments. Knows no call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from model_training.workspaces.azureml.v2.naming import deployment_version
from scoring.errors import ConflictError

MOST = 20  # deployments of one endpoint, whoever made them
KEPT = 10  # so that not every publishing removes one
REMOVED = "removed_versions"  # a property of the version that they made room for
_TAKEN = re.compile(r"unique within|already an endpoint with this name|name .{0,60} is not available", re.IGNORECASE)


def crowded_out(deployments: Sequence[str], *, default: int | None) -> list[int]:
    """Versions to remove before one more is deployed, the oldest first; never the default, the newest, or others'."""
    if len(deployments) < MOST - 1:
        return []
    versions = sorted(version for name in deployments if (version := deployment_version(name)))
    removable = [version for version in versions[:-1] if version != default]
    return removable[: len(deployments) - KEPT]


@contextmanager
def name_taken(name: str) -> Iterator[None]:
    """Raises: ConflictError for the service's refusal of an endpoint's name that somebody in the region has."""
    from azure.core.exceptions import HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        if error.status_code not in (400, 409) or not _TAKEN.search(str(error)):
            raise
        raise ConflictError(
            f"the batch endpoint's name {name} is taken in this region, maybe by an endpoint that was just deleted",
            hint="publish under another name: cva endpoint publish --name, or AUTOML_PIPELINE_NAME",
        ) from error
