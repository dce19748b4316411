"""Fixtures for every test: real data where it lies beside the project, a workspace of the test's own."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
pytest_plugins = ["tests.fake_azure.fixtures"]

# Started in the background, a shell ignores interrupts, and so would every process that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# CI judges a change by the same examples each time; at home every run looks for new ones. How long they take says
# nothing: hosts are shared, and the first text to be made takes seconds. Fixtures are shared by a test's examples.
CHECKS = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture]
hypothesis.settings.register_profile("home", deadline=None, suppress_health_check=CHECKS)
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("home"), derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CVA_CI") else "home")


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's workspace, and none leaves its folder."""
    monkeypatch.setenv("CVA_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def bccd() -> Path:
    """The BCCD data set (Pascal VOC), which lies beside the project and is never copied into it."""
    path = Path(os.environ.get("CVA_BCCD", ROOT.parent / "shared" / "data" / "bccd"))
    if not (path / "Annotations").is_dir():
        pytest.skip(f"the BCCD photographs are not at {path} (set CVA_BCCD)")
    return path


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With CVA_CI (CI), a skip whose reason is not in allowed_skips.txt is said; `sessionfinish` fails it."""
    for reason in _strange_skips(terminalreporter):
        terminalreporter.write_line(f"skipped for a reason that is not in tests/allowed_skips.txt: {reason}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CVA_CI") and reporter is not None and _strange_skips(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _strange_skips(reporter: pytest.TerminalReporter) -> list[str]:
    lines = (ROOT / "tests" / "allowed_skips.txt").read_text().splitlines()
    allowed = [line for line in lines if line and not line.startswith("#")]
    reasons = [report.longrepr[2].removeprefix("Skipped: ") for report in reporter.stats.get("skipped", [])]
    return sorted({reason for reason in reasons if not any(re.fullmatch(pattern, reason) for pattern in allowed)})
