"""COCO JSON: one file for all images, or one a part (annotations/instances_train.json, train/_annotations.coco.json).

Pixels count from 0 and are continuous: left = x / width, right = (x + w) / width. Images without annotations are images
with nothing on them. Masks written as run lengths keep their box only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from model_training.data.drafting import Draft, Edges, Found, half_pixel
from model_training.data.image_folder import ImageFolder, header_size
from model_training.data.json_file import read_json
from model_training.data.parts import SHORT, by_part, part_in_name
from model_training.data.problems import Problem
from model_training.data.row_checks import shown
from model_training.data.rows import Box, Row
from model_training.data.writing import require_boxes, ring_area, size_of
from scoring.errors import DataError
from scoring.files import write_bytes

_DIGITS = (0, 1, 2, 3, 4, 6, 8, 10, 12)


def read_coco(path: Path, found: Found | None = None) -> Iterator[Row | Problem]:
    """Every image of every file, in their order.

    Raises: DataError where a file is no COCO file at all.
    """
    found = found if found is not None else Found()
    for file, part in coco_files(path):
        root = path if path.is_dir() else file.parent.parent if file.parent.name == "annotations" else file.parent
        yield from _File(file, part, ImageFolder(root)).rows(found)


def coco_files(path: Path) -> list[tuple[Path, str | None]]:
    """The files that hold annotations, each with the part that its name or folder speaks of."""
    if path.is_file():
        return [(path, None)]
    folders = [path / "annotations", path, *sorted(child for child in path.iterdir() if child.is_dir())]
    found = [file for folder in dict.fromkeys(folders) for file in sorted(folder.glob("*.json"))]
    files = [file for file in found if file.name.startswith("instances")] or found
    return [(file, part_in_name(file.stem) or part_in_name(file.parent.name)) for file in files]


class _File:
    def __init__(self, file: Path, part: str | None, images: ImageFolder) -> None:
        self.file, self.part, self.images = file, part, images
        value = _load(file)
        self.entries: list[Any] = value["images"]
        self.categories, self.faults = _categories(value.get("categories"))
        self.annotations: dict[object, list[dict[str, Any]]] = {}
        for annotation in value["annotations"]:
            image = annotation.get("image_id") if isinstance(annotation, dict) else None
            if isinstance(image, (int, str)):
                self.annotations.setdefault(image, []).append(annotation)
            else:
                self.faults.append(f"expected an annotation with image_id, found {shown(annotation)}")

    def rows(self, found: Found) -> Iterator[Row | Problem]:
        yield from (Problem(str(self.file), 0, fault) for fault in self.faults)
        ids: set[object] = set()
        for entry in self.entries:
            draft = self._draft(entry, ids)
            if draft.image:
                found.claim(draft, self.images.root, self.part)
            yield from draft.finish()
        for image in sorted(self.annotations.keys() - ids, key=str):
            count = len(self.annotations[image])
            yield Problem(str(self.file), 0, f"{count} annotations are of image {shown(image)}, which is not listed")

    def _draft(self, entry: Any, ids: set[object]) -> Draft:
        draft = Draft(str(self.file))
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not isinstance(entry.get("id"), (int, str)):
            draft.fault(f"expected an image with id and file_name, found {shown(entry)}")
            return draft
        if entry["id"] in ids:
            draft.fault(f"{name}: image id {entry['id']} is given twice")
        ids.add(entry["id"])
        self._find_image(name, draft)
        sides = entry.get("width"), entry.get("height")
        if all(isinstance(side, int) and side > 0 for side in sides):
            draft.width, draft.height = sides
        elif draft.image:
            draft.width, draft.height = header_size(draft.image) or (None, None)
        if draft.width and draft.height:
            draft.slack = half_pixel(draft.width, draft.height)
            for annotation in self.annotations.get(entry["id"], ()):
                self._add(annotation, f"{name}, annotation {annotation.get('id', '?')}", draft)
        elif draft.image:
            draft.fault(f"{name}: expected width and height, and the image's header says none")
        return draft

    def _find_image(self, name: str, draft: Draft) -> None:
        here = self.file.parent.relative_to(self.images.root).as_posix()
        words = {word for word in (self.part, SHORT.get(self.part or "")) if word}
        own = [f"{before}{word}{year}" for before in ("images/", "") for word in sorted(words) for year in ("", "2017")]
        found = self.images.find(name, [here, *own, "images", ""])
        if found is None:
            draft.fault(f"{name}: expected this image below {self.images.root}, found none")
            return
        draft.image, draft.file_name = self.images.root / found, name.replace("\\", "/").removeprefix("./")

    def _add(self, annotation: dict[str, Any], where: str, draft: Draft) -> None:
        label = self.categories.get(annotation.get("category_id"))
        crowd = annotation.get("iscrowd") or 0  # many tools leave it out
        edges, fault = _edges(annotation.get("bbox"), draft)
        rings = annotation.get("segmentation") or ()
        if label is None:
            draft.fault(f"{where}: category {shown(annotation.get('category_id'))} is not listed")
        elif crowd not in (0, 1):
            draft.fault(f"{where}: iscrowd: expected 0 or 1, found {shown(crowd)}")
        elif fault and (annotation.get("bbox") is not None or not isinstance(rings, list)):
            draft.fault(f"{where} ({label}): {fault}")
        elif isinstance(rings, list):
            _add_rings(draft, label, rings, edges, where, bool(crowd))
        elif edges:
            draft.add_box(label, edges, where=where, crowd=bool(crowd))


def _add_rings(draft: Draft, label: str, rings: list[Any], edges: Edges | None, where: str, crowd: bool) -> None:
    if not all(isinstance(ring, list) and all(map(_is_number, ring)) for ring in rings):
        draft.fault(f"{where} ({label}): segmentation: expected lists of numbers, found {shown(rings)}")
        return
    sides = (draft.width or 1, draft.height or 1)
    scaled = [[value / sides[at % 2] for at, value in enumerate(ring)] for ring in rings]
    draft.add_rings(label, scaled, edges=edges, where=where, crowd=crowd)


def _edges(bbox: object, draft: Draft) -> tuple[Edges | None, str]:
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
        return None, f"bbox: expected four finite numbers, found {shown(bbox)}"
    x, y, w, h = bbox
    width, height = draft.width or 1, draft.height or 1
    return (x / width, y / height, _end(x, w) / width, _end(y, h) / height), ""


def _end(start: float, length: float) -> float:
    """Their sum as decimals: 116.59 + 390.95 is 507.54, not the float beside it."""
    return round(start + length, 9) if start else length


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _load(file: Path) -> dict[str, Any]:
    value = read_json(file, "COCO JSON")
    if isinstance(value, dict) and all(isinstance(value.get(key), list) for key in ("images", "annotations")):
        return value
    raise DataError(f"{file}: expected COCO JSON with lists images and annotations", hint="check the file and --format")


def _categories(value: object) -> tuple[dict[object, str], list[str]]:
    categories: dict[object, str] = {}
    faults = []
    for entry in value if isinstance(value, list) else []:
        good = (
            isinstance(entry, dict) and isinstance(entry.get("name"), str) and isinstance(entry.get("id"), (int, str))
        )
        if good and categories.setdefault(entry["id"], entry["name"]) == entry["name"]:
            continue
        faults.append(f"expected a category with an id of its own and a name, found {shown(entry)}")
    return categories, faults


def place(row: Row, _part: str) -> str:
    return f"images/{row.file_name}"


def write_coco(rows: Sequence[Row], folder: Path, parts: Mapping[str, str]) -> list[str]:
    """One file a part, with the same categories in each; exact for what pixels can say."""
    require_boxes(rows, "COCO")
    labels = {label: number for number, label in enumerate(sorted({box.label for row in rows for box in row.boxes}), 1)}
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    for part, group in by_part(rows, parts).items():
        name = f"instances_{SHORT[part]}.json" if part else "instances.json"
        write_bytes(folder / "annotations" / name, orjson.dumps(_to_json(group, labels)))
    return []


def _to_json(rows: Iterable[Row], labels: Mapping[str, int]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 1):
        width, height = size_of(row)
        images.append({"id": number, "file_name": row.file_name, "width": width, "height": height})
        for box in row.boxes:
            head = {"id": len(annotations) + 1, "image_id": number, "category_id": labels[box.label]}
            annotations.append(head | _shape(box, width, height))
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": label} for label, number in labels.items()],
    }


def _shape(box: Box, width: int, height: int) -> dict[str, Any]:
    x, y = pixel(box.top_x, width), pixel(box.top_y, height)
    w, h = pixel(box.bottom_x, width, x), pixel(box.bottom_y, height, y)
    sides = (width, height)
    rings = [[pixel(value, sides[at % 2]) for at, value in enumerate(ring)] for ring in box.polygon]
    area = sum(map(ring_area, rings)) if rings else w * h
    return {"bbox": [x, y, w, h], "area": area, "segmentation": rings, "iscrowd": int(box.is_crowd)}


def pixel(fraction: float, side: int, start: float = 0) -> float:
    """The shortest number of pixels from `start` that is read back as exactly `fraction`; the nearest where none is."""
    exact = fraction * side - start
    for digits in _DIGITS:
        value = round(exact, digits) if digits else round(exact)
        if _end(start, value) / side == fraction:
            return value
    return exact
