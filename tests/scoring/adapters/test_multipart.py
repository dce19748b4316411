"""A file field out of a multipart body: what clients send comes out byte for byte, the rest is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scoring.adapters.multipart import MAX_PARTS, read_field
from scoring.errors import UsageError

HEAD = b'Content-Disposition: form-data; name="imageData"; filename="a b.jpg"\r\nContent-Type: image/jpeg'


def body(content: bytes, boundary: str = "xyz", *, head: bytes = HEAD, before: bytes = b"") -> bytes:
    line = b"--" + boundary.encode()
    return before + line + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n" + line + b"--\r\n"


@given(st.binary())
@example(b"")
@example(b"\r\n\r\n--xy\r\n")
@example(b"--xy")
def test_content_comes_out_byte_for_byte(content: bytes) -> None:
    assert (
        read_field(
            body(content, "not-in-content-0123456789"),
            "multipart/form-data; boundary=not-in-content-0123456789",
            "imageData",
        )
        == content
    )


@pytest.mark.parametrize(
    "head",
    [
        b"content-disposition: form-data; name=imageData",  # RFC 2045 tokens may stand without quotes
        b'CONTENT-DISPOSITION:form-data; filename="x"; name="imageData"',  # in any order and case
        b'Content-Type: image/png\r\nContent-Disposition: form-data; name="imageData"',
    ],
)
def test_ways_to_name_a_field(head: bytes) -> None:
    assert read_field(body(b"abc", head=head), 'multipart/form-data; boundary="xyz"', "imageData") == b"abc"


def test_a_field_that_is_only_named_like_it_is_not_it() -> None:
    head = b'Content-Disposition: form-data; name="other"; filename="imageData"'
    with pytest.raises(UsageError, match="named imageData"):
        read_field(body(b"abc", head=head), "multipart/form-data; boundary=xyz", "imageData")


def test_the_field_among_others() -> None:
    other = b'--xyz\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    assert read_field(body(b"abc", before=other), "multipart/form-data; boundary=xyz", "imageData") == b"abc"


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (body(b"abc"), "multipart/form-data"),  # no boundary
        (body(b"abc"), "multipart/form-data; boundary="),
        (body(b"abc"), "multipart/form-data; boundary=" + "x" * 71),
        (body(b"abc"), "multipart/form-data; boundary=ü"),
        (body(b"abc"), "multipart/form-data; boundary=other"),
        (body(b"abc")[:-8], "multipart/form-data; boundary=xyz"),  # cut off
        (b"", "multipart/form-data; boundary=xyz"),
        (b"--xyz--\r\n", "multipart/form-data; boundary=xyz"),  # no field at all
        (body(b"abc", head=b"X: y"), "multipart/form-data; boundary=xyz"),
        (b"--xyz\r\n" * (MAX_PARTS + 1) + b"--xyz--", "multipart/form-data; boundary=xyz"),
    ],
)
def test_what_is_refused(data: bytes, content_type: str) -> None:
    with pytest.raises(UsageError):
        read_field(data, content_type, "imageData")


@given(st.binary(max_size=300), st.text(max_size=100))
def test_anything_else_is_refused_or_read_and_nothing_breaks(data: bytes, content_type: str) -> None:
    for kind in (content_type, "multipart/form-data; boundary=x"):
        try:
            assert isinstance(read_field(data, kind, "imageData"), bytes)
        except UsageError as error:
            assert error.hint
