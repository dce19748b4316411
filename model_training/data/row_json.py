"""One JSON object of CONTRACTS 2 <-> one Row. Knows nothing about files or lines.

`label` tells the kind: a text is one class, a list of texts is a multi-label image, a list of objects holds boxes or
polygons, an empty list says that there is nothing on the image.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

from model_training.data.drafting import bounds
from model_training.data.image_urls import url_fault, url_path, url_suffix
from model_training.data.row_checks import box_faults, format_fault, label_fault, ring_fault, shown
from model_training.data.rows import Box, Row

COORDINATES = ("topX", "topY", "bottomX", "bottomY")
_CROWD = {"true": True, "false": False, "0": False, "1": True}
_PIXELS = re.compile(r"([0-9]{1,9})(?:px)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def row_from_json(value: object) -> tuple[Row | None, list[str]]:
    """The row and no reasons, or every reason why it is not usable.

    With reasons the row comes too where nothing but edges of boxes is at fault: each box as it was written.
    """
    if not isinstance(value, dict):
        return None, [f"expected an object with image_url and label, found {shown(value)}"]
    url = value.get("image_url")
    reasons = [fault] if (fault := url_fault(url)) else []
    details = _details(value.get("image_details"), reasons)
    if not reasons:
        name = details["format"] or url_suffix(str(url))
        details["format"] = name.lower() if name else None
        reasons += [fault] if (fault := format_fault(name)) else []
    label = _label(value["label"], reasons) if "label" in value else None
    if "label" not in value:
        reasons.append("label: missing; an image with nothing on it has [] here")
    file_name, sha256 = _text(value, "file_name", reasons), _text(value, "sha256", reasons)
    if sha256 and not _SHA256.fullmatch(sha256):
        reasons.append(f"sha256: expected 64 hexadecimal digits, found {shown(sha256)}")
    if label is None or len(reasons) > label.pop("repairable"):
        return None, reasons
    file_name = file_name or url_path(str(url)).removeprefix("./")
    return Row(str(url), **label, **details, file_name=file_name, sha256=sha256), reasons


def row_to_json(row: Row) -> dict[str, Any]:
    details = {"format": row.format, "width": _px(row.width), "height": _px(row.height)}
    value: dict[str, Any] = {"image_url": row.image_url}
    if row.width or row.height or row.format not in (None, url_suffix(row.image_url)):
        value["image_details"] = {key: text for key, text in details.items() if text}
    if row.kind == "class":
        value["label"] = row.classes[0]
    else:
        value["label"] = list(row.classes) if row.kind == "classes" else [_box_to_json(box) for box in row.boxes]
    if row.file_name and row.file_name != url_path(row.image_url).removeprefix("./"):
        value["file_name"] = row.file_name
    if row.sha256:
        value["sha256"] = row.sha256
    return value


def _box_to_json(box: Box) -> dict[str, Any]:
    edges = (box.top_x, box.top_y, box.bottom_x, box.bottom_y)
    value: dict[str, Any] = {"label": box.label}
    if not box.polygon or bounds(box.polygon) != edges:  # a mask's own box is said only where the rings do not say it
        value |= dict(zip(COORDINATES, edges, strict=True))
    value["isCrowd"] = int(box.is_crowd)
    if box.polygon:
        value["polygon"] = [list(ring) for ring in box.polygon]
    return value


def _label(label: object, reasons: list[str]) -> dict[str, Any] | None:
    if isinstance(label, str):
        reasons += [fault] if (fault := label_fault(label)) else []
        return {"kind": "class", "classes": (label,), "repairable": 0}
    if not isinstance(label, list):
        reasons.append(f"label: expected a text or a list, found {shown(label)}")
        return None
    if label and all(isinstance(item, str) for item in label):
        reasons += [fault for item in label if (fault := label_fault(item))]
        if len(set(label)) < len(label):
            reasons.append(f"label: expected each class once, found {shown(label)}")
        return {"kind": "classes", "classes": tuple(label), "repairable": 0}
    boxes: list[Box] = []
    repairable = 0
    for number, item in enumerate(label, 1):
        box, faults, edges_only = (plain, [], False) if (plain := _plain_box(item)) else _any_box(item)
        boxes += [box] if box else []
        reasons += [f"object {number}: {'; '.join(faults)}"] if faults else []
        repairable += edges_only
    kind = "polygons" if any(box.polygon for box in boxes) else "boxes"
    return {"kind": kind, "boxes": tuple(boxes), "repairable": repairable}


def _plain_box(item: Any) -> Box | None:
    """The common case, fast: four floats in range, a label, no ring. None sends the item to `_any_box`."""
    try:
        label, crowd = item["label"], item.get("isCrowd", 0)
        left, top, right, bottom = item["topX"], item["topY"], item["bottomX"], item["bottomY"]
        if not (0.0 <= left < right <= 1.0 and 0.0 <= top < bottom <= 1.0) or "polygon" in item:
            return None
    except (KeyError, TypeError, AttributeError):
        return None
    if type(left) is type(top) is type(right) is type(bottom) is float and crowd == 0 and type(crowd) is int:
        return Box(label, left, top, right, bottom) if type(label) is str and label.strip() else None
    return None


def _any_box(item: object) -> tuple[Box | None, list[str], bool]:
    """Every case: rings, whole numbers, crowd flags as texts. The box, its faults, whether only its edges have any."""
    if not isinstance(item, dict):
        return None, [f"expected an object with label and topX, topY, bottomX, bottomY, found {shown(item)}"], False
    faults = [fault] if (fault := label_fault(item.get("label"))) else []
    crowd = _crowd(item.get("isCrowd", False))
    if crowd is None:
        faults.append(f"isCrowd: expected 0, 1, true or false, found {shown(item['isCrowd'])}")
    rings = _rings(item["polygon"], faults) if "polygon" in item else ()
    edges: tuple[Any, ...] = tuple(item.get(key) for key in COORDINATES)
    if rings and edges == (None,) * 4:
        edges = bounds(rings)
    bad_ring = "polygon" in item and not rings
    bad_edges = [] if bad_ring else _edge_faults(edges, item)
    if faults or (bad_edges and (rings or not all(map(_finite, edges)))):
        return None, faults + bad_edges, False
    left, top, right, bottom = map(float, edges)
    box = Box(item["label"], left, top, right, bottom, is_crowd=bool(crowd), polygon=rings)
    return box, bad_edges, bool(bad_edges)


def _edge_faults(edges: tuple[Any, ...], item: dict[str, Any]) -> list[str]:
    if missing := [key for key, edge in zip(COORDINATES, edges, strict=True) if edge is None]:
        return [f"missing {', '.join(missing)}; found {shown(sorted(item))}"]
    return box_faults(edges, COORDINATES)


def _finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _rings(polygon: object, faults: list[str]) -> tuple[tuple[float, ...], ...]:
    if not isinstance(polygon, list) or not polygon:
        faults.append(f"polygon: expected a list of rings [[x, y, x, y, …]], found {shown(polygon)}")
        return ()
    found = [
        f"polygon, ring {number}: {fault}" for number, ring in enumerate(polygon, 1) if (fault := ring_fault(ring))
    ]
    faults += found
    return () if found else tuple(tuple(map(float, ring)) for ring in polygon)


def _crowd(value: object) -> bool | None:
    """None where the value is no crowd flag."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, (int, str)):
        return _CROWD.get(str(value).lower())
    return None


