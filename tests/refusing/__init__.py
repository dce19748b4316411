"""Processes, and parts of this one, in which packages cannot be imported: so that nobody imports them by accident."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.refusing.site.sitecustomize import Refuse

ROOT = Path(__file__).resolve().parents[2]
AZURE = ("azure", "msrest", "msal")


def environment(*names: str) -> dict[str, str]:
    """For a process, which hands it on to those that it starts."""
    path = os.pathsep.join([str(Path(__file__).parent / "site"), str(ROOT)])
    return {"PYTHONPATH": path, "CVA_TEST_REFUSED": ",".join(names)}


def refuse_here(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """In this process until the test ends, whatever was imported before; and in those that it starts."""
    for module in [each for each in sys.modules if each.partition(".")[0].startswith(names)]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [Refuse(*names), *sys.meta_path])
    for name, value in environment(*names).items():
        monkeypatch.setenv(name, value)
