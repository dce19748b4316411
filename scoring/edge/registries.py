"""Which registry a text means: a workspace, a folder, a web server. The only place that knows all the kinds."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scoring.edge.registry import LocalRegistry, Registry
from scoring.errors import UsageError

REGISTRY = "CVA_REGISTRY"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two letters at least: `C:` is a drive
KINDS = "a workspace's folder, file:FOLDER or https://HOST/PATH"


def open_registry(text: str | None = None) -> Registry:
    """Nothing is CVA_REGISTRY, else the workspace; a path is a workspace or a folder that `publish-static` wrote.

    Raises: UsageError.
    """
    text = text or os.environ.get(REGISTRY)
    if not text:
        return LocalRegistry.of()
    scheme = _SCHEME.match(text)
    if scheme is None:
        return _folder(Path(text))
    kind = scheme[1].lower()
    if kind == "file":
        return LocalRegistry(_file(text))
    if kind in ("https", "http"):
        from scoring.edge.static import StaticRegistry

        return StaticRegistry.at(text)
    raise UsageError(f"expected a registry of {KINDS}, found one of {kind}:", hint="see docs/edge.md")


def _folder(path: Path) -> LocalRegistry:
    plain = path.expanduser().absolute()
    return LocalRegistry(plain) if (plain / "registry.json").is_file() else LocalRegistry.of(plain)


def _file(text: str) -> Path:
    """`file:///srv/models`, `file:/srv/models` and `file:models` (from here)."""
    if not text.lower().startswith("file://"):
        return Path(unquote(text[len("file:") :])).expanduser().absolute()
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise UsageError(f"expected file:///FOLDER, found {text!r}", hint="three slashes, or file:FOLDER from here")
    return Path(unquote(parts.path))
