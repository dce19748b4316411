"""The document of the interface against the server, with more examples than the tests take time for.

Schemathesis runs with all its checks and phases on every operation of `/openapi.json`: whatever is allowed or forbidden
there is answered with a documented status and body, never with a 5xx. The model is the sample bundle's.

    python -m benchmarks.serving.schema [--examples 200]      writes benchmarks/serving/results/schema.json
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.host import host

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

BUNDLE = "samples/Cap_Detection_Model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=200, metavar="N", help="of each operation and phase")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measured = measure(Path(scratch), args.examples)
    command = f"python -m benchmarks.serving.schema --examples {args.examples}"
    result = {"command": command, **measured, "host": host()}
    (HERE / "results" / "schema.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(measured))


def measure(scratch: Path, examples: int) -> dict[str, Any]:
    """Raises AssertionError, with what Schemathesis printed, for any answer that is not as documented."""
    from tests.scoring.server.process import Process
    from tests.scoring.server.test_schemathesis import run

    started = time.perf_counter()
    with Process("--bundle", ROOT / BUNDLE) as server:
        printed = run(server.url, scratch, f"--max-examples={examples}")
        numbers = server.get("/metrics")[1].decode()
        peak = server.memory("VmHWM") >> 20
    assert "Traceback" not in server.text, server.text
    return {
        "bundle": BUNDLE,
        "schemathesis": version("schemathesis"),
        **said(printed),
        "statuses": statuses(numbers),
        "rss_peak_mib": peak,
        "seconds": round(time.perf_counter() - started, 1),
    }


def said(printed: str) -> dict[str, int]:
    """Schemathesis's own count at its end."""
    words = {
        "operations": r"Selected: +(\d+)/",
        "tested": r"Tested: +(\d+)",
        "generated": r"(\d+) generated",
        "passed": r"generated, (\d+) passed",
    }
    return {name: int(found[1]) for name, pattern in words.items() if (found := re.search(pattern, printed))}


def statuses(metrics: str) -> dict[str, int]:
    """How often each was answered, as the server counted."""
    found: dict[str, int] = {}
    for status, count in re.findall(r'^cva_requests_total\{.*status="(\d+)".*\} ([\d.e+]+)$', metrics, re.M):
        found[status] = found.get(status, 0) + int(float(count))
    return dict(sorted(found.items()))


if __name__ == "__main__":
    main()
