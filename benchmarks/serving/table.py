"""Draws README's tables and verdicts from a raw result: `.venv/bin/python -m benchmarks.serving.table [RESULT…]`.

A cell is the middle of the rounds, `added` the middle of the differences within a round; latencies are of all rounds.
Above them stands what added.py counted, against which the 1.5 ms are held. Changes nothing outside the two marks.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.serving import added

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- table: drawn by table.py -->\n", "<!-- end -->\n"
MEMORY_SHARE = 0.6  # the bar
KEYS = ("raw-1", "raw-4", "json-1", "json-4")
COLUMNS = ("CPU-ms a request", "added", "requests/s", "p50 ms", "p95 ms", "p99 ms", "callers' CPU-ms")


def main() -> None:
    paths = [Path(each) for each in sys.argv[1:]] or sorted((HERE / "results").glob("serving*.json"))
    results = [json.loads(path.read_text()) for path in paths]
    readme = HERE / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    counted = added.lines(json.loads((HERE / "results" / "added.json").read_text()))
    parts = [counted, *map(lines, results)]
    readme.write_text(before + BEGIN + "\n" + "\n\n".join("\n".join(each) for each in parts) + "\n\n" + END + after)
    for part in (counted, *([title(each), *verdicts(each)] for each in results)):
        print("\n".join(part))


def lines(result: dict[str, Any]) -> list[str]:
    about, model = result["about"], result["model"]
    facts, rounds = about["host"], len(result["rounds"])
    others = median(each["others_cores"] for each in _all_blocks(result))
    text = [
        f"### {title(result)}",
        "",
        f"{facts['date']}, {facts['cores']} cores of {facts['cpu']}, Python {facts['python']}, onnxruntime"
        f" {facts['onnxruntime']}; {rounds} rounds, `{about['command']}`. {model['pictures']} photographs,"
        f" {model['boxes_an_image']:.0f} boxes an image (at most {model['most_boxes']})."
        f" Others used {others:.2f} cores meanwhile.",
        "",
        f"With no server, one image costs {bare(result, 'score'):.2f} CPU-ms (`score_image` and the answer's text), of"
        f" which decoding and ONNX Runtime {bare(result, 'floor'):.2f}; the rest is resizing, boxes and text.",
    ]
    for key in KEYS:
        kind, _, concurrency = key.partition("-")
        body = "JPEG bytes" if kind == "raw" else "JSON with base64"
        text += ["", f"**{body}, {concurrency} caller{'s' if concurrency != '1' else ''}**", ""]
        text += _table(["server", *COLUMNS], [[name, *_cells(result, name, key)] for name in result["memory"]])
    memory = [[n, f"{m['pss']:.0f}", f"{m['rss']:.0f}", str(m["processes"])] for n, m in result["memory"].items()]
    text += ["", "**Memory after work, each server alone**", ""]
    text += _table(["server", "PSS MiB", "RSS MiB", "processes"], memory)
    return [*text, "", "**Bars**", "", *[f"- {each}" for each in verdicts(result)]]


def title(result: dict[str, Any]) -> str:
    model = result["model"]
    return f"A model of {model['model_bytes'] / 1e6:.1f} MB at {model['side']} pixels"


def verdicts(result: dict[str, Any]) -> list[str]:
    """Rates beside each other's within a round; memory like for like, as many images at the same time on both sides."""
    names = list(result["memory"])
    found = []
    for key in ("raw-4", "json-4"):
        for kind in ("azureml", "litserve"):
            rivals = [name for name in names if name.startswith(kind)]
            if rivals:
                best = max(rivals, key=lambda name: middle(result, name, key, "per_second"))
                found.append(_rate(result, key, best))
    for ours, theirs in (("cva", "litserve-2"), ("cva-1", "litserve-1")):
        if ours in names and theirs in names:
            share = result["memory"][ours]["pss"] / result["memory"][theirs]["pss"]
            text = f"memory: {ours} {share:.0%} of {theirs}'s, at most {MEMORY_SHARE:.0%}"
            found.append(_said(share <= MEMORY_SHARE, text))
    return found


def _rate(result: dict[str, Any], key: str, rival: str) -> str:
    """The middle of the rounds' ratios, and where 95 of 100 such middles lie (bootstrap over the rounds)."""
    ratios = [each["cva"][key]["per_second"] / each[rival][key]["per_second"] for each in result["rounds"]]
    dice = random.Random(0)
    middles = sorted(median(dice.choices(ratios, k=len(ratios))) for _ in range(2000))
    low, high = middles[50], middles[-51]
    ours, theirs = middle(result, "cva", key, "per_second"), middle(result, rival, key, "per_second")
    text = f"{key}: {ours:.1f} requests/s, {rival} {theirs:.1f}; in a round {median(ratios):.3f} times as many"
    return _said(median(ratios) >= 1, f"{text} (95 %: {low:.3f} to {high:.3f})")


def middle(result: dict[str, Any], name: str, key: str, what: str) -> float:
    return median(each[name][key][what] for each in result["rounds"])


def difference(result: dict[str, Any], name: str, key: str) -> float:
    return median(each[name][key]["cpu_ms"] - _loop(each, key)["score"]["cpu_ms"] for each in result["rounds"])


def bare(result: dict[str, Any], what: str) -> float:
    return median(_loop(each, key)[what]["cpu_ms"] for each in result["rounds"] for key in KEYS)


def _loop(turn: dict[str, Any], key: str) -> dict[str, Any]:
    """The loop's cost beside that kind of load; results of before 2026-11-28 have one a round."""
    bare: dict[str, Any] = turn["bare"]
    return bare if "score" in bare else dict(bare[key])


def _cells(result: dict[str, Any], name: str, key: str) -> list[str]:
    cpu = middle(result, name, key, "cpu_ms")
    every = sorted(value for each in result["rounds"] for value in each[name][key]["latencies_ms"])
    points = [every[min(len(every) - 1, int(len(every) * share))] for share in (0.5, 0.95, 0.99)]
    rate, load = middle(result, name, key, "per_second"), middle(result, name, key, "load_cpu_ms")
    return [
        f"{cpu:.2f}",
        f"{difference(result, name, key):+.2f}",
        f"{rate:.1f}",
        *map("{:.1f}".format, points),
        f"{load:.2f}",
    ]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    line = ["---", *["--:"] * (len(head) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (head, line, *rows)]


def _said(met: bool, text: str) -> str:
    return f"{'met' if met else 'NOT met'}: {text}"


def _all_blocks(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        block
        for each in result["rounds"]
        for name, blocks in each.items()
        if name != "bare"
        for block in blocks.values()
    ]


if __name__ == "__main__":
    main()
