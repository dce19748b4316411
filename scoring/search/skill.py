"""The messages of /skill: a batch of records to images, their detections to the answer of each record.

Also the one bare object that Search's AML skill sends. Pure; knows nothing about HTTP, models or time.

A record gives its pictures as `image` (one), `images` or `pages` (a list, or one). Each is base64, or an object whose
`data` is base64, as Search sends normalized images; addresses are never fetched. A list is one document: its
objects are merged and each says its `page`, counted from 1. A record is answered with data or with errors, never both:

* every picture failed, or one was not reached in time: errors;
* some pictures of a list failed: the data of the others, and a warning for each that failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scoring.errors import CvaError, DeadlineError, UsageError
from scoring.scorer import Scored
from scoring.wire import decode_base64, to_element

INPUTS = ("image", "images", "pages")
OUTPUTS = ("objects", "tags", "objectCount", "amllabel")
MAX_RECORDS = 1000  # what Search sends at most, unless its batchSize says otherwise

_SHAPE = '{"values":[{"recordId":"0","data":{"image":{"$type":"file","data":"<base64>"}}}]}'

RecordId = str | int


@dataclass(frozen=True)
class Picture:
    """One picture of a record: its bytes, not yet decoded, or why there are none."""

    name: str
    data: bytes = b""
    error: CvaError | None = None


@dataclass(frozen=True)
class Record:
    """`paged` where its pictures came as a list; `error` where the record itself cannot be used."""

    id: RecordId
    pictures: tuple[Picture, ...] = ()
    paged: bool = False
    error: CvaError | None = None


@dataclass(frozen=True)
class SkillRequest:
    """`bare` is the AML skill's single object: it has no record id, and its answer is the outputs alone.

    `sent` counts the records as they came: those that share an id are one of `records`.
    """

    records: tuple[Record, ...]
    bare: bool = False
    sent: int = 1
    images: tuple[bytes, ...] = field(init=False)

    def __post_init__(self) -> None:
        images = tuple(p.data for record in self.records for p in record.pictures if p.error is None)
        object.__setattr__(self, "images", images)


def parse_skill_request(body: bytes | str) -> SkillRequest:
    """The records in order, whatever is wrong inside one of them.

    Raises: UsageError for what is not JSON, not one of the two shapes, or holds a record without an id.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"expected JSON, found something else: {error}", hint=f"send {_SHAPE}") from error
    if not isinstance(value, dict):
        raise UsageError("expected a JSON object with 'values'", hint=f"send {_SHAPE}")
    if "values" not in value:
        return _bare(value)
    values = value["values"]
    if not isinstance(values, list):
        raise UsageError("expected 'values' as a list of records", hint=f"send {_SHAPE}")
    return SkillRequest(tuple(_records(values)), sent=len(values))


def to_answer(
    request: SkillRequest, scored: Sequence[Scored | None], labels: Sequence[str], *, seconds: float
) -> dict[str, Any]:
    """The whole answer; `scored` belongs to `request.images` in their order, None where time ran out.

    Raises, for the bare object alone, which has no place for errors: the error of its first picture that failed.
    """
    outcomes = iter(scored)
    late = DeadlineError(
        f"not finished within {seconds:g} s", hint="lower the skill's batchSize or degreeOfParallelism, or add servers"
    )
    if request.bare:
        return _outputs_of(request.records[0], list(_pages(request.records[0], outcomes, labels, late)))
    return {"values": [_answer(record, list(_pages(record, outcomes, labels, late))) for record in request.records]}


def render(answer: Mapping[str, Any]) -> bytes:
    """ASCII alone, so that an id with half a character, which JSON allows, goes back as it came."""
    return json.dumps(answer, separators=(",", ":"), allow_nan=False).encode("ascii")


def _records(values: Sequence[object]) -> Iterator[Record]:
    found: dict[tuple[type, RecordId], Record] = {}
    for index, value in enumerate(values):
        key = value.get("recordId") if isinstance(value, dict) else None
        if not isinstance(value, dict) or isinstance(key, bool) or not isinstance(key, str | int):
            raise UsageError(f"record {index} of 'values' has no recordId", hint=f"send {_SHAPE}")
        if (type(key), key) in found:
            repeated = UsageError("'recordId' is used by more than one record of the request")
            found[type(key), key] = Record(key, error=repeated)
        else:
            found[type(key), key] = _record(key, value.get("data"))
    yield from found.values()


