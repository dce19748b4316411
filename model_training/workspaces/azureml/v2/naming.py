"""How a full name and a version are spelt where batch endpoints allow little: 3-32 letters, digits and hyphens.

An endpoint's name is also a host's, unique in a whole Azure region: the workspace is part of what is hashed. Knows no
SDK. The full name stands in the endpoint's tag.
"""

from __future__ import annotations

import hashlib
import re

NAME_TAG = "cva_endpoint"
LONGEST = 32
_DEPLOYMENT = re.compile(r"v(0[1-9]|[1-9][0-9]+)")


def endpoint_name(full: str, workspace: str = "") -> str:
    """The same for the same name in the same workspace (its ARM path), another for any other: letters and a hash."""
    digest = hashlib.sha256((workspace.lower() + full).encode()).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9]+", "-", full.lower()).strip("-")
    if not readable or not readable[0].isalpha():
        readable = f"e-{readable}".strip("-")
    return f"{readable[: LONGEST - 9].rstrip('-')}-{digest}"


def component_name(full: str) -> str:
    """Components take letters, digits and underscores; each workspace has its own."""
    return endpoint_name(full).replace("-", "_")


def deployment_name(version: int) -> str:
    """v01, v02, … v100: a deployment's name has three characters at least."""
    return f"v{version:02}"


def deployment_version(name: str) -> int | None:
    """None for a deployment that somebody else made."""
    match = _DEPLOYMENT.fullmatch(name)
    return int(match[1]) if match else None
