"""No server at all: the CPU that one image costs, in a loop. Reads a number of images a line, writes what they cost.

`score` is `scoring.scorer.score_image` and the answer as JSON text; `floor` is decoding and ONNX Runtime alone, on
arrays that were prepared before the clock was started.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from scoring.detector import Detector
from scoring.images import open_image, preprocess
from scoring.scorer import score_image
from scoring.wire import to_element


def main() -> None:
    folder = Path(os.environ["CVA_BENCH_FOLDER"])
    detector = Detector.load(folder / "bundle", threads=1)
    pictures = [path.read_bytes() for path in sorted((folder / "pictures").iterdir())]
    loops = {"score": score(detector, pictures), "floor": floor(detector, pictures)}
    for one in loops.values():
        measured(one, len(pictures), len(pictures))
    print("ready", flush=True)
    for line in sys.stdin:
        each = {name: measured(one, int(line), len(pictures)) for name, one in loops.items()}
        print(json.dumps(each), flush=True)


def score(detector: Detector, pictures: Sequence[bytes]) -> Callable[[int], object]:
    def one(index: int) -> object:
        found = score_image(detector, pictures[index]).found
        assert found is not None
        return json.dumps([to_element("image_0", found, detector.labels)])

    return one


def floor(detector: Detector, pictures: Sequence[bytes]) -> Callable[[int], object]:
    """A session of its own, with the settings that a detector's has."""
    from scoring.session import runtime

    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(detector.bundle.model, options, providers=["CPUExecutionProvider"])
    spec, threshold = detector.bundle.preprocess, detector.bundle.postprocess.score_threshold
    low = np.array(min(threshold.values()) if isinstance(threshold, Mapping) else threshold, np.float32)
    shape = next(each.shape for each in session.get_inputs() if each.name == "score_threshold")
    arrays = [preprocess(open_image(each), spec)[0][None] for each in pictures]

    def one(index: int) -> object:
        open_image(pictures[index])
        return session.run(None, {"images": arrays[index], "score_threshold": low.reshape([1] * len(shape))})

    return one


def measured(one: Callable[[int], object], count: int, pictures: int) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    for index in range(count):
        one(index % pictures)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_ms": cpu / count * 1000, "wall_ms": wall / count * 1000}


if __name__ == "__main__":
    main()
