"""The step's own environment, for the tests of this folder."""

from __future__ import annotations

from tests.step_environment.environment import step_python

__all__ = ["step_python"]
