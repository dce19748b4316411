"""What a person sees of long work, on a terminal and in a log file."""

import io

import pytest

from model_training.cli.output import Output
from model_training.cli.progress import console
from model_training.workspaces.base import Event


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _events() -> list[Event]:
    steps = [Event("progress", f"read {n} of 30", {"done": n, "total": 30}) for n in range(1, 31)]
    return [Event("stage", "read"), *steps, Event("message", "all read")]


def test_a_log_file_is_not_flooded(capsys: pytest.CaptureFixture[str]) -> None:
    tell = console(Output())
    for event in _events():
        tell(event)
    assert capsys.readouterr().out == "\n==> read\n    read 1 of 30\n    read 30 of 30\n    all read\n"


def test_a_terminal_shows_each_step_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    tell = console(Output())
    for event in _events():
        tell(event)
    text = screen.getvalue()
    assert text.count("\r") == 30
    assert text.endswith("read 30 of 30\n    all read\n")


def test_a_warning_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console(Output())(Event("warning", "odd"))
    assert capsys.readouterr() == ("", "warning: odd\n")


def test_under_json_stdout_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    console(Output(json_only=True))(Event("stage", "read"))
    assert capsys.readouterr() == ("", "\n==> read\n")
