"""Where a registered version came from, and which images it has seen: `models/<name>/lineage/<version>.json`.

The gate asks for the images to find leaks. Knows nothing about registries or MLflow.
"""

from __future__ import annotations

import base64
import json
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from model_training.workspaces import files

PACKAGES = ("cv-accelerator", "torch", "numpy", "pillow", "onnx", "onnxruntime", "optuna", "opencv-python-headless")
SEEN_PARTS = ("train", "validation")  # validation chose the epoch and the threshold: it counts as seen


def describe(
    manifest: Mapping[str, Any], run_id: str, seen: Iterable[str], step: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Data, split, commit and seed as the manifest has them, the packages of this process, the images' hashes.

    `step`: what the published step that did it was made of, where one did: its environment, the hash of its files.
    """
    source = manifest.get("source", {})
    facts = {key: source.get(key) for key in ("dataset", "split_sha256", "git_commit", "seed")}
    made_by = {"step": dict(step)} if step else {}
    return {"schema": 1, "run_id": run_id, **facts, "environment": environment(), **made_by, "trained_on": pack(seen)}


def environment() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def pack(hashes: Iterable[str]) -> str:
    """SHA-256 digests in base64, 32 bytes each, sorted: two thirds of their hexadecimal size."""
    return base64.b64encode(b"".join(bytes.fromhex(each) for each in sorted(set(hashes)))).decode("ascii")


def unpack(text: str) -> frozenset[str]:
    data = base64.b64decode(text, validate=True)
    return frozenset(data[i : i + 32].hex() for i in range(0, len(data), 32))


def seen_images(dataset: Path) -> frozenset[str]:
    """Content hashes of the images of a stored dataset version's training and validation parts."""
    return frozenset(sha for part in SEEN_PARTS for sha in _hashes(dataset / f"{part}.jsonl"))


def _hashes(path: Path) -> Iterable[str]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            sha = json.loads(line).get("sha256", "") if line.strip() else ""
            if sha:
                yield sha


def read(path: Path) -> dict[str, Any]:
    """An older version may have none: empty then."""
    try:
        return files.read_json(path, "a model's lineage")
    except FileNotFoundError:
        return {}
