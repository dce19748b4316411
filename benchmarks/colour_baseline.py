"""How far colour thresholds go on the sample data: classic OpenCV, tuned on one part of it, measured on another.

Two ways to find a bottle are tried together: what stands out from a blurred background and is long and narrow, and a
white or yellow blob with the bottle that would hang below it. The class is the share of white and yellow at its ends.

    python benchmarks/colour_baseline.py [--images 400] [--trials 40]    writes benchmarks/results/colour_baseline.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from host import host
from numpy.typing import NDArray

from model_training.data.jsonl import read_rows, resolve_image
from model_training.data.rows import Row
from model_training.data.sample import make_sample
from model_training.data.sample_sprites import LABELS
from model_training.data.split import SplitOptions, split_rows
from model_training.evaluation.metrics import evaluate, ground_truth
from scoring.detections import Detections
from scoring.files import sha256_of

TUNED_ON = 100  # training images
Picture = NDArray[Any]  # (h, w, 3) BGR, or a mask of it


@dataclass(frozen=True)
class Thresholds:
    """Found by random search; HSV as OpenCV counts it (hue 0..179)."""

    stands_out: float = 28.0  # distance from the blurred background in Lab
    blur: int = 61  # pixels
    close: int = 5  # pixels
    solid: float = 0.6  # share of its box that a bottle fills
    white_saturation: int = 60
    white_value: int = 170
    yellow_low: int = 16
    yellow_high: int = 34
    yellow_saturation: int = 110
    cap_share: float = 0.35  # of the end that must be in the cap's colour
    end: float = 0.17  # how much of the length is the end
    hang_width: float = 1.5  # a bottle's width in widths of its cap
    hang_height: float = 4.5  # a bottle's height in widths of its cap


def detect(image: Picture, t: Thresholds) -> Detections:
    """Boxes with a score for how bottle-like they are."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    white = (hsv[..., 1] < t.white_saturation) & (hsv[..., 2] > t.white_value)
    hue = (hsv[..., 0] >= t.yellow_low) & (hsv[..., 0] <= t.yellow_high)
    yellow = hue & (hsv[..., 1] > t.yellow_saturation) & (hsv[..., 2] > 90)
    found = [*_standing_out(image, white, yellow, t), *_hanging(white, yellow, t)]
    if not found:
        return Detections.none()
    boxes, scores, classes = (np.array(column) for column in zip(*found, strict=True))
    keep = cv2.dnn.NMSBoxesBatched(
        [(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes.tolist()], scores.tolist(), classes.tolist(), 0.0, 0.5
    )
    order = sorted((int(i) for i in keep), key=lambda i: -scores[i])
    height, width = image.shape[:2]
    fractions = np.clip(boxes[order] / (width, height, width, height), 0, 1).astype(np.float32)
    return Detections(fractions, scores[order].astype(np.float32), classes[order].astype(np.int64))


def _standing_out(
    image: Picture, white: Picture, yellow: Picture, t: Thresholds
) -> list[tuple[list[float], float, int]]:
    """Long, narrow, well filled regions that differ from their surroundings."""
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    small = cv2.medianBlur(cv2.resize(lab, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), t.blur // 8 * 2 + 1)
    background = cv2.resize(small, (lab.shape[1], lab.shape[0]))
    apart = np.linalg.norm(lab.astype(np.float32) - background.astype(np.float32), axis=2)
    kernel = np.ones((t.close, t.close), np.uint8)
    mask = cv2.morphologyEx((apart > t.stands_out).astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    found = []
    for x, y, w, h, area in stats[1:]:
        length, breadth = max(w, h), min(w, h)
        if length < 12 or length > 0.5 * max(image.shape) or not 1.7 < length / max(breadth, 1) < 5:
            continue
        filled = area / (w * h)
        if filled < t.solid * 0.7:
            continue
        box = [float(x), float(y), float(x + w), float(y + h)]
        found.append((box, float(1 - abs(filled - t.solid)), _class_of(white, yellow, (x, y, w, h), t)))
    return found


def _class_of(white: Picture, yellow: Picture, box: tuple[int, int, int, int], t: Thresholds) -> int:
    """The end that shows more of a cap's colour decides; too little of it is no cap."""
    x, y, w, h = box
    region = np.s_[y : y + h, x : x + w]
    share = []
    for colour in (white[region], yellow[region]):
        along = colour if h >= w else colour.T
        end = max(int(len(along) * t.end), 1)
        share.append(max(along[:end].mean(), along[-end:].mean() * 0.8))
    best = int(np.argmax(share))
    return best if share[best] > t.cap_share else 2


def _hanging(white: Picture, yellow: Picture, t: Thresholds) -> list[tuple[list[float], float, int]]:
    """A cap-like blob and the upright bottle below it."""
    found = []
    for label, colour in enumerate((white, yellow)):
        _, _, stats, centres = cv2.connectedComponentsWithStats(colour.astype(np.uint8))
        for (_, y, w, h, area), (middle, _) in zip(stats[1:], centres[1:], strict=True):
            if w < 4 or w > 60 or not 0.5 < w / h < 2.2 or area < 0.6 * w * h:
                continue
            half, tall = w * t.hang_width / 2, w * t.hang_height
            found.append(([middle - half, float(y), middle + half, y + tall], 0.5 * float(area / (w * h)), label))
    return found


def draw(rng: np.random.Generator) -> Thresholds:
    return Thresholds(
        stands_out=float(rng.uniform(10, 50)),
        blur=int(rng.choice([41, 61, 81, 121])),
        close=int(rng.choice([1, 3, 5, 7])),
        solid=float(rng.uniform(0.5, 0.9)),
        white_saturation=int(rng.integers(25, 90)),
        white_value=int(rng.integers(130, 220)),
        yellow_low=int(rng.integers(12, 22)),
        yellow_high=int(rng.integers(28, 38)),
        yellow_saturation=int(rng.integers(80, 180)),
        cap_share=float(rng.uniform(0.15, 0.7)),
        end=float(rng.uniform(0.1, 0.25)),
        hang_width=float(rng.uniform(1.1, 2.5)),
        hang_height=float(rng.uniform(3, 7)),
    )


def measure(rows: list[Row], images: list[Picture], t: Thresholds) -> dict[str, Any]:
    index = {label: i for i, label in enumerate(LABELS)}
    truth = [ground_truth(row, index, width=row.width or 1, height=row.height or 1) for row in rows]
    return evaluate(truth, [detect(image, t) for image in images], LABELS)


def run(folder: Path, trials: int, seed: int) -> dict[str, Any]:
    """Tune on the training part by random search, measure the best on the test part."""
    jsonl = folder / "data.jsonl"
    rows = [replace(row, sha256=sha256_of(resolve_image(row, jsonl))) for row in read_rows(jsonl)]
    parts = split_rows(rows, SplitOptions()).parts
    train = [row for row, part in zip(rows, parts, strict=True) if part == "train"][:TUNED_ON]
    test = [row for row, part in zip(rows, parts, strict=True) if part == "test"]

    def pictures(some: list[Row]) -> list[Picture]:
        return [np.asarray(cv2.imread(str(resolve_image(row, jsonl)))) for row in some]

    rng = np.random.default_rng(seed)
    seen = pictures(train)
    candidates = [Thresholds(), *(draw(rng) for _ in range(trials))]
    tried = [(measure(train, seen, t)["mean_average_precision"], t) for t in candidates]
    on_train, best = max(tried, key=lambda item: item[0])
    return {"train_ap50": on_train, "test": measure(test, pictures(test), best), "thresholds": asdict(best)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = run(make_sample(Path(folder) / "sample", args.images), args.trials, args.seed)
    result["test"] = {key: result["test"][key] for key in ("mean_average_precision", "coco_ap", "per_label")}
    command = f"python benchmarks/colour_baseline.py --images {args.images} --trials {args.trials} --seed {args.seed}"
    record = {"command": command, "cpu_seconds": round(time.process_time() - begun, 1), **result, "host": host()}
    target = Path(__file__).resolve().parent / "results" / "colour_baseline.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({"test_ap50": round(result["test"]["mean_average_precision"], 4)}))


if __name__ == "__main__":
    main()
