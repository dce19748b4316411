"""An agent that runs the scripts of .pipelines with the real `cva` against the fake control plane.

Only `az`, which is no Python package, is stubbed: its `storage blob` commands work on a folder (fake_tool.sh).
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.pipelines.fake_tools import ROOT, SCRIPTS, Tools

SETTINGS = "variable_template.yml"

VARIABLE = re.compile(r"^##vso\[task\.setvariable variable=(\w+);isOutput=true\](.*)$", re.MULTILINE)


class Agent:
    """In a clone whose settings are the project's own, but for the generation; `environment` is AzureCLI@2's.

    What its scripts print goes to `said`.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], generation: str, said: list[str]) -> None:
        self._said = said
        scripts = folder / ".pipelines" / "scripts"
        shutil.copytree(SCRIPTS, scripts)
        settings = (ROOT / SETTINGS).read_text(encoding="utf-8")
        chosen = re.sub(r"(name: AZUREML_SDK\n +value: )\w+", rf"\g<1>{generation}", settings)
        (folder / SETTINGS).write_text(chosen, encoding="utf-8")
        self.tools = Tools(folder, scripts)
        self._environment = {name: value for name, value in environment.items() if name not in ("PATH", "TF_BUILD")}
        cva = shutil.which("cva", path=Path(sys.executable).parent)
        assert cva, "the project is installed in the tests' environment"
        self.tools.answer("cva ", run=cva)

    def run(self, script: str, *arguments: str, **values: str) -> dict[str, str]:
        """The output variables, which is all that a later stage has of it."""
        done = self.tools.run(script, *arguments, **self._environment | values)
        self._said += (done.stdout, done.stderr)
        assert done.returncode == 0, f"{script}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return dict(VARIABLE.findall(done.stdout))

    def left(self, file: str) -> Any:
        """A JSON file of its staging directory."""
        return json.loads((self.tools.out / file).read_text(encoding="utf-8"))
