"""CSV: one row a box (filename and four edges), or one row an image (filename and label, or labels as a JSON list).

The header alone says the unit: xmin, ymin, xmax, ymax (x1…, left…) are pixels; topX, topY, bottomX, bottomY are
fractions; `units` says it where a header lies. No value is ever looked at to guess it. A row with a file name and no
box is an image with nothing on it. Columns width and height (of the image), split and isCrowd are optional.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_training.data.drafting import Draft, Edges, Found, half_pixel
from model_training.data.image_folder import ImageFolder, header_size, short_name
from model_training.data.parts import part_called, part_in_name
from model_training.data.problems import Problem
from model_training.data.row_checks import label_fault, shown
from model_training.data.rows import Row
from model_training.data.writing import lost_masks, require_kinds
from scoring.errors import DataError

_SPELLINGS = {
    "filename": ("filename", "file", "image", "imagename", "imagepath", "path"),
    "label": ("label", "class", "classname", "category"),
    "labels": ("labels", "classes"),
    "width": ("width", "imagewidth"),
    "height": ("height", "imageheight"),
    "part": ("split", "set", "subset", "part"),
    "crowd": ("iscrowd",),
}
_PIXELS = (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom"))
_FRACTIONS = (("topx", "topy", "bottomx", "bottomy"),)
_CROWD = {"": False, "0": False, "1": True, "false": False, "true": True}


@dataclass(frozen=True)
class _Header:
    columns: Mapping[str, int]  # meaning -> column
    edges: tuple[int, ...]  # columns of the four edges, none where rows are classes
    pixels: bool


def read_csv(path: Path, found: Found | None = None, *, units: str | None = None) -> Iterator[Row | Problem]:
    """Every image of a CSV file, or of every CSV file in a folder (train.csv, val.csv, test.csv are parts).

    Raises: DataError where the header is not understood.
    """
    found = found if found is not None else Found()
    files = [path] if path.is_file() else sorted(path.glob("*.csv"))
    if not files:
        raise DataError(f"{path}: expected a .csv file, found none", hint="check the path and --format")
    root = path if path.is_dir() else path.parent
    images = ImageFolder(root)
    for file in files:
        yield from _Table(file, images, units).rows(found, part_in_name(file.stem) if len(files) > 1 else None)


class _Table:
    def __init__(self, file: Path, images: ImageFolder, units: str | None) -> None:
        self.file, self.images, self.units = file, images, units
        self.drafts: dict[str, Draft] = {}  # rows of one image need not stand together
        self.parts: dict[str, str] = {}

    def rows(self, found: Found, part: str | None) -> Iterator[Row | Problem]:
        with self.file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            first = lines.readline()
            lines.seek(0)
            delimiter = next((mark for mark in ",;\t" if mark in first), ",")
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            try:
                header = self._header(next(reader, []))
                for cells in reader:
                    if any(cells):
                        yield from self._row(header, cells, reader.line_num)
            except csv.Error as error:
                yield Problem(str(self.file), reader.line_num, f"not CSV: {error}; the rest of the file is not read")
        for name, draft in self.drafts.items():
            found.claim(draft, self.images.root, self.parts.get(name, part))
            yield from draft.finish()

    def _header(self, cells: Sequence[str]) -> _Header:
        spelled = {"".join(filter(str.isalnum, cell)).lower(): at for at, cell in reversed(list(enumerate(cells)))}
        columns = {
            meaning: spelled[name]
            for meaning, names in _SPELLINGS.items()
            for name in reversed(names)
            if name in spelled
        }
        families = [
            (names, names in _PIXELS) for names in (*_FRACTIONS, *_PIXELS) if all(name in spelled for name in names)
        ]
        if "filename" not in columns or not {"label", "labels"} & set(columns):
            raise DataError(
                f"{self.file}: expected a header with filename and label, found {shown(list(cells))}",
                hint="boxes: filename,xmin,ymin,xmax,ymax,label (pixels) or filename,topX,topY,bottomX,bottomY,label "
                "(fractions); classes: filename,label",
            )
        if not families:
            return _Header(columns, (), False)
        names, pixels = families[0]
        pixels = self.units == "pixels" if self.units else pixels
        return _Header(columns, tuple(spelled[name] for name in names), pixels)

    def _row(self, header: _Header, cells: list[str], line: int) -> Iterator[Problem]:
        if any("\udc80" <= mark <= "\udcff" for cell in cells for mark in cell):
            yield Problem(str(self.file), line, "not UTF-8")
            return
        cell = {meaning: cells[at] for meaning, at in header.columns.items() if at < len(cells)}
        name = cell.get("filename", "")
        if not name.strip():
            yield Problem(str(self.file), line, f"expected a file name, found {shown(cells)}")
            return
        draft = self.drafts.get(name)
        again = draft is not None
        if draft is None:
            draft = self.drafts[name] = self._draft(name, line)
        self._set_size(draft, cell, line)
        self._set_part(draft, name, cell, line)
        if header.edges:
            self._add_box(draft, header, cell, [cells[at] if at < len(cells) else "" for at in header.edges], line)
        else:
            _add_class(draft, cell, line, again)

    def _draft(self, name: str, line: int) -> Draft:
        draft = Draft(str(self.file))
        found = self.images.find(name, ("", "images"))
        if found is None:
            draft.fault(f"{name}: expected this image below {self.images.root}, found none", line)
        else:
            draft.image, draft.file_name = self.images.root / found, short_name(found)
        return draft

    def _set_size(self, draft: Draft, cell: Mapping[str, str], line: int) -> None:
        said = cell.get("width", "").strip(), cell.get("height", "").strip()
        if not any(said):
            return
        if not all(side.isascii() and side.isdigit() and int(side[:9]) for side in said):
            draft.fault(f"expected width and height of the image in pixels, found {shown(said)}", line)
        elif draft.width is None:
            draft.width, draft.height = int(said[0][:9]), int(said[1][:9])
        elif (draft.width, draft.height) != (int(said[0][:9]), int(said[1][:9])):
            draft.fault(f"expected {draft.width} x {draft.height} as in the row before, found {' x '.join(said)}", line)

    def _set_part(self, draft: Draft, name: str, cell: Mapping[str, str], line: int) -> None:
        word = cell.get("part", "")
        part = part_called(word)
        if word.strip() and part is None:
            draft.fault(f"split: expected train, validation or test, found {shown(word)}", line)
        elif part and self.parts.setdefault(name, part) != part:
            draft.fault(f"split: expected {self.parts[name]} as in the row before, found {part}", line)

    def _add_box(self, draft: Draft, header: _Header, cell: Mapping[str, str], edges: list[str], line: int) -> None:
        label = cell.get("label", "")
        if not any(text.strip() for text in (*edges, label)):
            return
        numbers = [_number(text) for text in edges]
        crowd = _CROWD.get(cell.get("crowd", "").strip().lower())
        if None in numbers:
            draft.fault(f"{label}: expected four finite numbers, found {shown(edges)}", line)
        elif crowd is None:
            draft.fault(f"{label}: isCrowd: expected 0 or 1, found {shown(cell['crowd'])}", line)
        elif fractions := self._fractions(draft, [number or 0.0 for number in numbers], header.pixels, line):
            draft.add_box(label, fractions, line=line, crowd=crowd)

    def _fractions(self, draft: Draft, edges: list[float], pixels: bool, line: int) -> Edges | None:
        left, top, right, bottom = edges
        if not pixels:
            return left, top, right, bottom
        if draft.width is None and draft.image:
            draft.width, draft.height = header_size(draft.image) or (None, None)
        if not draft.width or not draft.height:
            if draft.image is None:  # said already
                return None
            draft.fault("expected columns width and height, as the image's header says none", line)
            return None
        draft.slack = half_pixel(draft.width, draft.height)
        return left / draft.width, top / draft.height, right / draft.width, bottom / draft.height


def _add_class(draft: Draft, cell: Mapping[str, str], line: int, again: bool) -> None:
    if again:
        draft.fault("the image has a row already; several labels stand in one column 'labels' as a JSON list", line)
        return
    names: object = (cell.get("label", ""),)
    if "labels" in cell:
        try:
            names = json.loads(cell["labels"] or "[]")
        except (ValueError, RecursionError):
            names = None
    if not isinstance(names, (list, tuple)):
        draft.fault(f"labels: expected a JSON list of texts, found {shown(cell['labels'])}", line)
        return
    for fault in filter(None, map(label_fault, names)):
        draft.fault(fault, line)
    draft.kind = "classes" if "labels" in cell else "class"
    draft.classes = tuple(str(name) for name in names)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def place(row: Row, _part: str) -> str:
    return f"images/{row.file_name}"


def write_csv(rows: Sequence[Row], folder: Path, parts: Mapping[str, str]) -> list[str]:
    """One table, boxes as fractions (topX, …), so that nothing is rounded."""
    kinds = {row.kind for row in rows}
    kind = next((kind for kind in ("classes", "class") if kind in kinds), "boxes")
    require_kinds(rows, (kind,) if kind != "boxes" else ("boxes", "polygons"), "one CSV")
    with (folder / "annotations.csv").open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = {"class": ["label"], "classes": ["labels"]}
        writer.writerow(["filename", "width", "height", "split", *columns.get(kind, _BOX_COLUMNS)])
        for row in rows:
            head = [place(row, ""), row.width or "", row.height or "", parts.get(row.file_name, "")]
            writer.writerows([*head, *cells] for cells in _cells(row, kind))
    return lost_masks(rows, "CSV")


_BOX_COLUMNS = ["topX", "topY", "bottomX", "bottomY", "label", "isCrowd"]


def _cells(row: Row, kind: str) -> list[list[str | float | int]]:
    if kind == "class":
        return [[row.classes[0]]]
    if kind == "classes":
        return [[json.dumps(list(row.classes), ensure_ascii=False)]]
    boxes = [[box.top_x, box.top_y, box.bottom_x, box.bottom_y, box.label, int(box.is_crowd)] for box in row.boxes]
    return boxes or [["", "", "", "", "", ""]]  # type: ignore[return-value]
