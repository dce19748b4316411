"""From what a reader yields and what a scan found to rows that can be stored; every row that cannot is named.

Nothing is dropped or changed in silence: bad rows stop an import, or are listed where the caller asked to leave them
out. Knows nothing about workspaces or formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from model_training.data.image_urls import url_path
from model_training.data.problems import Problem
from model_training.data.row_checks import box_faults, label_fault
from model_training.data.rows import Box, Row
from model_training.data.scanning import Picture
from scoring.errors import DataError

Locate = Callable[[Row], Path]
TASKS = {
    "boxes": "image_object_detection",
    "polygons": "image_instance_segmentation",
    "class": "image_classification",
    "classes": "image_classification_multilabel",
}


@dataclass(frozen=True)
class Repair:
    """What may be done to bad rows; by default nothing, so they stop the import."""

    skip_bad_rows: bool = False  # leave the whole image out
    skip_bad_boxes: bool = False  # keep the image without the boxes that are at fault
    clip_boxes: bool = False  # cut boxes that reach out of the image; what has no extent then is still at fault


@dataclass
class Import:
    """Rows that are good so far with their files, and all that was found on the way."""

    rows: list[tuple[Row, Path]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # of rows that cannot be used
    changed: list[str] = field(default_factory=list)  # boxes clipped or left out, as asked


def take_rows(items: Iterable[Row | Problem], locate: Locate, repair: Repair) -> Import:
    """Rows whose own words are in order, each image once."""
    result = Import()
    seen: set[str] = set()
    repaired: dict[int, Row] = {}  # the rows are held, so that no later row can have the identity of one of them
    for item in items:
        row = item if isinstance(item, Row) else _repairable(item, repair)
        if row is None:
            result.problems.append(str(item))
            continue
        if isinstance(item, Problem):
            if id(row) in repaired:
                continue  # several problems of one row hold the same one
            repaired[id(row)] = row
        _take(row, item, locate, repair, seen, result)
    return result


def add_pictures(taken: Import, found: Mapping[Path, Picture | str]) -> Import:
    """Rows with content hash, size and format of their image; unreadable images and false sizes become problems."""
    result = Import(problems=list(taken.problems), changed=taken.changed)
    for row, path in taken.rows:
        picture = found[path]
        fault = picture if isinstance(picture, str) else _picture_fault(row, picture)
        if fault or isinstance(picture, str):
            result.problems.append(f"{path}: {fault}")
            continue
        known = replace(row, sha256=picture.sha256, format=picture.format, width=picture.width, height=picture.height)
        result.rows.append((known, path))
    return result


def require_usable(result: Import, repair: Repair, source: str) -> None:
    """Raises: DataError when rows are bad and may not be left out, or when no row is left."""
    if result.problems and not repair.skip_bad_rows:
        count = f"{len(result.problems)} problem{'s' if len(result.problems) > 1 else ''}"
        raise DataError(
            f"{source}: expected every row to be usable, found {count} (and {len(result.rows)} good rows); "
            "nothing was imported",
            hint="correct what is listed, or import with --skip-bad-boxes (keeps those images without the bad boxes), "
            "--clip-boxes (cuts boxes at the image's edge) or --skip-bad-rows (leaves those images out)",
            problems=result.problems,
        )
    if not result.rows:
        raise DataError(
            f"{source}: expected labelled images, found none",
            hint="check the path and --format",
            problems=result.problems,
        )


def task_of(rows: Sequence[Row]) -> str:
    """The task that this kind of labels is for. Raises: DataError when the rows are of several kinds."""
    kinds = {row.kind for row in rows}
    kinds -= {"boxes"} if kinds == {"boxes", "polygons"} else set()
    if len(kinds) != 1:
        raise DataError(
            f"expected labels of one kind, found {', '.join(sorted(kinds))}",
            hint="import each kind as a dataset of its own",
        )
    return TASKS[kinds.pop()]


def _repairable(problem: Problem, repair: Repair) -> Row | None:
    """The row behind a problem that lies in its boxes alone, where boxes may be repaired."""
    return problem.row if repair.skip_bad_boxes or repair.clip_boxes else None


def _take(row: Row, item: Row | Problem, locate: Locate, repair: Repair, seen: set[str], result: Import) -> None:
    where = row.file_name or url_path(row.image_url)
    boxes, faults = _repaired_boxes(row, where, repair, result.changed)
    faults += [fault for name in row.classes if (fault := label_fault(name))]
    path = locate(row)
    if where in seen:
        faults.append("an image of this name is listed before; its labels must stand in one row")
    if faults:
        named = item if isinstance(item, Problem) else Problem(where, 0, "")
        result.problems += [str(replace(named, reason=fault)) for fault in faults]
        return
    seen.add(where)
    result.rows.append((replace(row, boxes=tuple(boxes), file_name=where), path))


def _repaired_boxes(row: Row, where: str, repair: Repair, changed: list[str]) -> tuple[list[Box], list[str]]:
    """The row's boxes as far as they may be kept, and what is wrong with those that stop it."""
    boxes, faults, notes = [], [], []
    for number, box in enumerate(row.boxes, 1):
        fault = _box_fault(box)
        if fault and repair.clip_boxes and _box_fault(clipped := _clip(box)) == "":
            notes.append(f"{where}: object {number} ({box.label}) cut at the image's edge: {fault}")
            boxes.append(clipped)
        elif fault and repair.skip_bad_boxes:
            notes.append(f"{where}: object {number} ({box.label}) left out: {fault}")
        elif fault:
            faults.append(f"object {number} ({box.label}): {fault}")
        else:
            boxes.append(box)
    if not faults:
        changed += notes
    return boxes, faults


def _box_fault(box: Box) -> str:
    faults = box_faults((box.top_x, box.top_y, box.bottom_x, box.bottom_y))
    faults += [fault] if (fault := label_fault(box.label)) else []
    return "; ".join(faults)


def _clip(box: Box) -> Box:
    left, top, right, bottom = (min(max(v, 0.0), 1.0) for v in (box.top_x, box.top_y, box.bottom_x, box.bottom_y))
    rings = tuple(tuple(min(max(v, 0.0), 1.0) for v in ring) for ring in box.polygon)
    return replace(box, top_x=left, top_y=top, bottom_x=right, bottom_y=bottom, polygon=rings)


def _picture_fault(row: Row, picture: Picture) -> str:
    if row.sha256 and row.sha256 != picture.sha256:
        return f"expected sha256 {row.sha256[:12]}…, found {picture.sha256[:12]}…: the image was changed or replaced"
    if row.width is None or row.height is None or (row.width, row.height) == (picture.width, picture.height):
        return ""
    turned = (row.height, row.width) == (picture.width, picture.height)
    why = " once it is turned upright (EXIF); label it upright, or remove its EXIF orientation" if turned else ""
    return (
        f"the annotation says {row.width} x {row.height} pixels, the image has {picture.width} x {picture.height}{why}"
    )
