"""YOLO txt: a line an object, `class cx cy w h` or `class x y x y …` in fractions; data.yaml or classes.txt has names.

An image without a label file is an image with nothing on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from model_training.data.drafting import Draft, Found
from model_training.data.image_folder import ImageFolder, is_image, walk
from model_training.data.parts import SHORT, by_part, part_called
from model_training.data.problems import Problem
from model_training.data.rows import Box, Row
from model_training.data.writing import largest_ring, lost_crowds, lost_rings, require_boxes
from scoring.errors import DataError, NotFoundError

NAMES = ("classes.txt", "labels/classes.txt", "obj.names", "names.txt", "labels.txt")
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Listed:
    """One image of the set: its path from the root, its name in the set, its part."""

    path: str
    name: str
    part: str | None


def read_yolo(path: Path, found: Found | None = None) -> Iterator[Row | Problem]:
    """Every image that data.yaml lists, or every image below `path` where there is none.

    Raises: DataError where nothing names the classes, or no image has a label file.
    """
    found = found if found is not None else Found()
    table = path if path.is_file() else _table(path)
    root = table.parent if table else path
    names = _yaml_names(table) if table else _text_names(root)
    listed = _from_yaml(table, _load(table)) if table else _from_folders(root)
    used: set[str] = set()
    bare = 0
    for entry in listed:
        label_file = _label_file(root, entry.path)
        used |= {label_file} if label_file else set()
        bare += label_file is None
        draft = Draft(str(root / (label_file or entry.path)), root / entry.path, entry.name)
        if label_file:
            _add_lines(draft, root / label_file, names)
        found.claim(draft, root, entry.part)
        yield from draft.finish()
    if bare and not used:
        raise DataError(f"{root}: expected label files (.txt) beside the images, found none", hint="check --format")
    if bare:
        found.notes.append(f"{bare} images have no label file: they count as images with nothing on them")
    yield from _orphans(root, used)


def _table(folder: Path) -> Path | None:
    names = ("data.yaml", "data.yml", "dataset.yaml")
    named = next((folder / name for name in names if (folder / name).is_file()), None)
    others = sorted(folder.glob("*.yaml"))
    return named or (others[0] if len(others) == 1 else None)


def _load(table: Path) -> dict[str, Any]:
    try:
        value = yaml.load(table.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)  # texts: a class may be "no"
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{table}: expected YAML, found {error}", hint="correct the file") from None
    if not isinstance(value, dict):
        raise DataError(f"{table}: expected a mapping with names and train, found {type(value).__name__}")
    return value


def _yaml_names(table: Path) -> dict[int, str]:
    names = _load(table).get("names")
    pairs = {str(number): name for number, name in enumerate(names)} if isinstance(names, list) else names
    if isinstance(pairs, dict) and all(key.isdecimal() for key in pairs):
        return {int(key): name for key, name in pairs.items()}
    raise DataError(f"{table}: expected names: a list, or numbers with names, found {names!r}", hint="add names")


def _text_names(root: Path) -> dict[int, str]:
    file = next((root / name for name in NAMES if (root / name).is_file()), None)
    if file is None:
        raise DataError(
            f"{root}: expected data.yaml or classes.txt to name the classes, found neither",
            hint="add classes.txt, one class a line in the order of their numbers",
        )
    return dict(enumerate(file.read_text(encoding="utf-8-sig").split("\n")))


def _from_yaml(table: Path, value: dict[str, Any]) -> list[Listed]:
    """Images in the order of the table's parts; a place that stands for several parts belongs to none."""
    bases = [table.parent / str(value.get("path") or "."), table.parent]
    places: dict[Path, tuple[str, str | None]] = {}
    for key, entries in value.items():
        part = part_called(str(key))
        for entry in (entries if isinstance(entries, list) else [entries]) if part and entries else []:
            place = _place(str(entry), bases, table)
            places[place] = (str(entry), part if places.get(place, ("", part))[1] == part else None)
    if not places:
        raise DataError(f"{table}: expected train, val or test with folders of images, found none of them")
    return [item for place, (_, part) in places.items() for item in _listed(place, table.parent, part)]


def _place(entry: str, bases: Sequence[Path], table: Path) -> Path:
    spellings = (entry, entry.removeprefix("../"))  # some tools write the path as seen from a folder beside
    found = (base / spelling for spelling in spellings for base in bases if (base / spelling).exists())
    place = next(found, None)
    if place is None:
        raise NotFoundError(f"{table} names {entry!r}, which is not there", hint="correct its path, train, val or test")
    return place.resolve()


def _listed(place: Path, root: Path, part: str | None) -> Iterator[Listed]:
    root = root.resolve()
    if place.is_dir():
        for name in walk(place):
            if is_image(name):
                yield Listed(_relative(place / name, root), _inner_name(name), part)
        return
    for line in place.read_text(encoding="utf-8-sig").split("\n"):
        if line.strip():
            here = place.parent / line if (place.parent / line).is_file() else root / line
            yield Listed(_relative(here.resolve(), root), strip_layout(_relative(here.resolve(), root)), part)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _inner_name(name: str) -> str:
    return name.removeprefix("images/")


