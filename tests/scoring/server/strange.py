"""Requests that nobody should send: bodies and images from nearly right to noise, for hypothesis to draw."""

from __future__ import annotations

import base64
import functools
import io
import json
import struct
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from PIL import Image

KINDS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")
PATHS = (
    "/score",
    "/score?threshold=0.5",
    "/skill",
    "/api/extraction",
    "/image",
    "/invocations",
    "/v2/models/Caps/infer",
)
TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    "text/json",
    "application/octet-stream",
    "image/jpeg",
    "image/png",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
    "text/plain",
    "image/svg+xml",
    "",
    ";;;",
    "application/json" * 50,
)
# fmt: off
WORDS = (
    "input_data", "columns", "index", "data", "image", "image_base64", "values", "recordId", "images", "pages",
    "$type", "inputs", "instances", "dataframe_split", "dataframe_records", "params", "id", "name", "shape",
    "datatype", "parameters", "outputs", "binary_data_size", "url", "Url",
)
# fmt: on
BOUNDS = 1 << 14  # bytes of noise at most


@dataclass(frozen=True)
class Request:
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"


@functools.cache
def real_images() -> tuple[bytes, ...]:
    """Small ones of every kind, with EXIF, animation and a palette among them."""
    found = []
    for kind in KINDS:
        for mode in ("RGB", "L", "P") if kind not in ("JPEG", "WEBP") else ("RGB", "L"):
            file = io.BytesIO()
            picture = Image.radial_gradient("L").resize((32, 24)).convert(mode)
            exif = Image.Exif()
            exif[0x0112] = 6
            picture.save(file, kind, exif=exif) if kind in ("JPEG", "PNG", "WEBP") else picture.save(file, kind)
            found.append(file.getvalue())
    frames = [Image.new("P", (8, 8), number) for number in range(3)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        found.append(file.getvalue())
    return tuple(found)


@st.composite
def images(draw: st.DrawFn) -> bytes:
    """A real image with some bytes changed, a piece cut out or put in, most of it near the header."""
    data = bytearray(draw(st.sampled_from(real_images())))
    for _ in range(draw(st.integers(0, 4))):
        if not data:
            break
        near = min(len(data) - 1, 64) if draw(st.booleans()) else len(data) - 1
        at = draw(st.integers(0, near))
        what = draw(st.sampled_from(("byte", "word", "cut", "end", "put", "again")))
        if what == "byte":
            data[at] = draw(st.integers(0, 255))
        elif what == "word":  # sizes and offsets live in these
            data[at : at + 4] = struct.pack(draw(st.sampled_from("<>")) + "I", draw(st.integers(0, 2**32 - 1)))
        elif what == "cut":
            del data[at : at + draw(st.integers(1, 64))]
        elif what == "end":
            del data[at:]
        elif what == "put":
            data[at:at] = draw(st.binary(max_size=64))
        else:
            data[at:at] = data[at : at + 64] * draw(st.integers(1, 8))
    return bytes(data)


def texts() -> st.SearchStrategy[str]:
    """What may stand where base64 should."""
    encoded = st.one_of(images(), st.binary(max_size=200)).map(lambda data: base64.b64encode(data).decode())
    return st.one_of(
        encoded,
        encoded.map(lambda text: f"data:image/png;base64,{text}"),
        encoded.map(lambda text: json.dumps({"image_base64": text})),
        encoded.map(lambda text: text[1:]),
        encoded.map(lambda text: "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))),
        st.text(max_size=60),
        st.text(alphabet="ABCabc019+/=-_ \r\n", max_size=80),
        st.sampled_from(("", "data:;base64,", "http://169.254.169.254/", "file:///etc/passwd", "{}", "\ud800", "\x00")),
    )


def values() -> st.SearchStrategy[Any]:
    """Any JSON value; numbers that no float holds among them."""
    numbers = st.one_of(
        st.integers(), st.floats(), st.sampled_from((10**400, -(10**400), 2**63, -1, 0, 1e308, float("nan")))
    )
    leaves = st.one_of(st.none(), st.booleans(), numbers, texts())
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text(max_size=8)), inner, max_size=4),
        ),
        max_leaves=8,
    )


def nearly_right(image: str, name: Any) -> dict[str, tuple[Any, ...]]:
    """Messages of each interface around one text."""
    record = {"recordId": name, "data": {"image": {"$type": "file", "data": image}}}
    skill = ({"values": [record]}, {"values": [record, record]}, {"recordId": "0", "data": {"images": [image]}})
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [image]}
    return {
        "/score": (
            {"input_data": {"columns": ["image"], "data": [image]}},
            {"input_data": {"columns": ["image"], "index": [0], "data": [[image]]}},
            {"data": [image, image]},
        ),
        "/skill": skill,
        "/api/extraction": skill,
        "/image": ({"url": image},),
        "/v2/models/Caps/infer": ({"inputs": [tensor]}, {"inputs": [tensor], "parameters": {"threshold": name}}),
        "/invocations": (
            {"inputs": [image]},
            {"inputs": {"image": [image]}},
            {"dataframe_split": {"columns": ["image"], "data": [[image]]}},
        ),
    }


@st.composite
def messages(draw: st.DrawFn, path: str = "") -> Any:
    """A message of one of the interfaces, with perhaps one of its parts replaced."""
    choices = nearly_right(draw(texts()), draw(st.one_of(st.just("0"), values())))
    message = draw(st.sampled_from(choices[path or draw(st.sampled_from(sorted(choices)))]))
    return _replace(message, draw) if draw(st.integers(0, 2)) == 0 else message


