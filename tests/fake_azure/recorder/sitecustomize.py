"""Python imports this when it starts, in every process below a test: writes down its arguments and those it gives on.

The only module of its folder, so that a process gets nothing else by it. Does nothing without CVA_TEST_ARGUMENTS.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

FILE = os.environ.get("CVA_TEST_ARGUMENTS", "")
ARGUMENTS = {"subprocess.Popen": 1, "os.posix_spawn": 1, "os.exec": 1, "os.system": 0}  # where an event has them


def note(words: Any) -> None:
    """One line, written at once: many processes share the file."""
    several = [words] if isinstance(words, str | bytes | os.PathLike) else list(words)
    line = json.dumps([os.fsdecode(word) for word in several]) + "\n"
    file = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def heard(event: str, given: tuple[Any, ...]) -> None:
    if event in ARGUMENTS:
        note(given[ARGUMENTS[event]])


if FILE:
    note(sys.orig_argv)
    sys.addaudithook(heard)
