"""The published step's environment: nothing in it floats, and its version changes with everything in it."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from model_training.workspaces.azureml import step_environment
from model_training.workspaces.azureml.step_environment import IMAGE, environment_version


def test_the_base_image_is_the_one_that_the_sdk_pins() -> None:
    """A newer SDK pins a newer one: it has been tried with that. Read as a file, since the import takes seconds."""
    name, tag = IMAGE.rsplit(":", 1)
    assert re.fullmatch(r"20\d{6}\.v\d+", tag)
    (pins,) = [path for path in resources.files("azureml").iterdir() if path.name == "_project"]
    assert json.loads((pins / "azureml_base_images.json").read_text())[name] == tag


def test_its_version_changes_with_each_of_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = tmp_path / "step.txt"
    pins.write_text("numpy==2.3.2\n")
    before = environment_version("3.11", pins)
    assert re.fullmatch("[0-9a-f]{12}", before)
    found = {before, environment_version("3.12", pins)}
    pins.write_text("# why\nnumpy==2.3.2  # arrays\n")
    assert environment_version("3.11", pins) == before, "comments are no part of it"
    pins.write_text("numpy==2.3.3\n")
    found.add(environment_version("3.11", pins))
    pins.write_text("numpy==2.3.2\n")
    monkeypatch.setattr(step_environment, "IMAGE", f"{IMAGE}2")
    found.add(environment_version("3.11", pins))
    assert len(found) == 4
