"""One image through a graph that a stranger made, in a process of its own: what it eats or breaks stays there.

Knows the manifest, and nothing about where the graph came from.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_training.errors import CvaError, IncompatibleError

TIMEOUT_SECONDS = 300.0  # a Faster R-CNN takes some seconds on one core
MAX_WORDS = 600


def probe(
    folder: Path,
    manifest: Mapping[str, Any],
    image: Path,
    *,
    timeout: float = TIMEOUT_SECONDS,
    memory: int | None = None,
) -> int:
    """How many boxes `folder/model.onnx` finds, with `memory` bytes at most (default: what is available now).

    Raises: IncompatibleError where it does not answer as the manifest says.
    """
    import model_training
    from scoring.edge.selftest import ANY, memory_limit

    root = Path(str(model_training.__file__)).resolve().parents[1]
    most = memory_limit(memory)
    limit = ANY if most is None else str(most)
    command = [sys.executable, "-m", __name__, str(folder.absolute()), str(image.absolute()), limit]
    text = json.dumps(manifest).encode()
    try:
        done = subprocess.run(command, cwd=root, input=text, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise _failed(image, f"no answer within {timeout:g} s") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()  # the graph has a say in them
        words = lines[-1] if lines and done.returncode > 0 else f"its process ended with status {done.returncode}"
        raise _failed(image, words[:MAX_WORDS])
    return int(json.loads(done.stdout)["boxes"])


def _failed(image: Path, why: str) -> IncompatibleError:
    return IncompatibleError(
        f"model.onnx does not score {image.name}: {why}",
        hint="train again, or take another algorithm; nothing was registered",
    )


def _boxes(folder: Path, manifest: Mapping[str, Any], image: Path) -> int:
    from model_training.evaluation.thresholds import FLOOR
    from scoring.bundle import LoadedBundle
    from scoring.detector import Detector
    from scoring.images import open_image
    from scoring.manifest import Manifest

    detector = Detector.load(LoadedBundle(folder, Manifest.parse(dict(manifest))))
    return len(detector.detect([open_image(image)], score_threshold=FLOOR)[0])


def main(arguments: Sequence[str]) -> int:
    """FOLDER, IMAGE and the bytes of memory that it may take (or `any`); the manifest on standard input."""
    from scoring.edge.selftest import ANY, limit_memory

    folder, image, limit = Path(arguments[0]), Path(arguments[1]), arguments[2]
    try:
        manifest = json.loads(sys.stdin.buffer.read())
        limit_memory(None if limit == ANY else int(limit))
        found = _boxes(folder, manifest, image)
    except CvaError as error:
        print(error.message.replace("\n", " "), file=sys.stderr)
        return 1
    except MemoryError:
        print(f"it needs more memory than it may take ({limit} bytes)", file=sys.stderr)
        return 1
    print(json.dumps({"boxes": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
