"""The page of plots: self-contained, escaped, drawn for whatever there is, and looked at by a browser where one is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model_training.evaluation.card import card_of
from model_training.evaluation.confusion import confusion
from model_training.evaluation.curves import curves
from model_training.evaluation.history import read_history
from model_training.evaluation.page import write_page
from model_training.workspaces.base import TrialResult
from tests.evaluation.scenes import scene

NASTY = ("<script>alert(1)</script>", '_under $score$ & "quotes"', "帽子")


def trial(folder: Path, number: int, lines: list[str], **hyperparameters: Any) -> TrialResult:
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(lines))
    metrics = {"mean_average_precision": 0.5 + number / 10, "coco_ap": None}
    return TrialResult(number, "completed", "yolov5", hyperparameters, metrics, 2, 3, 12.0, 15.0, folder, None)


def report(epoch: int, loss: float, score: float | None) -> str:
    metrics = None if score is None else {"mean_average_precision": score}
    return json.dumps({"epoch": epoch, "loss": loss, "metrics": metrics}) + "\n"


def page(folder: Path, **changes: Any) -> Path:
    truth, detections = scene(1)
    picture = folder / "image <1>.png"
    Image.new("RGB", (900, 300), "teal").save(picture)
    limits = dict.fromkeys(NASTY, 0.3)
    content: dict[str, Any] = {
        "title": "Model <b>7</b>",
        "card": {"mean average precision": 0.81234, "split hash": "ab" * 32, "threshold": limits, "unknown": None},
        "leaderboard": [
            trial(
                folder / "t1", 1, [report(1, 3.0, 0.1), report(2, 2.0, None), report(3, 1.5, 0.4)], model_size="nano"
            ),
            trial(folder / "t0", 0, [report(1, 3.5, 0.05), '{"epoch": 2, "lo'], model_size="small"),
        ],
        "curves": curves(truth, detections, NASTY, score_threshold=limits),
        "confusion": confusion(truth, detections, NASTY, score_threshold=limits),
        "pictures": [picture],
    }
    return write_page(folder / "page", **{**content, **changes})


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page(tmp_path_factory.mktemp("drawn"))


class Strict(HTMLParser):
    """Collects elements and fails on tags that do not close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parse(path: Path) -> Strict:
    parser = Strict()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    assert parser.open == []
    return parser


def test_it_is_one_file_that_loads_nothing(drawn: Path) -> None:
    parser = parse(drawn)
    tags = [tag for tag, _ in parser.seen]
    assert tags.count("svg") == 4
    assert not {"script", "link", "iframe", "object"} & set(tags)
    for _, attributes in parser.seen:
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/jpeg;base64,")), value


def test_texts_are_escaped(drawn: Path) -> None:
    text = drawn.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "Model &lt;b&gt;7&lt;/b&gt;" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;: 0.3" in text
    assert "image &lt;1&gt;.png" in text


def test_the_plots_stand_beside_it(drawn: Path) -> None:
    folder = drawn.parent
    names = {
        "learning_curves.png",
        "precision_recall.png",
        "f1_by_threshold.png",
        "confusion_matrix.png",
        "report.html",
    }
    assert {path.name for path in folder.iterdir()} == names
    for path in folder.glob("*.png"):
        pixels = np.asarray(Image.open(path).convert("RGB"))[::5, ::5]
        assert min(pixels.shape[:2]) > 80
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20, path.name


def test_leaderboard_shows_what_differs_and_nothing_as_a_dash(drawn: Path) -> None:
    text = drawn.read_text(encoding="utf-8")
    table = re.search(r"<h2>Leaderboard</h2>.*?</table>", text, re.DOTALL)
    assert table is not None
    assert "model_size" in table[0]
    assert table[0].index("trial 1") < table[0].index("trial 0")
    assert "<td>–</td>" in table[0]  # the COCO AP that is not known
    assert "unknown" not in text


def test_with_nothing_to_show(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {
        "card": {},
        "leaderboard": [],
        "curves": curves([], [], ["can"], score_threshold=0.5),
        "confusion": confusion([], [], ["can"], score_threshold=0.5),
        "pictures": [],
    }
    tags = [tag for tag, _ in parse(page(tmp_path, **nothing)).seen]
    assert tags.count("svg") == 3
    assert "img" not in tags


def test_with_very_many_labels(tmp_path: Path) -> None:
    labels = [f"label {number}" for number in range(40)]
    truth, detections = scene(2, classes=40)
    many = {
        "curves": curves(truth, detections, labels, score_threshold=0.3),
        "confusion": confusion(truth, detections, labels, score_threshold=0.3),
    }
    assert parse(page(tmp_path, **many)).seen


def test_histories_skip_broken_lines_and_take_the_later_report(tmp_path: Path) -> None:
    lines = [report(1, 3.0, 0.1), report(2, 2.0, 0.2), report(2, 1.9, 0.25), '{"epoch": 3']
    history = read_history(trial(tmp_path / "t", 0, lines).folder, "t")
    assert history.loss == ((1, 3.0), (2, 1.9))
    assert history.metric == ((1, 0.1), (2, 0.25))
    assert read_history(tmp_path / "none", "t").loss == ()


def test_the_card_takes_what_the_manifest_has() -> None:
    manifest = {
        "labels": ["cap"],
        "metrics": {"split": "test", "images": 9, "mean_average_precision": 0.9, "per_label": {"cap": {"recall": 1.0}}},
        "postprocess": {"score_threshold": {"cap": 0.2}},
        "runtime": {"opset": 18},
        "files": [{"path": "model.onnx", "bytes": 2_500_000}],
    }
    card = card_of(manifest)
    assert card["mean average precision"] == 0.9
    assert card["measured on"] == "9 test images"
    assert card["model.onnx"] == "2.5 MB, opset 18"
    assert card["per label"] == {"cap": {"recall": 1.0}}
    assert "seed" not in card


def test_a_browser_draws_it(drawn: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine")
    shot = tmp_path / "shot.png"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, "--window-size=1000,2600", f"--screenshot={shot}", drawn.as_uri()],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pixels = np.asarray(Image.open(shot).convert("RGB")).reshape(-1, 3)
    teal = np.abs(pixels.astype(int) - (0, 128, 128)).max(axis=1) < 12  # JPEG changes a colour a little
    assert teal.sum() > 1000, "the picture, drawn from the page itself"
    assert len(np.unique(pixels[::17], axis=0)) > 100
