"""A bundle on this machine against its own golden answers, in a process, so that a crash of the runtime is contained.

`golden/expected.json`: {"score_threshold": number | null, "tolerance": {"box": 0.01, "score": 0.02},
"images": [{"file": "0001.jpg", "boxes": [<as in the /score answer>]}]}; null is the manifest's operating threshold.
Knows nothing about registries or which version is in use.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring.errors import CvaError, IncompatibleError, SelfTestError, UntestedError
from scoring.paths import check_path

TIMEOUT_SECONDS = 120
RESERVED = 64 << 20  # bytes that libraries reserve and never touch: they count against the limit
TIGHT = 256 << 20  # with less than this the runtime itself may not start, and how that looks differs each time
FAILED, NO_MEMORY, NO_PROVIDER = 4, 3, 5  # exit statuses; Python's own is 1
_NO_MEMORY_WORDS = (
    "bad_alloc",
    "Failed to allocate memory",
    "Cannot allocate memory",
)  # onnxruntime's and the system's
ANY = "any"  # memory, as an argument
MAX_WORDS = 1000  # a failure is remembered
BOX_TOLERANCE, SCORE_TOLERANCE = 0.01, 0.02

Box = Mapping[str, Any]


@dataclass(frozen=True)
class Ran:
    """`memory_bytes` is the most that the process held at a time; None where the system does not tell."""

    images: int
    memory_bytes: int | None


def self_test(
    folder: Path, *, provider: str = "cpu", timeout: float = TIMEOUT_SECONDS, memory: int | None = None
) -> Ran:
    """Run the golden images in a process of their own, with `memory` bytes at most (default: what is available now).

    On a GPU memory is not limited: drivers map far more than they use. Raises: SelfTestError; UntestedError where time
    or memory was short.
    """
    import scoring

    package = Path(scoring.__file__).resolve().parents[1]  # also keeps files of the bundle off the import path
    most = memory_limit(memory) if provider == "cpu" else None
    limit = ANY if most is None else str(most)
    command = [sys.executable, "-m", "scoring.edge.selftest", str(folder.absolute()), provider, limit]
    environ = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each of its threads reserves memory, and hangs without it
    try:
        done = subprocess.run(command, cwd=package, env=environ, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise _untested(folder, f"no answer within {timeout:g} s") from error
    except OSError as error:
        raise _untested(folder, f"no process could be started: {error.strerror}") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()  # a stranger's graph has a say in them
        words = lines[-1] if lines else f"it ended with status {done.returncode}"
        failed = _untested if _says_nothing(done.returncode, words, most) else _failed
        raise failed(folder, words.removeprefix(_begin(folder.absolute()))[:MAX_WORDS])
    return Ran(**json.loads(done.stdout.splitlines()[-1]))


def memory_limit(given: int | None) -> int | None:
    """`given`, else what is available now; None where this system does not tell."""
    from scoring.edge.room import available_memory

    if given is not None:
        return given
    available = available_memory()
    return None if available is None else available + RESERVED


def _says_nothing(status: int, words: str, most: int | None) -> bool:
    """About the bundle: memory was short, or the provider did not start."""
    if status in (NO_MEMORY, NO_PROVIDER) or any(each in words for each in _NO_MEMORY_WORDS):
        return True
    if status == -getattr(signal, "SIGKILL", 9):  # the system ends so what takes too much
        return True
    return status != FAILED and most is not None and most < TIGHT


def check_golden(folder: Path, provider: str = "cpu") -> int:
    """Score the golden images here and now; returns how many. Raises: SelfTestError, or what loading raises."""
    from scoring.bundle import load_bundle
    from scoring.detector import Detector
    from scoring.images import open_image
    from scoring.wire import to_element

    bundle = load_bundle(folder, verify=False)
    expected = _expected(folder)
    threshold = expected.get("score_threshold")
    detector = Detector.load(bundle, provider=provider)
    for item in expected["images"]:
        check_path(item["file"])
        [found] = detector.detect([open_image(folder / "golden" / item["file"])], score_threshold=threshold)
        boxes = to_element(item["file"], found, bundle.labels)["boxes"]
        operating = bundle.postprocess.score_threshold if threshold is None else threshold
        difference = compare(item["boxes"], boxes, expected.get("tolerance", {}), operating)
        if difference:
            raise _failed(folder, f"{item['file']}: {difference}")
    return len(expected["images"])


def compare(
    expected: Sequence[Box],
    found: Sequence[Box],
    tolerance: Mapping[str, float],
    threshold: float | Mapping[str, float],
) -> str:
    """What differs, or "". Each box has a partner within the tolerance, except where the score is at the threshold."""
    box, score = tolerance.get("box", BOX_TOLERANCE), tolerance.get("score", SCORE_TOLERANCE)
    free = list(found)
    missing = []
    for each in expected:
        partner = next((other for other in free if _alike(each, other, box, score)), None)
        missing.append(each) if partner is None else free.remove(partner)
    for word, boxes in (("missing", missing), ("unexpected", free)):
        for each in boxes:
            edge = threshold if isinstance(threshold, int | float) else threshold[each["label"]]
            if each["score"] > edge + score:
                return f"{word} {each['label']} {each['score']} at {list(each['box'].values())}"
    return ""


def _alike(left: Box, right: Box, box: float, score: float) -> bool:
    if left["label"] != right["label"] or abs(left["score"] - right["score"]) > score:
        return False
    return all(abs(left["box"][side] - right["box"][side]) <= box for side in left["box"])


def _expected(folder: Path) -> dict[str, Any]:
    try:
        value = json.loads((folder / "golden" / "expected.json").read_bytes())
    except FileNotFoundError as error:
        raise _failed(folder, "it holds no golden/expected.json") from error
    if not isinstance(value, dict) or not value.get("images"):
        raise _failed(folder, "golden/expected.json names no images")
    return value


def _failed(folder: Path, why: str) -> SelfTestError:
    return SelfTestError(f"{_begin(folder)}{why}", hint="the version in use stays; register a model that passes")


def _untested(folder: Path, why: str) -> UntestedError:
    hint = "the version in use stays; it is tried again by itself, later each time"
    return UntestedError(f"{_begin(folder)}{why}", hint=hint)


def _begin(folder: Path) -> str:
    return f"the self-test of {folder} failed: "


def limit_memory(most: int | None) -> None:
    """No effect for None, or where the system has no such limit."""
    if most is None or sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    least = max(1, most)  # Linux takes 0 for none
    resource.setrlimit(resource.RLIMIT_DATA, (least if hard == resource.RLIM_INFINITY else min(least, hard), hard))


def peak_memory() -> int | None:
    """The most that this process held at a time, its libraries included. Linux tells it of this program alone; what
    `getrusage` says may be of the one that started it.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), None)


def _mib(limit: str) -> str:
    return "there is" if limit == ANY else f"the {int(limit) >> 20} MiB that it may take"


def main(arguments: Sequence[str]) -> int:
    """FOLDER, the provider, and the bytes of memory that it may take (or `any`)."""
    folder, provider, limit = arguments
    try:
        limit_memory(None if limit == ANY else int(limit))
        count = check_golden(Path(folder), provider)
    except MemoryError:
        print(f"it needs more memory than {_mib(limit)}", file=sys.stderr)
        return NO_MEMORY
    except CvaError as error:
        print(error.message.replace("\n", " "), file=sys.stderr)
        at_fault = provider == "cpu" or not isinstance(error, IncompatibleError)  # else it may be the driver
        return FAILED if at_fault else NO_PROVIDER
    print(json.dumps({"images": count, "memory_bytes": peak_memory()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
