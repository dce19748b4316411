"""Label Studio's JSON export: rectangles, polygons and choices, in percent of the image.

A task with an annotation and no region is an image with nothing on it; a task without annotation is a problem, as are
rotated rectangles, brushes and tasks annotated twice. Predictions are not labels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import orjson

from model_training.data.drafting import Draft, Found
from model_training.data.image_folder import ImageFolder, short_name
from model_training.data.json_file import read_json
from model_training.data.parts import part_called
from model_training.data.problems import Problem
from model_training.data.row_checks import label_fault, shown
from model_training.data.rows import Box, Row
from model_training.data.writing import largest_ring, lost_crowds, lost_rings
from scoring.errors import DataError
from scoring.files import write_bytes

_UPLOAD_PREFIX = re.compile(r"[0-9a-f]{8}-")
_LOCAL_FILES = "/data/local-files/"


def read_label_studio(path: Path, found: Found | None = None) -> Iterator[Row | Problem]:
    """Every task.

    Raises: DataError where the file is no list of tasks.
    """
    found = found if found is not None else Found()
    root = path if path.is_dir() else path.parent
    images = ImageFolder(root)
    for file in [path] if path.is_file() else sorted(path.glob("*.json")):
        tasks = _load(file)
        drafts = [Draft(str(file)) for _ in tasks]
        for task, draft in zip(tasks, drafts, strict=True):
            found.claim(draft, root, _read_task(task, draft, images))
        _settle_kind(drafts)
        for draft in drafts:
            yield from draft.finish()


def _settle_kind(drafts: Sequence[Draft]) -> None:
    """One image with several choices makes all of them multi-label; none chosen is then an answer too."""
    kinds = {draft.kind for draft in drafts}
    for draft in drafts:
        if "classes" in kinds and not draft.boxes:
            draft.kind = "classes"
        elif "class" in kinds and not draft.kind and not draft.faults:
            draft.fault("expected boxes or choices in every task, found both, or a task without a choice")


def _load(file: Path) -> list[Any]:
    tasks = read_json(file, "Label Studio's JSON")
    if isinstance(tasks, list):
        return tasks
    raise DataError(f"{file}: expected Label Studio's JSON, a list of tasks, found an object", hint="check --format")


def _read_task(task: Any, draft: Draft, images: ImageFolder) -> str | None:
    data = task.get("data") if isinstance(task, dict) else None
    where = f"task {task.get('id', '?')}" if isinstance(task, dict) else "task"
    values = [data.get("image"), *data.values()] if isinstance(data, dict) else []
    url = next((value for value in values if _names_image(value)), None)
    if url is None or not isinstance(data, dict):
        draft.fault(f"{where}: expected data with the path of an image, found {shown(data)}")
        return None
    name = _find(url, images)
    if name is None:
        draft.fault(f"{where}: expected image {url!r} below {images.root}, found none")
    else:
        draft.image, draft.file_name = images.root / name, short_name(name)
    _read_annotations(task.get("annotations", task.get("completions")), where, draft)
    return part_called(data["split"]) if isinstance(data.get("split"), str) else None


def _names_image(value: object) -> bool:
    return isinstance(value, str) and PurePosixPath(_path_of(value)).suffix != ""


def _path_of(url: str) -> str:
    """The file's path in an upload, a local-files address, or a path as it stands."""
    if url.startswith(_LOCAL_FILES):
        return parse_qs(urlsplit(url).query).get("d", [""])[0]
    return url


def _find(url: str, images: ImageFolder) -> str | None:
    """The file behind `url`: as it stands, below folders that lead here, without the prefix that an upload is given."""
    if url.startswith(_LOCAL_FILES):
        names = [*_below(_path_of(url), images.root)]
    elif url.startswith(("/", "http://", "https://", "s3://", "gs://", "azure-blob://")):
        base = unquote(PurePosixPath(urlsplit(url).path).name)
        names = [base, _UPLOAD_PREFIX.sub("", base, count=1)]
    else:
        names = [url]
    found = (images.find(name, ("images", "")) for name in names)
    return next((name for name in found if name), None)


def _below(path: str, root: Path) -> Iterator[str]:
    """`path`, and what is left of it where its front is the end of `root`."""
    parts = PurePosixPath(path.lstrip("/")).parts
    yield "/".join(parts)
    for count in range(len(parts) - 1, 0, -1):
        if root.parts[-count:] == parts[:count]:
            yield "/".join(parts[count:])


def _read_annotations(annotations: object, where: str, draft: Draft) -> None:
    entries = annotations if isinstance(annotations, list) else []
    kept = [entry for entry in entries if isinstance(entry, dict) and not entry.get("was_cancelled")]
    if len(kept) != 1 or not isinstance(kept[0].get("result"), list):
        draft.fault(f"{where}: expected one annotation, found {len(kept)}; label it, or keep one of them")
        return
    for number, region in enumerate(kept[0]["result"], 1):
        _read_region(region, f"{where}, region {number}", draft)