def _bare(value: Mapping[str, object]) -> SkillRequest:
    record = _record("", value)
    if record.error is not None:
        raise record.error
    return SkillRequest((record,), bare=True)


def _record(key: RecordId, data: object) -> Record:
    if not isinstance(data, dict):
        return Record(key, error=UsageError("'data' is missing or not an object"))
    given = [name for name in INPUTS if data.get(name) is not None]
    if not given:
        return Record(key, error=UsageError("'image' is missing", hint=f"send {_SHAPE}"))
    if len(given) > 1:
        names = " and ".join(f"'{name}'" for name in given)
        return Record(key, error=UsageError(f"expected one of 'image', 'images', 'pages', found {names}"))
    [name] = given
    value = data[name]
    if name == "image":
        return Record(key, (_picture(name, value),))
    items = value if isinstance(value, list) else [value]
    return Record(key, tuple(_picture(f"{name}[{i}]", item) for i, item in enumerate(items)), paged=True)


def _picture(name: str, value: object) -> Picture:
    """Search's own objects may say more (`$type`, `contentType`, `width`, …): all but `data` is left alone."""
    if isinstance(value, dict):
        if not isinstance(value.get("data"), str):
            hint = "pictures are sent as base64; addresses are not fetched"
            return Picture(name, error=UsageError(f"'{name}' has no 'data' in base64", hint=hint))
        value = value["data"]
    if not isinstance(value, str):
        return Picture(name, error=UsageError(f"'{name}' is not a base64 string or a file object"))
    try:
        return Picture(name, decode_base64(value))
    except ValueError:
        return Picture(name, error=UsageError(f"'{name}' is not valid base64"))


Page = list[dict[str, Any]] | CvaError


def _pages(
    record: Record, outcomes: Iterator[Scored | None], labels: Sequence[str], late: DeadlineError
) -> Iterator[Page]:
    """The objects of each picture, or why there are none; takes from `outcomes` what belongs to the record."""
    for number, picture in enumerate(record.pictures, 1):
        if picture.error is not None:
            yield picture.error
            continue
        scored = next(outcomes)
        if scored is None:
            yield late
        elif scored.found is None:
            yield scored.error or UsageError("no answer")
        else:
            boxes = to_element("", scored.found, labels)["boxes"]
            page = {"page": number} if record.paged else {}
            yield [{"label": each["label"], "score": each["score"], "box": each["box"], **page} for each in boxes]


def _answer(record: Record, pages: list[Page]) -> dict[str, Any]:
    problems = [
        (page, _message(page, picture))
        for page, picture in zip(pages, record.pictures, strict=True)
        if isinstance(page, CvaError)
    ]
    if record.error is not None:
        return _failed(record, [record.error.message])
    if any(isinstance(error, DeadlineError) for error, _ in problems) or (pages and len(problems) == len(pages)):
        return _failed(record, [message for _, message in problems])
    warnings = [message for _, message in problems] or ([] if pages else ["the record has no pictures"])
    return {"recordId": record.id, "data": _outputs(pages), "errors": None, "warnings": _messages(warnings)}


def _failed(record: Record, messages: Sequence[str]) -> dict[str, Any]:
    return {"recordId": record.id, "data": {}, "errors": _messages(messages), "warnings": None}


def _messages(texts: Sequence[str]) -> list[dict[str, str]] | None:
    return [{"message": text} for text in texts] or None


def _message(error: CvaError, picture: Picture) -> str:
    return error.message if error is picture.error else f"'{picture.name}': {error.message}"


def _outputs_of(record: Record, pages: list[Page]) -> dict[str, Any]:
    for page in pages:
        if isinstance(page, CvaError):
            raise page
    return _outputs(pages)


def _outputs(pages: Sequence[Page]) -> dict[str, Any]:
    objects = [found for page in pages if not isinstance(page, CvaError) for found in page]
    labels = list(dict.fromkeys(found["label"] for found in objects))
    return {"objects": objects, "tags": labels, "objectCount": len(objects), "amllabel": list(labels)}
