"""`cva serve` that counts, in its own process, how much CPU its parts took: for added.py.

    CVA_BENCH_PIPES=READ,WRITE python -m benchmarks.serving.entry_counted serve --bundle DIR --port 8080

Each line read from one pipe is answered on the other with the CPU-seconds so far: of the process, and within it of
decoding, of making the model's input of the pixels, of ONNX Runtime, and of the whole scoring function. The clocks are
the threads' own, so what else runs on the machine is in none of them.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

spent = {"decode": 0.0, "prepare": 0.0, "runtime": 0.0, "score": 0.0}
images = 0


def main() -> None:
    count()
    reader, writer = map(int, os.environ["CVA_BENCH_PIPES"].split(","))
    threading.Thread(target=answer, args=(reader, writer), daemon=True).start()
    from model_training.cli.main import main as cva

    sys.exit(cva())


def count() -> None:
    """Before the server takes these names into its own modules."""
    from scoring import detector, scorer, session

    detector.preprocess_into = counted("prepare", detector.preprocess_into)
    scorer.open_upright = counted("decode", scorer.open_upright)
    session.Session.run = counted("runtime", session.Session.run)  # type: ignore[method-assign]
    scorer.score_image = counted("score", scorer.score_image)


def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        global images
        began = time.thread_time()
        try:
            return function(*args, **options)
        finally:
            spent[name] += time.thread_time() - began  # one caller at a time: one worker, too
            images += name == "score"

    return call


def answer(reader: int, writer: int) -> None:
    with os.fdopen(reader) as asked, os.fdopen(writer, "w") as answers:
        for _ in asked:
            now = {"process": time.process_time(), **spent, "images": images}
            print(json.dumps(now), file=answers, flush=True)


if __name__ == "__main__":
    main()
