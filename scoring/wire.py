"""The messages of /score: requests to image bytes, detections to the answer. Pure; knows nothing about HTTP or files.

Rounding: box sides to 6 decimals, scores to 4. Order is by score before rounding, highest first.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from operator import itemgetter
from typing import Any, NoReturn

from scoring.detections import Detections
from scoring.errors import CvaError, ImageError, NotFoundError, UsageError

BOX_DECIMALS, SCORE_DECIMALS = 6, 4
_BOX_STEPS, _SCORE_STEPS = 10.0**BOX_DECIMALS, 10.0**SCORE_DECIMALS
_WHOLE = 1.5 * 2.0**52  # a number to which this is added keeps no fraction: round(), half to even, without its calls
SIDES = ("topX", "topY", "bottomX", "bottomY")
_DATA_PREFIX = re.compile(r"data:[\w.+-]+/[\w.+-]+(;[\w.+-]+=[^;,]*)*;base64,", re.ASCII)
_SHAPES = '{"input_data":{"columns":["image"],"data":["<base64>"]}} or {"data":["<base64>"]}'


def to_element(filename: str, found: Detections, labels: Sequence[str]) -> dict[str, Any]:
    """One image's element of the answer; no result is `"boxes": []`."""
    boxes = []
    for score, label, box in sorted(found.rows, key=itemgetter(0), reverse=True):
        left, top, right, bottom = [(side * _BOX_STEPS + _WHOLE - _WHOLE) / _BOX_STEPS for side in box]
        sides = {"topX": left, "topY": top, "bottomX": right, "bottomY": bottom}
        score = (score * _SCORE_STEPS + _WHOLE - _WHOLE) / _SCORE_STEPS
        boxes.append({"box": sides, "label": labels[label], "score": score})
    return {"filename": filename, "boxes": boxes}


def to_error_element(filename: str, error: CvaError) -> dict[str, Any]:
    """The element of an image that could not be scored: it keeps its place and says why."""
    return {"filename": filename, "boxes": [], "error": {"code": _code(error), "message": error.message}}


def parse_score_request(body: bytes | str) -> list[bytes]:
    """The images of a JSON body, in order, not yet decoded.

    Raises: UsageError for anything that is not one of the shapes of CONTRACTS 8, or not base64.
    """
    bare = body.removeprefix("\ufeff") if isinstance(body, str) else body.removeprefix(codecs.BOM_UTF8)
    try:
        value = _loader()(bare)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"expected JSON, found something else: {error}", hint=f"send {_SHAPES}") from error
    return [_image(item, index) for index, item in enumerate(_items(value))]


def decode_base64(text: str) -> bytes:
    """Base64 that may hold line breaks and a `data:` prefix. Raises: ValueError for anything else."""
    # at the start alone: looked for everywhere, it costs the square of the length
    prefix = _DATA_PREFIX.match(text) if text.startswith("data:") else None
    bare = text[prefix.end() :] if prefix else text
    if "\n" in bare or "\r" in bare:
        bare = bare.replace("\r", "").replace("\n", "")
    return _decoder()(bare)


@cache
def _loader() -> Callable[[bytes | str], object]:
    """orjson where it is installed, as it is beside the server: 14 us for a photograph's JSON that takes `json` 49."""
    try:
        from orjson import loads
    except ImportError:  # on a managed endpoint there is what the bundle's requirements.txt names
        return _standard_json
    return loads


def _standard_json(body: bytes | str) -> object:
    """UTF-8 alone, as orjson has it; `json` itself would guess others."""
    return json.loads(body if isinstance(body, str) else body.decode())


@cache
def _decoder() -> Callable[[str], bytes]:
    """The same for base64: pybase64 takes 5 us for a text that takes the standard library 160."""
    try:
        from pybase64 import b64decode
    except ImportError:
        return standard_base64
    return partial(b64decode, validate=True)


def standard_base64(text: str) -> bytes:
    """Raises: ValueError for what is not base64, also for more padding than there may be, which Python may let pass."""
    if len(text) % 4 or text.endswith("==="):
        raise ValueError("Incorrect padding")
    return base64.b64decode(text, validate=True)


def _items(value: object) -> list[object]:
    if not isinstance(value, dict):
        _refuse(f"a JSON object, found {_kind(value)}")
    if set(value) == {"data"}:
        return _list(value["data"], "data")
    if set(value) != {"input_data"}:
        _refuse(f"the key 'input_data' or 'data' alone, found {len(value)} keys")
    table = value["input_data"]
    if not isinstance(table, dict) or not {"data"} <= set(table) <= {"columns", "index", "data"}:
        _refuse("'input_data' with 'columns', 'data' and perhaps 'index'")
    if table.get("columns", ["image"]) != ["image"]:
        _refuse("'columns': [\"image\"], found others")
    rows = _list(table["data"], "input_data.data")
    if "index" in table and len(_list(table["index"], "input_data.index")) != len(rows):
        _refuse(f"as many elements in 'index' as in 'data' ({len(rows)}), found {len(table['index'])}")
    return rows


def _image(item: object, index: int) -> bytes:
    if isinstance(item, list) and len(item) == 1:
        item = item[0]
    if isinstance(item, str) and item.lstrip().startswith("{"):
        item = _unwrap(item, index)
    if not isinstance(item, str):
        _refuse(f"image {index} as a base64 string, found {_kind(item)}")
    try:
        return decode_base64(item)
    except ValueError as error:
        raise UsageError(
            f"image {index} is not valid base64: {error}", hint="encode the file's bytes as base64"
        ) from error


def _unwrap(text: str, index: int) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or set(value) != {"image_base64"}:
        _refuse(f'image {index} as {{"image_base64":"…"}}')
    return value["image_base64"]


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list):
        _refuse(f"'{name}' as a list, found {_kind(value)}")
    return value


def _refuse(expected: str) -> NoReturn:
    raise UsageError(f"expected {expected}", hint=f"send {_SHAPES}")


def _kind(value: object) -> str:
    """JSON's own word: an answer never repeats what was sent."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _code(error: CvaError) -> str:
    if isinstance(error, ImageError):
        return error.code
    return "not_found" if isinstance(error, NotFoundError) else "unreadable"
