"""A bundle on this machine against its own golden answers, in a process, so that a crash of the runtime is contained.

`golden/expected.json`: {"score_threshold": number | null, "tolerance": {"box": 0.01, "score": 0.02},
"images": [{"file": "0001.jpg", "boxes": [<as in the /score answer>]}]}; null is the manifest's operating threshold.
Knows nothing about registries or which version is in use.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scoring.errors import CvaError, SelfTestError
from scoring.paths import check_path

TIMEOUT_SECONDS = 120
MAX_WORDS = 1000  # a failure is remembered
BOX_TOLERANCE, SCORE_TOLERANCE = 0.01, 0.02

Box = Mapping[str, Any]


def self_test(folder: Path, *, timeout: float = TIMEOUT_SECONDS, memory: int | None = None) -> None:
    """Run the golden images in a process of their own, with `memory` bytes at most (default: what is available now).

    Raises: SelfTestError.
    """
    import scoring
    from scoring.edge.room import available_memory

    package = Path(scoring.__file__).resolve().parents[1]  # also keeps files of the bundle off the import path
    most = memory or available_memory() or 0
    command = [sys.executable, "-m", "scoring.edge.selftest", str(folder.absolute()), str(most)]
    try:
        done = subprocess.run(command, cwd=package, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise _failed(folder, f"no answer within {timeout:g} s") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()  # a stranger's graph has a say in them
        words = lines[-1] if lines else f"it ended with status {done.returncode}"
        raise _failed(folder, words.removeprefix(_begin(folder.absolute()))[:MAX_WORDS])


def check_golden(folder: Path) -> int:
    """Score the golden images here and now; returns how many. Raises: SelfTestError, or what loading raises."""
    from scoring.bundle import load_bundle
    from scoring.detector import Detector
    from scoring.images import open_image
    from scoring.wire import to_element

    bundle = load_bundle(folder, verify=False)
    expected = _expected(folder)
    threshold = expected.get("score_threshold")
    detector = Detector.load(bundle)
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


def _begin(folder: Path) -> str:
    return f"the self-test of {folder} failed: "


def limit_memory(most: int) -> None:
    """No effect for 0, or where the system has no such limit."""
    if not most or sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main(arguments: Sequence[str]) -> int:
    """FOLDER and the bytes of memory that it may take (0: any)."""
    try:
        limit_memory(int(arguments[1]))
        count = check_golden(Path(arguments[0]))
    except CvaError as error:
        print(error.message, file=sys.stderr)
        return 1
    except MemoryError:
        print(f"it needs more than {int(arguments[1]) >> 20} MiB of memory", file=sys.stderr)
        return 1
    print(json.dumps({"images": count}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
