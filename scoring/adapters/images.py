"""What the JSON adapters share: a body to an object, base64 texts to image bytes. Knows no particular message."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from scoring.errors import UsageError
from scoring.wire import decode_base64


def read_object(body: bytes | str, hint: str) -> dict[str, Any]:
    """Raises: UsageError for what is not a JSON object."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"expected JSON, found something else: {error}", hint=hint) from error
    if not isinstance(value, dict):
        refuse(f"a JSON object, found {kind_of(value)}", hint)
    return value


def read_images(texts: Sequence[object], hint: str) -> list[bytes]:
    """Raises: UsageError that says which of them is not base64."""
    return [_image(text, index, hint) for index, text in enumerate(texts)]


def _image(text: object, index: int, hint: str) -> bytes:
    if not isinstance(text, str):
        refuse(f"image {index} as a base64 string, found {kind_of(text)}", hint)
    try:
        return decode_base64(text)
    except ValueError as error:
        message = f"image {index} is not valid base64: {error}"
        raise UsageError(message, hint="encode the file's bytes as base64") from error


def refuse(expected: str, hint: str) -> NoReturn:
    raise UsageError(f"expected {expected}", hint=hint)


def kind_of(value: object) -> str:
    """JSON's own word: an answer never repeats what was sent."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
