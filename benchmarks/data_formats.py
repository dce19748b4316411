"""How fast each format is read and checked: 20,000 generated images with 140,000 boxes, CPU-seconds of one process.

    .venv/bin/python benchmarks/data_formats.py [--images 20000] [--formats jsonl,coco,...]

Prints a table and, last, one line of JSON. Images are one small file, linked: sizes come from the annotations.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

from model_training.data.export import export
from model_training.data.formats import read_format
from model_training.data.jsonl import read_rows, write_rows
from model_training.data.problems import rows_or_raise
from model_training.data.rows import Box, Row

FORMATS = ("jsonl", "coco", "csv", "yolo", "label-studio", "voc")
BOXES = 7  # an image
WIDTH, HEIGHT = 640, 480


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--formats", default=",".join(FORMATS))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "image.jpg"
        Image.new("RGB", (WIDTH, HEIGHT)).save(image)
        rows = generated(args.images, str(image))
        results = [
            rows_alone(rows, Path(scratch)),
            *(measured(name, rows, Path(scratch)) for name in args.formats.split(",")),
        ]
    for result in results:
        print(f"{result['format']:<14} write {result['write']:6.2f} s   read and check {result['read']:6.2f} s")
    host = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
    print(json.dumps({"images": args.images, "boxes": args.images * BOXES, "cpu_seconds": results, "host": host}))


def generated(images: int, image: str) -> list[Row]:
    """Rows with boxes on whole pixels, which every format can hold; the same ones every time."""
    chance = random.Random(1)
    return [
        Row(image, tuple(_box(chance) for _ in range(BOXES)), width=WIDTH, height=HEIGHT, file_name=f"{at:06}.jpg")
        for at in range(images)
    ]


def _box(chance: random.Random) -> Box:
    left, top = chance.randrange(WIDTH - 40), chance.randrange(HEIGHT - 40)
    right, bottom = chance.randrange(left + 10, WIDTH), chance.randrange(top + 10, HEIGHT)
    return Box(chance.choice(("RBC", "WBC", "Platelets")), left / WIDTH, top / HEIGHT, right / WIDTH, bottom / HEIGHT)


def rows_alone(rows: list[Row], folder: Path) -> dict[str, Any]:
    """A stored data set's file: what training reads, without a look at any image."""
    file = folder / "rows.jsonl"
    start = time.process_time()
    write_rows(file, rows)
    written = time.process_time()
    if len(read_rows(file)) != len(rows):
        raise SystemExit("rows were lost")
    return {"format": "rows.jsonl", "write": round(written - start, 2), "read": round(time.process_time() - written, 2)}


def measured(format: str, rows: list[Row], folder: Path) -> dict[str, Any]:
    """Export with one link an image, and import as far as rows: images found, boxes checked."""
    start = time.process_time()
    made = export(rows, format, folder, name=format).folder
    written = time.process_time()
    found = rows_or_raise(read_format(format, made).rows, format)
    if sum(len(row.boxes) for row in found) != sum(len(row.boxes) for row in rows):
        raise SystemExit(f"{format}: boxes were lost")
    return {"format": format, "write": round(written - start, 2), "read": round(time.process_time() - written, 2)}


if __name__ == "__main__":
    main()
