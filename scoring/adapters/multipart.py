"""One file out of a multipart/form-data body (RFC 7578), without a parser of its own to install.

Takes what clients send for a file field and nothing more: no transfer encodings, no nested parts. Knows no HTTP.
"""

from __future__ import annotations

import re
from email.message import Message

from scoring.errors import UsageError

MAX_PARTS = 32
MAX_HEAD = 8 << 10  # bytes of a part's head, and of the content type: what reads them slows down with the square
_HINT = "send the image's bytes alone, or one multipart file field named imageData"


def read_field(body: bytes, content_type: str, name: str) -> bytes:
    """The content of the first field of that name.

    Raises: UsageError.
    """
    delimiter = b"\r\n--" + _boundary(content_type)
    pieces = (b"\r\n" + body).split(delimiter, MAX_PARTS + 1)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise UsageError(f"expected a multipart body of at most {MAX_PARTS} parts, closed by its boundary", hint=_HINT)
    for piece in pieces[1:-1]:
        head, blank, content = piece.partition(b"\r\n\r\n")
        if blank and len(head) <= MAX_HEAD and _name(head) == name:
            return content
    raise UsageError(f"expected a multipart field named {name}, found none", hint=_HINT)


def _boundary(content_type: str) -> bytes:
    header = Message()
    header["content-type"] = content_type if len(content_type) <= MAX_HEAD else ""
    boundary = header.get_param("boundary", "")
    if not isinstance(boundary, str) or not re.fullmatch(r"[\x20-\x7e]{0,69}[\x21-\x7e]", boundary):
        raise UsageError("expected a multipart content type with a boundary", hint=_HINT)
    return boundary.encode("ascii")


def _name(head: bytes) -> str:
    found = re.search(rb'content-disposition:\s*form-data\b[^\r\n]*?;\s*name="?([^";\r\n]*)', head, re.IGNORECASE)
    return found[1].decode("utf-8", "replace") if found else ""
