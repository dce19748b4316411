"""Ten thousand strange requests to `cva serve` as it is started by default: faults, statuses, memory.

Bodies and images are made by hypothesis from the strategies of the tests (nearly right messages, real images with
changed bytes, noise). A 5xx, an answer that is not JSON or a closed connection ends it with an error. The model is the
tests' own, of a few bytes, or with `--sample` that of the sample bundle.

    python benchmarks/serving/fuzz.py [--requests 10000] [--sample]      writes results/fuzz.json, or fuzz-sample.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

from host import host  # noqa: E402

BUNDLE = "samples/Cap_Detection_Model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, metavar="N")
    parser.add_argument("--sample", action="store_true", help="with the sample bundle")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measured = measure(None if args.sample else Path(scratch), args.requests)
    command = f"python benchmarks/serving/fuzz.py --requests {args.requests}{' --sample' * args.sample}"
    result = {"command": command, **measured, "host": host()}
    name = "fuzz-sample.json" if args.sample else "fuzz.json"
    (HERE / "results" / name).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(measured))


def measure(scratch: Path | None, requests: int) -> dict[str, Any]:
    from tests.scoring.conftest import make_bundle
    from tests.scoring.server.caller import Caller, send
    from tests.scoring.server.process import Process

    started = time.perf_counter()
    bundle = HERE.parents[1] / BUNDLE if scratch is None else make_bundle(scratch / "bundle")
    with (
        Process("--bundle", bundle) as server,
        contextlib.closing(Caller(server, boxes=2 if scratch else 0)) as caller,  # it sees no cap in two colours
    ):
        assert all(caller.good() for _ in range(200))
        before, threads, files = server.memory(), server.threads(), server.files()
        send(caller, requests)
        assert caller.good()
        measured = {
            "bundle": BUNDLE if scratch is None else "the tests' own",
            "requests": sum(caller.statuses.values()),
            "statuses": {str(status): count for status, count in sorted(caller.statuses.items())},
            "rss_before_mib": before >> 20,
            "rss_after_mib": server.memory() >> 20,
            "rss_peak_mib": server.memory("VmHWM") >> 20,
            "threads": [threads, server.threads()],
            "open_files": [files, server.files()],
            "seconds": round(time.perf_counter() - started, 1),
        }
    assert "Traceback" not in server.text, server.text
    return measured


if __name__ == "__main__":
    main()