def _read_region(region: Any, where: str, draft: Draft) -> None:
    value = region.get("value") if isinstance(region, dict) else None
    kind = region.get("type") if isinstance(region, dict) else None
    readers = {"rectanglelabels": _add_rectangle, "polygonlabels": _add_polygon, "choices": _add_choices}
    if kind not in readers or not isinstance(value, dict):
        draft.fault(f"{where}: expected one of {', '.join(readers)}, found {shown(kind)}")
        return
    labels = value.get(kind)
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        draft.fault(f"{where}: expected a label, found {shown(labels)}")
        return
    if kind != "choices" and len(labels) != 1:
        draft.fault(f"{where}: expected one label an object, found {shown(labels)}")
        return
    if draft.kind if kind != "choices" else draft.boxes:
        draft.fault(f"{where}: expected boxes or choices, found both")
        return
    sides = region.get("original_width"), region.get("original_height")
    if all(isinstance(side, int) and side > 0 for side in sides):
        draft.width, draft.height = sides
    readers[kind](value, labels, where, draft)


def _add_rectangle(value: dict[str, Any], labels: list[str], where: str, draft: Draft) -> None:
    numbers = [value.get(key) for key in ("x", "y", "width", "height")]
    if not all(map(_is_number, numbers)):
        draft.fault(f"{where} ({labels[0]}): expected finite x, y, width, height, found {shown(numbers)}")
    elif value.get("rotation"):
        draft.fault(f"{where} ({labels[0]}): rotated by {value['rotation']} degrees; boxes stand upright here")
    else:
        x, y, w, h = (float(number or 0) for number in numbers)
        draft.add_box(labels[0], (x / 100, y / 100, (x + w) / 100, (y + h) / 100), where=where)


def _add_polygon(value: dict[str, Any], labels: list[str], where: str, draft: Draft) -> None:
    points = value.get("points")
    good = isinstance(points, list) and all(
        isinstance(point, list) and len(point) == 2 and all(map(_is_number, point)) for point in points
    )
    if not good:
        draft.fault(f"{where} ({labels[0]}): expected points [x, y], found {shown(points)}")
        return
    ring = [number / 100 for point in points or () for number in point]
    draft.add_rings(labels[0], [ring], where=where)


def _add_choices(value: dict[str, Any], labels: list[str], where: str, draft: Draft) -> None:
    if draft.kind:
        draft.fault(f"{where}: expected one answer for the image, found another")
        return
    for fault in filter(None, map(label_fault, labels)):
        draft.fault(f"{where}: {fault}")
    draft.kind, draft.classes = ("class" if len(labels) == 1 else "classes"), tuple(labels)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def place(row: Row, _part: str) -> str:
    return f"images/{row.file_name}"


def write_label_studio(rows: Sequence[Row], folder: Path, parts: Mapping[str, str]) -> list[str]:
    """tasks.json, for a Label Studio whose local files' root is this folder."""
    tasks = [_to_task(number, row, parts.get(row.file_name)) for number, row in enumerate(rows, 1)]
    write_bytes(folder / "tasks.json", orjson.dumps(tasks, option=orjson.OPT_INDENT_2))
    return lost_rings(rows, "Label Studio") + lost_crowds(rows, "Label Studio")


def _to_task(number: int, row: Row, part: str | None) -> dict[str, Any]:
    data = {"image": f"{_LOCAL_FILES}?d={quote(place(row, ''), safe='/')}"}
    if part:
        data["split"] = part
    size = {"original_width": row.width, "original_height": row.height} if row.width and row.height else {}
    base = {"from_name": "label", "to_name": "image", "image_rotation": 0} | size
    result = [base | {"id": f"r{at}"} | _region(box) for at, box in enumerate(row.boxes, 1)]
    if row.classes:
        result = [base | {"id": "r1", "type": "choices", "value": {"choices": list(row.classes)}}]
    return {"id": number, "data": data, "annotations": [{"id": number, "result": result}]}


def _region(box: Box) -> dict[str, Any]:
    if ring := largest_ring(box):
        points = [[100 * x, 100 * y] for x, y in zip(ring[0::2], ring[1::2], strict=True)]
        return {"type": "polygonlabels", "value": {"points": points, "closed": True, "polygonlabels": [box.label]}}
    x, y = 100 * box.top_x, 100 * box.top_y
    w, h = 100 * box.bottom_x - x, 100 * box.bottom_y - y
    value = {"x": x, "y": y, "width": w, "height": h, "rotation": 0, "rectanglelabels": [box.label]}
    return {"type": "rectanglelabels", "value": value}
