"""What install.sh leaves is a copy of the code and no clone: what is published is the clone that the job stands in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.fake_tools import ROOT

# What a pipeline's job does next: the settings of the folder it stands in, and the code that is staged for them.
PUBLISH = """
import json, sys
import model_training
from model_training.cli.endpoint import _say_of_azure
from model_training.cli.output import Output
from model_training.publishing import Stager
from model_training.settings import load_settings

_say_of_azure(load_settings(), "", "training", Output(json_only=True))
stager = Stager(load_settings())
code = stager("metric: map\\n", kind="training", git_commit="")
staged = sorted(path.relative_to(code.folder).as_posix() for path in code.folder.rglob("*") if path.is_file())
step = (code.folder / code.script).read_text(encoding="utf-8")
json.dump({"runs": model_training.__file__, "staged": staged, "step": step}, sys.stdout)
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What git tracks here, as it is now, in a clone of its own: an installation leaves build folders beside it."""
    clone = tmp_path / "clone"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    wanted = ("model_training/", "scoring/", "requirements/", "pyproject.toml", "README.md", "LICENSE", "variable_")
    for path in filter(None, listed.split("\0")):
        if path.startswith(wanted) and (ROOT / path).is_file():
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, clone / path)
    git(clone, "init", "--quiet")
    git(clone, "add", "--all")
    return clone


def git(where: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=where, check=True, capture_output=True, timeout=60)


def test_an_installed_copy_publishes_the_clone_it_is_started_in(clone: Path, tmp_path: Path) -> None:
    """Installed as install.sh does it, but for the packages of others, which this environment has."""
    installed = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    options = ["--no-deps", "--no-build-isolation", "--target", str(installed), "."]
    subprocess.run([*pip, *options], cwd=clone, check=True, capture_output=True, timeout=120)
    (clone / "model_training" / "newer.py").write_text("# tracked by git after the installation\n")
    step = clone / "model_training" / "step.py"
    step.write_text(step.read_text(encoding="utf-8") + "# changed after the installation\n", encoding="utf-8")
    git(clone, "add", "model_training/newer.py")
    (clone / "model_training" / "left.py").write_text("# git does not know it\n")

    (tmp_path / "publish.py").write_text(PUBLISH)  # a file elsewhere: with -c the clone's own code would be imported
    command = [sys.executable, str(tmp_path / "publish.py")]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "git does not know model_training/left.py" in done.stderr
    answer = json.loads(done.stdout)
    assert Path(answer["runs"]).is_relative_to(installed)  # the copy is what ran
    assert not (installed / "model_training" / "newer.py").exists()
    assert "model_training/newer.py" in answer["staged"] and "requirements/step.txt" in answer["staged"]
    assert answer["step"].endswith("# changed after the installation\n")
