"""Where a row's image is: the forms of `image_url` that CONTRACTS 2 allows, taken apart and resolved.

    azureml://subscriptions/S/resourcegroups/R/workspaces/W/datastores/D/paths/P     azureml://datastores/D/paths/P
    AmlDatastore://D/P          file:///absolute/path          a path relative to the JSONL file

Opens nothing and does not know where a datastore lies: the caller's resolver does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from model_training.data.row_checks import shown
from model_training.data.rows import Row
from scoring.errors import DataError

Resolver = Callable[[str, str], Path]  # (datastore, path in it) -> the file

_LONG = re.compile(r"azureml://(?:[^/]+/.*?/)??datastores/([^/]+)/paths/(.+)", re.IGNORECASE | re.DOTALL)
_SHORT = re.compile(r"AmlDatastore://([^/]+)/(.+)", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_FORMS = "azureml://…/datastores/D/paths/P, AmlDatastore://D/P, file: or a relative path"


def datastore_path(url: str) -> tuple[str, str] | None:
    """The datastore and the path in it, or None where `url` is a local path."""
    match = "://" in url and (_LONG.fullmatch(url) or _SHORT.fullmatch(url))
    return (match[1], match[2]) if match else None


def url_fault(url: object) -> str | None:
    """Reason why `url` names no image, or None."""
    if not isinstance(url, str) or not url.strip():
        return f"image_url: expected {_FORMS}, found {shown(url)}"
    if "\0" in url:
        return "image_url: holds a NUL character"
    inside = datastore_path(url)
    if inside:
        return "image_url: '..' leads out of the datastore" if ".." in PurePosixPath(inside[1]).parts else None
    scheme = _SCHEME.match(url)
    if url[:5].lower() == "file:":
        return _file_fault(url)
    return f"image_url: expected {_FORMS}, found {shown(url)}" if scheme else None


def url_path(url: str) -> str:
    """The path that `url` holds, with forward slashes: in its datastore, of its file, or relative as it stands."""
    inside = datastore_path(url)
    if inside:
        return inside[1]
    return _file_path(url) if url[:5].lower() == "file:" else url


def url_suffix(url: str) -> str | None:
    """The ending of the file's name without the dot, or None."""
    name = url_path(url).rpartition("/")[2]
    stem, _, suffix = name.rpartition(".")
    return suffix or None if stem else None


def resolve_image(row: Row, jsonl_path: Path, resolver: Resolver | None = None) -> Path:
    """The image file of `row`; relative paths start at the folder of `jsonl_path`.

    Raises: DataError for an image in a datastore when there is no `resolver`, or for an `image_url` of another form.
    """
    fault = url_fault(row.image_url)
    if fault:
        raise DataError(f"{jsonl_path}: {fault}", hint="correct the line")
    inside = datastore_path(row.image_url)
    if inside is None:
        return jsonl_path.parent / url_path(row.image_url)
    if resolver is None:
        raise DataError(
            f"{jsonl_path}: the image is in datastore {inside[0]!r}, which nothing here can reach",
            hint=f"add it with `cva datastore add {inside[0]} FOLDER`",
        )
    return resolver(*inside)


def _file_path(url: str) -> str:
    return unquote(urlsplit(url.replace("?", "%3F").replace("#", "%23")).path)


def _file_fault(url: str) -> str | None:
    try:
        host, path = urlsplit(url).netloc, _file_path(url)
    except ValueError:
        return f"image_url: expected file:///path, found {shown(url)}"
    if host not in ("", "localhost") or not path or "\0" in path:
        return f"image_url: expected file:///path on this machine, found {shown(url)}"
    return None
