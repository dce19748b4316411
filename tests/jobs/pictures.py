"""A small labelled data set on disk: red and blue squares, an MLTable folder."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image, ImageDraw

from model_training.data.jsonl import write_rows
from model_training.data.mltable import write_mltable
from model_training.data.rows import Box, Row

LABELS = ("blue", "red")
WIDTH, HEIGHT = 96, 72


def draw(folder: Path, count: int, *, seed: int = 0, labels: tuple[str, ...] = LABELS) -> Path:
    """Pictures with one or two squares each; returns the folder."""
    chance = random.Random(seed)
    folder.mkdir(parents=True)
    write_rows(folder / "data.jsonl", [_picture(folder, number, chance, labels) for number in range(count)])
    write_mltable(folder, "data.jsonl")
    return folder


def _picture(folder: Path, number: int, chance: random.Random, labels: tuple[str, ...]) -> Row:
    grain = bytes(90 + value // 5 for value in chance.randbytes(WIDTH * HEIGHT))
    image = Image.frombytes("L", (WIDTH, HEIGHT), grain).convert("RGB")
    pen = ImageDraw.Draw(image)
    boxes = []
    for half in range(chance.randint(1, 2)):
        side, label = chance.randint(16, 32), chance.choice(labels)
        left = half * WIDTH // 2 + chance.randint(0, WIDTH // 2 - side)
        top = chance.randint(0, HEIGHT - side)
        pen.rectangle((left, top, left + side, top + side), fill=label if label in LABELS else "green")
        boxes.append(
            Box(label, left / WIDTH, top / HEIGHT, min(1.0, (left + side) / WIDTH), min(1.0, (top + side) / HEIGHT))
        )
    image.save(folder / f"{number:03}.png")
    return Row(image_url=f"{number:03}.png", boxes=tuple(boxes), width=WIDTH, height=HEIGHT, format="png")
