"""The messages of MLflow's scoring server for a model whose one column is `image`, a base64 text.

`{"inputs": …}`, `{"dataframe_split": …}`, `{"dataframe_records": …}` and the older `{"instances": …}` to images, the
elements of /score to `{"predictions": […]}`. Stricter than MLflow: what would be ignored is refused. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scoring.adapters.images import kind_of, read_images, read_object, refuse

FORMATS = ("inputs", "dataframe_split", "dataframe_records", "instances")
COLUMN = "image"
_HINT = 'send {"dataframe_split":{"columns":["image"],"data":[["<base64>"]]}} or {"inputs":{"image":["<base64>"]}}'


def parse_invocations(body: bytes | str) -> list[bytes]:
    """The images, in order, not yet decoded.

    Raises: UsageError.
    """
    value = read_object(body, _HINT)
    given = [key for key in FORMATS if key in value]
    if len(given) != 1 or not set(value) <= {*given, "params"}:
        refuse(f"exactly one of {', '.join(FORMATS)}, found {len(value)} keys, {len(given)} of them known", _HINT)
    if value.get("params"):
        refuse("no params: this model's signature has none", _HINT)
    rows = value[given[0]]
    return read_images(_split(rows) if given[0] == "dataframe_split" else _column_or_rows(rows, given[0]), _HINT)


def to_answer(elements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"predictions": list(elements)}


def _split(table: object) -> list[object]:
    """pandas' own `to_dict(orient="split")`: `columns`, `data` as a list of rows, perhaps `index`."""
    if not isinstance(table, dict) or not {"columns", "data"} <= set(table) <= {"columns", "data", "index"}:
        refuse("'dataframe_split' with 'columns', 'data' and perhaps 'index'", _HINT)
    if table["columns"] != [COLUMN]:
        refuse(f"one column, named '{COLUMN}'", _HINT)
    rows = _list(table["data"], "dataframe_split.data")
    index = table.get("index")
    if index is not None and len(_list(index, "dataframe_split.index")) != len(rows):
        refuse(f"as many elements in 'index' as in 'data' ({len(rows)})", _HINT)
    return [_only(row, number) for number, row in enumerate(rows)]


def _column_or_rows(value: object, name: str) -> list[object]:
    """A column by its name, or a list of rows; `inputs` and `instances` also know bare texts as rows."""
    if name == "inputs" and isinstance(value, dict):
        if set(value) != {COLUMN}:
            refuse(f"one column, named '{COLUMN}'", _HINT)
        column = value[COLUMN]
        return [column] if isinstance(column, str) else _list(column, f"inputs.{COLUMN}")
    return [_record(row, number, name) for number, row in enumerate(_list(value, name))]


def _record(row: object, number: int, name: str) -> object:
    if isinstance(row, dict):
        if set(row) != {COLUMN}:
            refuse(f"row {number} with one column, named '{COLUMN}'", _HINT)
        return row[COLUMN]
    if name == "dataframe_records":
        refuse(f'row {number} as {{"{COLUMN}":"<base64>"}}, found {kind_of(row)}', _HINT)
    return _only(row, number) if isinstance(row, list) else row


def _only(row: object, number: int) -> object:
    if not isinstance(row, list) or len(row) != 1:
        refuse(f"row {number} as a list of one text", _HINT)
    return row[0]


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list):
        refuse(f"'{name}' as a list, found {kind_of(value)}", _HINT)
    return value
