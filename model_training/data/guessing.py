"""Which format labelled data is in, told by the names of its files. Opens only the first bytes of a JSON file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scoring.errors import NotFoundError, UsageError

HINT = "say which one with --format voc|coco|yolo|csv|jsonl|label-studio"
BEGINNING = 4096  # bytes of a JSON file that are looked at
MANY = 2000  # names that are looked at in one folder


def guess_format(path: Path) -> str:
    """Raises: NotFoundError for nothing; UsageError where the names do not tell."""
    if path.is_file():
        return _of_file(path)
    if not path.is_dir():
        raise NotFoundError(
            f"expected a folder or file of labelled images, found nothing at {path}", hint="check the path"
        )
    if (path / "MLTable").is_file():
        return "jsonl"
    if (path / "Annotations").is_dir() or _any(path.glob("*/Annotations")):
        return "voc"
    if (path / "labels").is_dir() or _any(path.glob("*/labels")) or _any(path.glob("data.y*ml")):
        return "yolo"
    names = [child for child, _ in zip(sorted(path.iterdir()), range(MANY), strict=False) if child.is_file()]
    found = {_of_suffix(name) for name in names} - {""}
    if len(found) == 1:
        return found.pop()
    if not names and _any(child for child in path.iterdir() if child.is_dir()):
        return _of_folders(path)
    raise UsageError(
        f"cannot tell the format of {path}" + (f": {', '.join(sorted(found))}?" if found else ""), hint=HINT
    )


def _of_folders(path: Path) -> str:
    """COCO keeps its JSON in `annotations`."""
    jsons = sorted(path.glob("annotations/*.json"))
    if jsons:
        return "coco"
    raise UsageError(f"cannot tell the format of {path}", hint=HINT)


def _of_file(path: Path) -> str:
    found = _of_suffix(path)
    if not found:
        raise UsageError(f"cannot tell the format of {path}", hint=HINT)
    return found


def _of_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _of_json(path)
    return {".jsonl": "jsonl", ".csv": "csv", ".xml": "voc", ".yaml": "yolo", ".yml": "yolo"}.get(suffix, "")


def _of_json(path: Path) -> str:
    """COCO is an object, Label Studio's export a list of tasks."""
    with path.open("rb") as file:
        begins = file.read(BEGINNING).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return {b"{": "coco", b"[": "label-studio"}.get(begins, "")


def _any(paths: Iterable[Path]) -> bool:
    return next(iter(paths), None) is not None
