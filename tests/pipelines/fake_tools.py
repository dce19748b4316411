"""Stand-ins for `cva`, `az` and `python` on PATH: they write down how they were called and answer what a test says.

`az storage blob` works on a folder that stands for one container. Imported by tests and run as those programs; as such it
imports no more than it needs, because a script calls it often.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / ".pipelines" / "scripts"
NAMES = ("cva", "az", "python")
KEY = "CVA_SIGNING_KEY_FILE"


class Tools:
    """One test's PATH, answers and record. `blobs` is the container."""

    def __init__(self, folder: Path) -> None:
        self.out, self.blobs = folder / "out", folder / "blobs"
        self._bin, self._rules, self._calls = folder / "bin", folder / "rules.json", folder / "calls.jsonl"
        self._answers: list[dict[str, Any]] = []
        self._bin.mkdir()
        self.blobs.mkdir()
        for name in NAMES:
            program = self._bin / name
            program.write_text(f"#!{sys.executable} -IS\n{Path(__file__).read_text(encoding='utf-8')}")
            program.chmod(0o755)

    def answer(
        self, words: str, out: object = "", *, err: str = "", writes: Mapping[str, str] | None = None, run: str = ""
    ) -> None:
        """What a call that holds `words` prints and writes (`--to/registry.json`: that file in the folder of `--to`).

        `run` is a real program that is called instead. The first match counts.
        """
        text = out if isinstance(out, str) else json.dumps(out)
        self._answers.append({"words": words, "out": text, "err": err, "writes": dict(writes or {}), "run": run})

    def run(self, script: str, *arguments: str, fail_at: int = 0, **values: str) -> subprocess.CompletedProcess[str]:
        """The script as a pipeline runs it, unless TF_BUILD=""; the `fail_at`-th call of a tool fails."""
        self._calls.write_text("")
        self._rules.write_text(json.dumps(self._answers))
        environment = {
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "HOME": os.environ.get("HOME", "/"),
            "OUT": str(self.out),
            "TF_BUILD": "True",
            "FAKE_RULES": str(self._rules),
            "FAKE_CALLS": str(self._calls),
            "FAKE_BLOBS": str(self.blobs),
            "FAKE_FAIL_AT": str(fail_at),
        }
        command = ["bash", str(SCRIPTS / script), *arguments]
        return subprocess.run(
            command, env=environment | values, capture_output=True, text=True, timeout=60, cwd=self.out.parent
        )

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._calls.read_text().splitlines()]

    @property
    def calls(self) -> list[str]:
        return [" ".join(record["call"]) for record in self.records]


def main() -> int:
    call = [Path(sys.argv[0]).name, *sys.argv[1:]]
    key = Path(os.environ[KEY]) if os.environ.get(KEY) else None
    mode = oct(key.stat().st_mode & 0o777) if key else ""
    calls = Path(os.environ["FAKE_CALLS"])
    with calls.open("a") as file:
        file.write(json.dumps({"call": call, "key_mode": mode, "key_file": str(key or "")}) + "\n")
    if len(calls.read_text().splitlines()) == int(os.environ["FAKE_FAIL_AT"]):
        print("this call was told to fail", file=sys.stderr)
        return 9
    for rule in json.loads(Path(os.environ["FAKE_RULES"]).read_text()):
        if rule["words"] in " ".join(call):
            if rule["run"]:
                os.execv(rule["run"], [rule["run"], *call[1:]])
            for place, text in rule["writes"].items():
                option, _, below = place.partition("/")
                path = Path(options(call)[option]) / below
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            print(rule["out"])
            print(rule["err"], file=sys.stderr, end="")
            return 0
    if call[:3] == ["az", "storage", "blob"]:
        return blob(call[3], options(call[4:]), Path(os.environ["FAKE_BLOBS"]))
    return 0


def options(words: list[str]) -> dict[str, str]:
    return {word: words[i + 1] for i, word in enumerate(words[:-1]) if word.startswith("--")}


def blob(verb: str, given: dict[str, str], container: Path) -> int:
    """The six verbs that a release needs, on one folder."""
    if given["--auth-mode"] != "login":
        return 8
    place = container / given.get("--name", "")
    if verb == "exists":
        print(str(place.is_file()).lower())
    elif verb == "show":
        print(etag(place))
    elif verb == "download":
        if given["--if-match"] != etag(place):
            return 3
        shutil.copyfile(place, given["--file"])
    elif verb == "download-batch":
        for path in container.glob(given["--pattern"].replace("/*", "/**/*")):
            copy(path, Path(given["--destination"]) / path.relative_to(container))
    elif verb == "upload-batch":
        for path in Path(given["--source"]).rglob("*"):
            copy(path, container / given["--destination-path"] / path.relative_to(given["--source"]))
    elif verb == "upload":
        if place.is_file() and given.get("--if-match") != etag(place):
            return 3
        shutil.copyfile(given["--file"], place)
    else:
        return 7
    return 0


def etag(path: Path) -> str:
    return f'"{hashlib.sha256(path.read_bytes()).hexdigest()}"'


def copy(path: Path, to: Path) -> None:
    if path.is_file():
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)


if __name__ == "__main__":
    sys.exit(main())
