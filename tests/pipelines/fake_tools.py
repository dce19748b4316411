"""Stand-ins for `cva`, `az` and `python` on PATH for one test: what they answer, and how they were called."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / ".pipelines" / "scripts"
PROGRAM = Path(__file__).with_name("fake_tool.sh")
NAMES = ("cva", "az", "python")


class Tools:
    """`out` is where scripts leave their files, `blobs` the container that `az storage blob` means.

    `scripts` may be those of another clone, whose settings then count.
    """

    def __init__(self, folder: Path, scripts: Path = SCRIPTS) -> None:
        self._scripts = scripts
        self.out, self.blobs = folder / "out", folder / "blobs"
        self._bin, self._rules, self._calls = folder / "bin", folder / "rules", folder / "calls"
        for each in (self._bin, self._rules, self.blobs):
            each.mkdir()
        for name in NAMES:
            program = self._bin / name
            program.write_text(PROGRAM.read_text(encoding="utf-8"), encoding="utf-8")
            program.chmod(0o755)

    def answer(
        self, words: str, out: object = "", *, err: str = "", writes: Mapping[str, str] | None = None, run: str = ""
    ) -> None:
        """What a call that holds `words` prints and writes (`--to/registry.json`: that file in the folder of `--to`).

        `run` is a real program that is called instead. Of several answers the first counts.
        """
        rule = self._rules / f"{len(list(self._rules.iterdir())):03}"
        text = out if isinstance(out, str) else json.dumps(out)
        files = {"words": words, "out": text + "\n", "err": err, **({"run": run} if run else {})}
        for name, content in {
            **files,
            **{f"writes/{name}": content for name, content in (writes or {}).items()},
        }.items():
            path = rule / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")

    def run(self, script: str, *arguments: str, fail_at: int = 0, **values: str) -> subprocess.CompletedProcess[str]:
        """The script as a pipeline runs it, unless TF_BUILD=""; the `fail_at`-th call of a tool fails."""
        self._calls.write_text("")
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
        command = ["bash", str(self._scripts / script), *arguments]
        where = self.out.parent  # not the repository: a script finds that itself
        return subprocess.run(command, env=environment | values, capture_output=True, text=True, timeout=300, cwd=where)

    @property
    def records(self) -> list[list[str]]:
        """Of each call: the words, the mode of the signing key's file at that moment, that file."""
        return [line.split("\t") for line in self._calls.read_text().splitlines()]

    @property
    def calls(self) -> list[str]:
        return [record[0] for record in self.records]
