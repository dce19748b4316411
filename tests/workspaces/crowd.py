"""Run by test_registration_kills.py: four processes open a new workspace at once and register at once.

They are forked from this one, which has imported MLflow but opened nothing. Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import mlflow  # noqa: F401  the children need not import it again

from model_training.workspaces.local import LocalWorkspace
from tests.contracts.bundles import decision, tiny_bundle

CROWD = 4


def main(folder: Path) -> None:
    bundles = [tiny_bundle(folder / str(i), model=bytes([i])) for i in range(CROWD)]
    gate, starter = os.pipe()
    children = []
    for number, bundle in enumerate(bundles):
        child = os.fork()
        if child == 0:
            os.close(starter)
            os.read(gate, 1)  # returns for all of them when the parent closes its end
            workspace = LocalWorkspace.open(folder / "ws")
            workspace.models.register(bundle, decision(), name="M", run_id=str(number), trained_on=frozenset())
            os._exit(0)
        children.append(child)
    os.close(starter)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    workspace = LocalWorkspace.open(folder / "ws")
    versions = sorted(model.version for model in workspace.models.list("M"))
    print(json.dumps({"codes": codes, "versions": versions, "mlflow": sorted(workspace.tracking.versions("M"))}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
