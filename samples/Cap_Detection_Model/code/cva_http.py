"""POST /score under Azure ML's inference server: the same requests, answers and refusals as the scoring server's.

Takes the server's request object (Flask's: method, headers, args, stream) and gives status, body and headers; imports
no web framework. A body is read up to a limit, before anything of it is looked at.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from scoring.errors import CvaError, ImageError, UsageError
from scoring.images import ImageLimits
from scoring.scorer import Scored
from scoring.wire import parse_score_request

MIB = 1 << 20
MAX_BODY = 64 * MIB  # bytes of one request's body
MAX_IMAGES = 1000  # in one request
RAW = {
    "application/octet-stream": None,
    "image/jpeg": "JPEG",
    "image/jpg": "JPEG",
    "image/png": "PNG",
    "image/bmp": "BMP",
    "image/x-ms-bmp": "BMP",
    "image/tiff": "TIFF",
    "image/webp": "WEBP",
}
IMAGE_STATUS = {"image_too_large": 413, "format_not_allowed": 415}
CODES = {400: "bad_request", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F))

logger = logging.getLogger("cva")


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Refused(CvaError):
    """A request that HTTP itself has a status for."""

    def __init__(self, status: int, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.status = status


def reply(model: Any, request: Any, request_id: str = "") -> Reply:
    """Never raises: a fault of our own is logged and answered without its reasons."""
    try:
        return _scored(model, request) if request.method == "POST" else _other_method(request)
    except (Refused, UsageError, ImageError) as error:
        return refusal(error, request_id)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]  # the place alone: no log holds a traceback
        where = f"{frame.filename}:{frame.lineno}"
        logger.error("request %s failed: %s: %s (%s)", request_id, type(error).__name__, error, where)
        words = "the model failed on this request; the log says why"
        return _json({"message": words, "request_id": request_id}, 500)


def answer(model: Any, text: str | bytes) -> Any:
    """The same without HTTP: the answer to a JSON body, or the body of its refusal."""
    try:
        return model.answer(text)
    except UsageError as error:
        return json.loads(refusal(error).body)


def refusal(error: CvaError, request_id: str = "") -> Reply:
    status, code = (error.status, "") if isinstance(error, Refused) else (400, "")
    if isinstance(error, ImageError):
        status, code = IMAGE_STATUS.get(error.code, 400), error.code
    facts = {"code": code or CODES[status], "message": error.message, "hint": error.hint}
    return _json({"error": facts, "request_id": request_id}, status)


def _scored(model: Any, request: Any) -> Reply:
    raw, threshold = _is_raw(request), _threshold(request)
    body = _read(request)
    images = [body] if raw else parse_score_request(body)
    if len(images) > MAX_IMAGES:
        raise Refused(
            413,
            f"expected at most {MAX_IMAGES} images a request (max_images), found {len(images)}",
            hint="send them in several requests",
        )
    scored = [model.score(image, threshold) for image in images]
    if raw and scored[0].error is not None:
        raise scored[0].error
    return _json(model.elements(scored), 200, _headers(model, scored))


def _headers(model: Any, scored: list[Scored]) -> dict[str, str]:
    decode, infer = (sum(times) for times in ([s.decode_ms for s in scored], [s.infer_ms for s in scored]))
    timing = f"decode;dur={decode:.1f}, infer;dur={infer:.1f}"
    name, version = quote(model.name, PRINTABLE), quote(model.version, PRINTABLE)  # a header holds nothing else
    return {"x-model-name": name, "x-model-version": version, "server-timing": timing}


def _is_raw(request: Any) -> bool:
    """Whether the body is an image itself. Raises: Refused for what is neither that nor JSON."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Refused(415, "expected no Content-Encoding, found one", hint="send the bytes as they are")
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("application/json", "text/json") or (kind.startswith("application/") and kind.endswith("+json")):
        return False
    if kind in RAW and (RAW[kind] is None or RAW[kind] in ImageLimits().formats):
        return True
    found = "another" if kind else "none"
    raise Refused(
        415, f"expected Content-Type application/json, {', '.join(RAW)}, found {found}", hint="say what the body is"
    )


def _threshold(request: Any) -> float | None:
    """`?threshold=0.4`. Raises: UsageError."""
    given = request.args.getlist("threshold")
    if not given:
        return None
    if len(given) > 1 or not NUMBER.fullmatch(given[0]) or not 0 <= (value := float(given[0])) <= 1:
        raise UsageError("expected one threshold from 0 to 1, found something else", hint="for example ?threshold=0.4")
    return value


def _read(request: Any) -> bytes:
    """Raises: Refused for a body over the limit, as declared or as streamed."""
    declared = request.headers.get("Content-Length", "")
    if declared.isdigit() and int(declared) > MAX_BODY:
        raise _too_large(request, f"{declared} bytes")
    blocks, size = [], 0
    while block := request.stream.read(min(MIB, MAX_BODY + 1 - size)):
        blocks.append(block)
        size += len(block)
        if size > MAX_BODY:
            raise _too_large(request, f"more than {MAX_BODY} bytes")
    return b"".join(blocks)


def _too_large(request: Any, found: str) -> Refused:
    """Reads on for a while, so that a caller who listens only after sending hears the answer."""
    left = MAX_BODY
    while left > 0 and (block := request.stream.read(MIB)):
        left -= len(block)
    return Refused(
        413, f"expected a body of at most {MAX_BODY} bytes, found {found}", hint="send fewer or smaller pictures"
    )


def _other_method(request: Any) -> Reply:
    """A browser asks with OPTIONS first; the server itself adds what it may do."""
    if request.method == "OPTIONS":
        return Reply(200)
    raise Refused(405, f"expected POST, found {request.method}", hint="POST JSON or an image's bytes")


def _json(value: Any, status: int, headers: dict[str, str] | None = None) -> Reply:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Reply(status, text.encode(), {"Content-Type": "application/json", **(headers or {})})
