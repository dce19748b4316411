"""Changes values in the text of a variable template, for scripts: comments, order and all else stay as they are.

Knows the two ways a value is written there, `- name:` with `value:` on the next line and `NAME: value`; what it can't
change so that it reads back as meant, it leaves to a person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from model_training.errors import NotFoundError, UsageError
from model_training.settings import FILE_NAME, Settings, nearest, parse_settings
from model_training.workspaces.files import write_text

_REST = r"(?P<old>\"[^\"\n]*\"|'[^'\n]*'|[^\s#]*)(?P<end>[ \t]*(?:#.*)?)$"


def set_values(values: Mapping[str, str], path: Path | None = None) -> tuple[Path, list[str]]:
    """The file that was changed, and the names whose value is another one now; nothing is written where there is none.

    Raises: NotFoundError (no file), UsageError (an unknown name, a value that the rules refuse, an unusual file).
    """
    found = path if path is not None else nearest(Path.cwd())
    if found is None or not found.is_file():
        raise NotFoundError(f"there is no {found or FILE_NAME}", hint="run it in a clone of this repository")
    before = found.read_text(encoding="utf-8")
    old = parse_settings(before, source=found)
    different = [name for name, value in values.items() if not hasattr(old, name.lower()) or _of(old, name) != value]
    text = before
    for name in different:
        text = _changed(text, name, values[name], str(found))
    new = parse_settings(text, source=found)
    if any(_of(new, name) != value for name, value in values.items()):
        raise UsageError(f"{found} is written in a way that is not understood here", hint="write the values by hand")
    if different:
        write_text(found, text)
    return found, different


def _of(settings: Settings, name: str) -> str:
    return str(getattr(settings, name.lower(), ""))


def _changed(text: str, name: str, value: str, where: str) -> str:
    """The value that is there replaced, or one line more at the end of the list or mapping."""
    listed = rf"(?P<start>^\s*-\s*name:\s*{re.escape(name)}[ \t]*(?:#.*)?\n\s*value:[ \t]*){_REST}"
    mapped = rf"(?P<start>^\s+{re.escape(name)}:[ \t]*){_REST}"
    quoted = json.dumps(value)
    for pattern in (listed, mapped):
        if len(found := list(re.finditer(pattern, text, re.MULTILINE))) == 1:
            return text[: found[0].end("start")] + quoted + text[found[0].start("end") :]
    if re.search(rf"\b{re.escape(name)}\b", re.sub(r"#.*", "", text)):
        raise UsageError(f"{where}: {name} is written in a way that is not understood here", hint="write it by hand")
    indents = re.findall(r"^( *)- name:", text, re.MULTILINE)
    if not indents:
        raise UsageError(f"{where} is no list of names and values", hint=f"write {name} there by hand")
    return f"{text.rstrip()}\n{indents[-1]}- name: {name}\n{indents[-1]}  value: {quoted}\n"
