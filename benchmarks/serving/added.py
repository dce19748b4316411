"""What `/score` adds to decoding and ONNX Runtime, counted inside the server on the very requests that it answers.

    .venv/bin/python -m benchmarks.serving.added      # about 5 minutes; writes results/added.json and prints the table

run.py takes the difference of two processes; where a host's speed wanders by a tenth, that cannot show 1.5 ms of 40.
Here everything is taken from one process and the same requests: its CPU, less what its threads spent in the parts that
any program needs that runs this model on this picture. Three differences are told:

- `beyond`: all but decoding and ONNX Runtime: making the model's input of the pixels (resizing most of all) is in it;
- `added`: all but what leads from bytes to the model's input, and ONNX Runtime: HTTP, parsing, threads, boxes, text;
- `server`: all but `score_image`, which a caller without a server would have to call as well.

One caller at a time. What it cannot see: caches that the server's own work leaves colder for the model's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import IO, Any

from benchmarks.host import host
from benchmarks.serving import load, processes
from benchmarks.serving.contestants import ROOT, START_SECONDS, free_port, has_answered, surroundings

HERE = Path(__file__).resolve().parent
MODELS = {"sample": ROOT / "samples" / "Cap_Detection_Model", "nano-320": None}
OPTIONS: dict[str, list[str]] = {"": [], "--fast-jpeg": ["--fast-jpeg"]}
KINDS = ("raw", "json")
PARTS = ("process", "decode", "prepare", "runtime", "score")
OVER = {
    "added": "over decoding, the model's input and ONNX Runtime",
    "server": "over `score_image`",
    "beyond": "over decoding and ONNX Runtime alone",
}
WARM_UP, BAR_MS = 20, 1.5


@dataclass
class Counted:
    """A counting server, and the two pipes to it."""

    port: int
    process: subprocess.Popen[str]
    ask: IO[str]
    answers: IO[str]

    def spent(self) -> dict[str, float]:
        print("now", file=self.ask, flush=True)
        value: dict[str, float] = json.loads(self.answers.readline())
        return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=64, help="a block")
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "added.json")
    args = parser.parse_args()
    about = {"command": " ".join(sys.orig_argv[1:]), "host": host()}
    with tempfile.TemporaryDirectory() as scratch:
        models = {name: measure(bundle, args, Path(scratch) / name) for name, bundle in MODELS.items()}
    result = {"about": about, "models": models}
    args.out.write_text(json.dumps(result) + "\n")
    print("\n".join(lines(result)))


def measure(bundle: Path | None, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The servers with each option take turns, so each meets the host in the same moods."""
    given = ["--bundle", str(bundle)] if bundle else []
    prepare = ["-m", "benchmarks.serving.prepare", str(folder), "--pictures", str(args.pictures), *given]
    subprocess.run([sys.executable, *prepare], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    servers = {name: start(folder, words) for name, words in OPTIONS.items()}
    try:
        rounds = [
            {
                f"{name} {kind}".strip(): block(each, kind, folder, args.requests)
                for kind in KINDS
                for name, each in turn
            }
            for number in range(args.rounds)
            for turn in [sorted(servers.items(), reverse=bool(number % 2))]
        ]
    finally:
        for each in servers.values():
            processes.end(each.process)
    return {key: [each[key] for each in rounds] for key in rounds[0]}


def block(server: Counted, kind: str, folder: Path, count: int) -> dict[str, float]:
    """CPU-milliseconds a request of each part."""
    every = cycle(load.requests(server.port, kind, folder / "pictures"))
    load.run(server.port, islice(every, WARM_UP), 1)
    before = server.spent()
    load.run(server.port, islice(every, count), 1)
    after = server.spent()
    if after["images"] - before["images"] != count:
        raise SystemExit(f"expected {count} images, counted {after['images'] - before['images']:g}")
    each = {name: (after[name] - before[name]) / count * 1000 for name in PARTS}
    beyond = each["process"] - each["decode"] - each["runtime"]
    return {**each, "beyond": beyond, "added": beyond - each["prepare"], "server": each["process"] - each["score"]}


def start(folder: Path, options: list[str]) -> Counted:
    port = free_port()
    (asked, ask), (answers, answer) = os.pipe(), os.pipe()
    command = [sys.executable, "-m", "benchmarks.serving.entry_counted", "serve", "--bundle", str(folder / "bundle")]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--workers", "2", *options],
        pass_fds=(asked, answer),
        env={**surroundings(folder), "CVA_BENCH_PIPES": f"{asked},{answer}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    os.close(asked)
    os.close(answer)
    counted = Counted(port, process, os.fdopen(ask, "w"), os.fdopen(answers))
    if has_answered(port, process, folder):
        return counted
    raise SystemExit(f"the server did not start within {START_SECONDS} s")


def lines(result: dict[str, Any]) -> list[str]:
    """Markdown: medians of the rounds, `added` with its smallest and largest round, and the verdicts."""
    facts, models = result["about"]["host"], result["models"]
    text = ["### What is added, counted inside the server", ""]
    text += [
        f"{facts['date']}, {facts['cores']} cores of {facts['cpu']}, Python {facts['python']}, onnxruntime"
        f" {facts['onnxruntime']}; `{result['about']['command']}`. CPU-milliseconds a request, one caller.",
        "",
    ]
    names = ("process", "decode", "prepare", "runtime", "beyond", "added", "server")
    text += [
        "| model | request | all | decoding | its input | ONNX Runtime | beyond | added | server | added, its rounds |"
    ]
    text += ["| --- | --- " + "| --: " * 8 + "|"]
    for model, kinds in models.items():
        for kind, blocks in kinds.items():
            cells = " | ".join(f"{middle(blocks, name):.2f}" for name in names)
            rounds = sorted(each["added"] for each in blocks)
            text.append(f"| {model} | {kind} | {cells} | {rounds[0]:.2f} to {rounds[-1]:.2f} |")
    return [*text, "", *[f"- {each}" for each in verdicts(models)]]


def verdicts(models: dict[str, Any]) -> list[str]:
    found = []
    for model, kinds in models.items():
        for kind in KINDS:
            for name, what in OVER.items():
                value = middle(kinds[kind], name)
                met = "met" if value <= BAR_MS else "NOT met"
                found.append(f"{met}: {model}, {kind}, {what}: {value:.2f} ms, at most {BAR_MS}")
    return found


def middle(blocks: list[dict[str, float]], name: str) -> float:
    return median(each[name] for each in blocks)


if __name__ == "__main__":
    main()