def _details(value: object, reasons: list[str]) -> dict[str, Any]:
    details: dict[str, Any] = {"format": None, "width": None, "height": None}
    if value is None:
        return details
    if not isinstance(value, dict):
        reasons.append(f"image_details: expected an object, found {shown(value)}")
        return details
    for key in ("width", "height"):
        details[key] = _size(value.get(key), key, reasons)
    details["format"] = _text(value, "format", reasons).lstrip(".") or None
    return details


def _size(value: object, key: str, reasons: list[str]) -> int | None:
    size = _pixels(value) if isinstance(value, str) else value
    if size is None and value is None:
        return None
    if isinstance(size, int) and not isinstance(size, bool) and 0 < size < 10**9:
        return size
    reasons.append(f"{key}: expected pixels such as 499 or '499px', found {shown(value)}")
    return None


@lru_cache(maxsize=1024)  # a data set has few sizes
def _pixels(text: str) -> int | None:
    match = _PIXELS.fullmatch(text.strip())
    return int(match[1]) if match else None


def _text(value: dict[str, Any], key: str, reasons: list[str]) -> str:
    text = value.get(key)
    if text is None or isinstance(text, str):
        return text or ""
    reasons.append(f"{key}: expected a text, found {shown(text)}")
    return ""


def _px(size: int | None) -> str | None:
    return f"{size}px" if size else None
