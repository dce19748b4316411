"""The serving benchmark: the same model and scoring function behind three servers, measured in turns in one run.

    .venv/bin/python -m benchmarks.serving.run --rounds 40         # about 20 minutes on two quiet cores
    .venv/bin/python -m benchmarks.serving.run --rounds 1 --requests 40 --out /tmp/smoke.json

First every server must give the answers that a direct call gives. Then each is started alone for its memory. Then all
run, and for each kind of load each in turn is measured while the others are held still (SIGSTOP). CPU is that of the
server's whole process tree, from /proc. Prints and writes one JSON file; `table.py` draws README's table from it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.host import host
from benchmarks.serving import load, processes
from benchmarks.serving.contestants import ALL, ROOT, Contestant, Running, make_litserve, start, surroundings

HERE = Path(__file__).resolve().parent
KINDS = ("raw", "json")
CONCURRENCY = (1, 4)
BOX_TOLERANCE, SCORE_TOLERANCE = 1e-5, 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=20, help="a block; twice as many at concurrency 4")
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--bundle", type=Path, help="the model to serve (default: a nano with random weights)")
    parser.add_argument("--only", default="", help="contestants' names, separated by commas")
    parser.add_argument("--minutes", type=float, default=25, help="no further round is begun after this")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "serving.json")
    args = parser.parse_args()
    chosen = [each for each in ALL if not args.only or each.name in args.only.split(",")]
    make_litserve()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            result = benchmark(chosen, args, Path(scratch))
        except SystemExit:
            show_logs(Path(scratch))
            raise
    args.out.write_text(json.dumps(result) + "\n")
    print(f"written to {args.out}")


def benchmark(chosen: list[Contestant], args: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    began, folder = time.monotonic(), scratch / "given"
    about = {"command": " ".join(sys.orig_argv[1:]), "host": host(), "commit": _commit()}
    prepare = ["-m", "benchmarks.serving.prepare", str(folder), "--pictures", str(args.pictures)]
    prepare += ["--bundle", str(args.bundle)] if args.bundle else []
    model = json.loads(_last_line([sys.executable, *prepare]))
    memory = {each.name: alone(each, folder, scratch, 200) for each in chosen}
    rounds: list[dict[str, Any]] = []
    with ExitStack() as stack:
        running = [start(each, folder, scratch) for each in chosen]
        for each in running:
            stack.callback(processes.end, each.process)
        bare = stack.enter_context(bare_loop(folder))
        for each in running:
            check(each, folder)
            processes.hold(each.pid)
        for number in range(args.rounds):
            if time.monotonic() - began > args.minutes * 60:
                break
            rounds.append(one_round(number, running, bare, folder, args.requests))
            say(number, rounds[-1])
    return {"about": about, "model": model, "memory": memory, "rounds": rounds}


def check(server: Running, folder: Path) -> None:
    """Every picture, as bytes and as JSON, must have the answer of a direct call; else nothing is measured."""
    expected = json.loads((folder / "expected.json").read_text())
    for kind in KINDS:
        asked = load.requests(server.port, kind, folder / "pictures")
        for name, request in zip(sorted(expected), asked, strict=True):
            answer = json.loads(load.ask(server.port, request))
            if not same(answer, [expected[name]]):
                raise SystemExit(f"{server.contestant.name} answers {name} ({kind}) differently: {str(answer)[:300]}")


def same(answer: Any, expected: list[dict[str, Any]]) -> bool:
    """Boxes in the same order, with rounding's last digit free."""
    if not isinstance(answer, list) or [each.get("filename") for each in answer] != [e["filename"] for e in expected]:
        return False
    found, wanted = answer[0]["boxes"], expected[0]["boxes"]
    return len(found) == len(wanted) and all(_same_box(one, two) for one, two in zip(found, wanted, strict=True))


def _same_box(one: dict[str, Any], two: dict[str, Any]) -> bool:
    near = all(abs(one["box"][side] - two["box"][side]) <= BOX_TOLERANCE for side in two["box"])
    return near and one["label"] == two["label"] and abs(one["score"] - two["score"]) <= SCORE_TOLERANCE


