"""`cva cluster list`."""

from __future__ import annotations

import json

import pytest

from model_training.cli.main import main


def test_local_is_listed_with_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "cluster", "list"]) == 0
    (local,) = json.loads(capsys.readouterr().out)
    assert local["name"] == "local"
    assert local["cores"] >= 1
    assert local["memory_bytes"] > 0
    assert isinstance(local["gpus"], list)