def _from_folders(root: Path) -> list[Listed]:
    return [Listed(name, strip_layout(name), _part_folder(name)) for name in ImageFolder(root).names]


def _part_folder(name: str) -> str | None:
    return next((part for folder in name.split("/")[:-1][:2] if (part := part_called(folder))), None)


def strip_layout(name: str) -> str:
    """`name` without the folders images and train, val, test at its front."""
    for _ in range(2):
        first, _, rest = name.partition("/")
        if rest and (first == "images" or part_called(first)):
            name = rest
    return name


def _label_file(root: Path, image: str) -> str | None:
    """labels/ in the place of images/, or the same folder."""
    path = PurePosixPath(image).with_suffix(".txt")
    parts = list(path.parts)
    places = [str(path)]
    if "images" in parts:
        at = len(parts) - 1 - parts[::-1].index("images")
        places.insert(0, str(PurePosixPath(*parts[:at], "labels", *parts[at + 1 :])))
    else:
        places.append(str(PurePosixPath("labels") / path))
    return next((place for place in places if (root / place).is_file()), None)


def _add_lines(draft: Draft, file: Path, names: Mapping[int, str]) -> None:
    with file.open("rb") as reader:
        data = reader.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        draft.fault(f"expected a label file of at most {MAX_BYTES} bytes, found more")
        return
    text = data.removeprefix(b"\xef\xbb\xbf").decode("ascii", errors="replace")
    for number, line in enumerate(text.split("\n"), 1):
        if words := line.split():
            _add_line(draft, words, number, names)


def _add_line(draft: Draft, words: list[str], line: int, names: Mapping[int, str]) -> None:
    try:
        index, values = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        draft.fault(f"expected a class number and fractions, found {' '.join(words)[:60]!r}", line)
        return
    if index not in names:
        draft.fault(f"expected a class from {min(names, default=0)} to {max(names, default=0)}, found {index}", line)
    elif not all(map(math.isfinite, values)):
        draft.fault(f"expected finite numbers, found {' '.join(words)[:60]!r}", line)
    elif len(values) == 4:
        x, y, w, h = values
        draft.add_box(names[index], (x - w / 2, y - h / 2, x + w / 2, y + h / 2), line=line)
    elif len(values) >= 6 and len(values) % 2 == 0:
        draft.add_rings(names[index], [values], line=line)
    else:
        draft.fault(f"expected class, x, y, w, h or class and at least 3 points, found {len(words)} columns", line)


def _orphans(root: Path, used: set[str]) -> Iterator[Problem]:
    """Label files without an image: labels that would vanish."""
    for name in walk(root):
        if name.endswith(".txt") and name not in used and "labels" in name.split("/")[:-1] and name not in NAMES:
            yield Problem(str(root / name), 0, "expected an image that these labels are for, found none")


def place(row: Row, part: str) -> str:
    return f"images/{SHORT[part]}/{row.file_name}" if part else f"images/{row.file_name}"


def write_yolo(rows: Sequence[Row], folder: Path, parts: Mapping[str, str]) -> list[str]:
    """labels/, and data.yaml, which tools that train from it read as it is."""
    require_boxes(rows, "YOLO")
    labels = sorted({box.label for row in rows for box in row.boxes})
    numbers = {label: number for number, label in enumerate(labels)}
    groups = by_part(rows, parts)
    for part, group in groups.items():
        for row in group:
            image = PurePosixPath(place(row, part))
            file = folder / "labels" / image.relative_to("images").with_suffix(".txt")
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="ascii", newline="\n") as writer:
                writer.writelines(_to_line(box, numbers[box.label]) for box in row.boxes)
    (folder / "data.yaml").write_text(_to_yaml(groups, numbers), encoding="utf-8", newline="\n")
    return lost_rings(rows, "YOLO") + lost_crowds(rows, "YOLO")


def _to_yaml(groups: Mapping[str, Sequence[Row]], numbers: Mapping[str, int]) -> str:
    named = [part for part in groups if part]
    places = {SHORT[part]: f"images/{SHORT[part]}" for part in named} or {"train": "images", "val": "images"}
    value = places | {"names": {number: label for label, number in numbers.items()}}
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False)


def _to_line(box: Box, number: int) -> str:
    if ring := largest_ring(box):
        return f"{number} {' '.join(map(_number, ring))}\n"
    centre = (box.top_x + box.bottom_x) / 2, (box.top_y + box.bottom_y) / 2
    return f"{number} {' '.join(map(_number, (*centre, box.bottom_x - box.top_x, box.bottom_y - box.top_y)))}\n"


def _number(value: float) -> str:
    return format(value, ".12g")
