"""`cva keys` as a person uses it: what it writes, what it never does."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from model_training.cli.main import main


@pytest.fixture
def keys(capsys: pytest.CaptureFixture[str]) -> Any:
    """`keys("new", …)` gives the exit code and the JSON answer; no word of it is a private key."""

    def run(*arguments: str) -> tuple[int, Any]:
        code = main(["--json", "keys", *arguments])
        printed = capsys.readouterr()
        assert "PRIVATE" not in printed.out + printed.err and "Traceback" not in printed.err
        return code, json.loads(printed.out)

    return run


def test_the_life_of_a_key(keys: Any, tmp_path: Path) -> None:
    code, made = keys("new", "--out", "secrets", "--name", "spring")
    assert code == 0
    private, public = Path(made["paths"]["private"]), made["paths"]["public"]
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert "PRIVATE KEY" in private.read_text()
    assert keys("show", public) == (0, {"keyid": made["keyid"], "algorithm": "ed25519"})
    assert keys("trust", public, "--keys", "device/t.json")[1]["added"] is True
    assert keys("trust", public, "--keys", "device/t.json")[1]["added"] is False
    code, listed = keys("list", "--keys", "device/t.json")
    assert [(key["keyid"], key["revoked_at"]) for key in listed] == [(made["keyid"], None)]
    assert keys("revoke", made["keyid"], "--reason", "lost", "--keys", "device/t.json")[1]["revoked"] is True
    [held] = keys("list", "--keys", "device/t.json")[1]
    assert held["revoked_at"] and held["reason"] == "lost"
    assert keys("trust", public, "--keys", "device/t.json")[0] == 1


def test_nothing_is_ever_overwritten(keys: Any, tmp_path: Path) -> None:
    keys("new", "--out", "a")
    before = {path: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert keys("new", "--out", "a")[0] == 1
    (tmp_path / "a/release.key").unlink()
    assert keys("new", "--out", "a")[0] == 1
    assert not (tmp_path / "a/release.key").exists()  # half a pair is worse than none
    assert (tmp_path / "a/release.pub").read_bytes() == before[tmp_path / "a/release.pub"]


def test_a_passphrase_locks_the_file(keys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVA_SIGNING_KEY_PASSPHRASE", "open sesame")
    _, made = keys("new", "--out", "a")
    assert "BEGIN ENCRYPTED" in Path(made["paths"]["private"]).read_text()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("list",), 2),  # which file?
        (("show", "none.pub"), 1),
        (("revoke", "0" * 32, "--keys", "none.json"), 1),
        (("new", "--out", "a", "--name", "../b"), 2),
    ],
)
def test_what_cannot_be_done(keys: Any, arguments: tuple[str, ...], code: int) -> None:
    assert keys(*arguments)[0] == code


def test_the_environment_names_the_file(keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVA_TRUSTED_KEYS", "keys.json")
    _, made = keys("new", "--out", "a")
    keys("trust", made["paths"]["public"])
    assert [key["keyid"] for key in keys("list")[1]] == [made["keyid"]]
