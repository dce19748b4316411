"""Ten thousand strange requests to `cva serve` as it is started by default: faults, statuses, memory.

Bodies and images are made by hypothesis from the strategies of the tests (nearly right messages, real images with
changed bytes, noise). A 5xx, an answer that is not JSON or a closed connection ends it with an error.

    python benchmarks/serving/fuzz.py [--requests 10000]      writes benchmarks/serving/results/fuzz.json
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, metavar="N")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measured = measure(Path(scratch), args.requests)
    command = f"python benchmarks/serving/fuzz.py --requests {args.requests}"
    result = {"command": command, **measured, "host": host()}
    (HERE / "results" / "fuzz.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(measured))


def measure(scratch: Path, requests: int) -> dict[str, Any]:
    from tests.scoring.conftest import make_bundle
    from tests.scoring.server.caller import Caller, send
    from tests.scoring.server.process import Process

    started = time.perf_counter()
    with (
        Process("--bundle", make_bundle(scratch / "bundle")) as server,
        contextlib.closing(Caller(server)) as caller,
    ):
        assert all(caller.good() for _ in range(200))
        before, threads, files = server.memory(), server.threads(), server.files()
        send(caller, requests)
        assert caller.good()
        measured = {
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