def alone(contestant: Contestant, folder: Path, scratch: Path, requests: int) -> dict[str, float]:
    """MiB after some work, with no other of the servers there to share pages with."""
    server = start(contestant, folder, scratch)
    try:
        for kind in KINDS:
            block(server, folder, kind, 4, requests)
        return processes.memory(server.pid)
    finally:
        processes.end(server.process)


def one_round(number: int, running: list[Running], bare: Bare, folder: Path, requests: int) -> dict[str, Any]:
    """One kind of load after another, and within it one contestant after another, the loop among them.

    So what is compared is measured within seconds: on a shared machine the cost of the same work drifts by minutes.
    """
    result: dict[str, Any] = {"bare": {}, **{each.contestant.name: {} for each in running}}
    turns: list[Running | Bare] = [bare, *running]
    for kind in KINDS:
        for concurrency in CONCURRENCY:
            key, count = f"{kind}-{concurrency}", requests * (2 if concurrency > 1 else 1)
            number += 1  # each kind begins with another contestant
            for each in (turns[(number + at) % len(turns)] for at in range(len(turns))):
                if isinstance(each, Bare):
                    result["bare"][key] = each.measure(requests)
                    continue
                processes.go_on(each.pid)
                result[each.contestant.name][key] = block(each, folder, kind, concurrency, count)
                processes.hold(each.pid)
    return result


def block(server: Running, folder: Path, kind: str, concurrency: int, requests: int) -> dict[str, Any]:
    """One load against one server; CPU is read right before and right after."""
    options = ["--concurrency", str(concurrency), "--requests", str(requests)]
    callers = ["benchmarks.serving.load", str(server.port), kind, str(folder / "pictures"), *options]
    with subprocess.Popen(
        [sys.executable, "-m", *callers], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"the callers of {server.contestant.name} failed")
        before, all_before = processes.cpu_seconds(server.pid), processes.busy_seconds()
        process.stdin.write("\n")
        process.stdin.flush()
        line = process.stdout.readline()
        used, all_used = processes.cpu_seconds(server.pid) - before, processes.busy_seconds() - all_before
    if not line:
        raise SystemExit(f"the callers of {server.contestant.name} failed")
    answer = json.loads(line)
    latencies = [round(each, 2) for each in answer["latencies_ms"]]
    return {
        "cpu_ms": used / requests * 1000,
        "load_cpu_ms": answer["load_cpu_s"] / requests * 1000,
        "per_second": requests / answer["wall_s"],
        "others_cores": max(0.0, all_used - used - answer["load_cpu_s"]) / answer["wall_s"],
        "latencies_ms": latencies,
    }


class Bare:
    """The loop without a server, held still between its turns."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def measure(self, images: int) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{images}\n")
        self.process.stdin.flush()
        value: dict[str, Any] = json.loads(self.process.stdout.readline())
        return value

    def __enter__(self) -> Bare:
        assert self.process.stdout
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit("the bare loop failed")
        return self

    def __exit__(self, *_: object) -> None:
        processes.end(self.process)


def bare_loop(folder: Path) -> Bare:
    command = [sys.executable, "-m", "benchmarks.serving.bare"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return Bare(subprocess.Popen(command, **pipes, text=True, cwd=ROOT, env=surroundings(folder)))  # type: ignore[call-overload]


def say(number: int, values: dict[str, Any]) -> None:
    bare = values["bare"]
    costs = "   ".join(f"{key} {each['score']['cpu_ms']:.2f}" for key, each in bare.items())
    print(f"round {number + 1}: bare CPU-ms an image: {costs}", flush=True)
    for name, blocks in values.items():
        if name != "bare":
            cells = [f"{key} {each['cpu_ms']:.2f} ms {each['per_second']:.1f}/s" for key, each in blocks.items()]
            print(f"  {name:<12} " + "   ".join(cells), flush=True)


def show_logs(folder: Path) -> None:
    """The last words of every server, before they are deleted."""
    for path in sorted(folder.glob("*.log")):
        print(f"== {path.name}", *path.read_text().splitlines()[-15:], sep="\n", file=sys.stderr)


def _last_line(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]


def _commit() -> str:
    return _last_line(["git", "rev-parse", "HEAD"])


if __name__ == "__main__":
    main()