def _replace(value: Any, draw: st.DrawFn) -> Any:
    """Somewhere in `value`, something else."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: _replace(value[key], draw)}
    if isinstance(value, list) and value and draw(st.booleans()):
        return [_replace(value[0], draw), *value[1:]]
    return draw(values())


def _twice(text: str, word: str) -> str:
    """The first object with one of its keys a second time."""
    return text.replace("{", f'{{"{word}": 1,', 1)


def bodies() -> st.SearchStrategy[bytes]:
    written = st.one_of(messages(), values()).map(json.dumps)
    return st.one_of(
        written.map(str.encode),
        written.map(str.encode),
        images(),
        st.tuples(written, st.sampled_from(WORDS)).map(lambda pair: _twice(*pair).encode()),
        st.tuples(written, st.integers(0, 200)).map(lambda pair: pair[0].encode()[: pair[1]]),
        st.tuples(written, st.sampled_from(("utf-16", "utf-32", "utf-8-sig", "cp037"))).map(
            lambda pair: pair[0].encode(pair[1])
        ),
        st.tuples(written, st.binary(max_size=8)).map(lambda pair: pair[0].encode() + pair[1]),
        st.tuples(st.sampled_from(("[", '{"data":', '{"values":[', "[[", '"')), st.integers(1, 3000)).map(
            lambda pair: (pair[0] * pair[1]).encode()[:BOUNDS]
        ),
        st.integers(1, 5000).map(lambda digits: b'{"data":[' + b"9" * digits + b"]}"),
        st.integers(1, 400).map(lambda digits: b'{"data":[1e' + b"9" * digits + b"]}"),
        st.tuples(messages(), st.sampled_from(("jpg", "x"))).map(lambda pair: _multipart(json.dumps(pair[0]).encode())),
        images().map(_multipart),
        st.binary(max_size=300),
    )


def _multipart(part: bytes) -> bytes:
    head = b'--x\r\ncontent-disposition: form-data; name="imageData"; filename="a.jpg"\r\n\r\n'
    return head + part + b"\r\n--x--\r\n"


def fitting() -> st.SearchStrategy[Request]:
    """One that its route reads to the end: an image's bytes, or a message of that interface."""
    raw = st.builds(
        Request,
        st.sampled_from(("/score", "/score?threshold=0.5", "/image")),
        images(),
        st.sampled_from(("application/octet-stream", "image/jpeg", "image/png")).map(_typed),
    )
    told = st.sampled_from(sorted(nearly_right("", ""))).flatmap(
        lambda path: messages(path).map(
            lambda message: Request(path, json.dumps(message).encode(), _typed("application/json"))
        )
    )
    return raw | told


def misfitting() -> st.SearchStrategy[Request]:
    """Headers, paths and methods that should stop it before, and bodies of something else."""
    printable = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
    extra = st.fixed_dictionaries(
        {},
        optional={
            "content-encoding": st.sampled_from(("gzip", "identity", "br", "x" * 300)),
            "accept": printable,
            "x-request-id": printable,
            "x-ms-client-request-id": printable,
            "inference-header-content-length": st.sampled_from(("0", "-1", "99999999999", "x")),
            "expect": st.just("nothing"),
        },
    )
    types = st.sampled_from(TYPES + TYPES[:1] * 12).map(_typed)
    headers = st.tuples(types, st.just({}) | extra).map(lambda pair: {**pair[0], **pair[1]})
    queries = (
        "threshold=nan",
        "threshold=-1",
        "threshold=1e400",
        "threshold=%00",
        "threshold=&x=%ff",
        "threshold=1" * 2,
    )
    path = st.sampled_from(PATHS * 2 + tuple(f"/score?{query}" for query in queries))
    method = st.sampled_from(("POST",) * 30 + ("PUT", "GET", "DELETE", "PATCH", "TRACE"))
    return st.builds(Request, path, bodies(), headers, method)


def lookups() -> st.SearchStrategy[Request]:
    """Paths that are there, nearly there, or lead out of a folder."""
    known = (
        "/",
        "/page/page.js",
        "/page/",
        "/health/ready",
        "/metadata",
        "/metrics",
        "/openapi.json",
        "/v2/models/Caps",
    )
    noise = (
        "..",
        "%2e%2e",
        "%2f",
        "//",
        "%00",
        "%ff",
        "%0d%0ax:1",
        ".",
        ";",
        "?",
        "?x=%",
        "etc/passwd",
        "\\",
        "%c0%ae",
    )
    tail = st.lists(st.sampled_from((*noise, "/", "a" * 3000)), max_size=4).map("".join)
    accept = st.sampled_from(("text/html", "*/*", "text/html;q=x", ",;,q=", "text/plain;q=0.1, text/html;q=1e9"))
    headers = accept.map(lambda value: {"accept": value, "if-none-match": '*, W/"x'})
    path = st.builds(str.__add__, st.sampled_from(known), tail)
    return st.builds(Request, path, st.just(b""), headers, st.sampled_from(("GET", "GET", "GET", "HEAD", "OPTIONS")))


def requests() -> st.SearchStrategy[Request]:
    return st.one_of(fitting(), fitting(), misfitting(), misfitting(), lookups())


def _typed(kind: str) -> dict[str, str]:
    return {"content-type": kind}
