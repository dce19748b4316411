"""The sample data set: generated photographs of bottles with a white cap, a yellow cap or none, as an MLTable folder.

The same arguments give the same bytes. Knows nothing about workspaces; how a picture is drawn is in `sample_scene.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_training.data.mltable import write_mltable
from model_training.data.sample_sprites import LABELS
from scoring.errors import ConflictError, UsageError

SIZES = ((416, 312), (416, 312), (400, 300), (384, 384), (312, 416), (448, 300))  # width, height


def make_sample(folder: Path, images: int = 400, seed: int = 7, progress: Callable[[int], None] | None = None) -> Path:
    """Draw the data set into a new folder and return it; `data.jsonl` is written last, so it is there only when all is.

    Raises:
        UsageError: no images asked for.
        ConflictError: the folder holds something else already.
    """
    if images < 1:
        raise UsageError(f"expected at least 1 image, found {images}", hint="give --images a number such as 400")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConflictError(f"expected a new or empty folder, found files in {folder}", hint="choose another folder")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for index in range(images):
        lines.append(_draw(folder, index, seed))
        if progress:
            progress(index + 1)
    write_mltable(folder, "data.jsonl")
    (folder / "labels.json").write_text(json.dumps(LABELS), encoding="utf-8")
    staged = folder / "data.jsonl.tmp"
    staged.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    staged.replace(folder / "data.jsonl")
    return folder


def _draw(folder: Path, index: int, seed: int) -> dict[str, Any]:
    """Write one picture; returns its line of the JSONL."""
    import cv2
    import numpy as np

    from model_training.data.sample_scene import draw_scene

    rng = np.random.default_rng([seed, index])
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    picture, bottles = draw_scene(rng, width, height)
    url = f"images/{index:04d}.jpg"
    quality = int(rng.integers(62, 94))
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    (folder / url).write_bytes(encoded.tobytes())
    boxes = [_box(b.label, b.box, width, height) for b in bottles]
    details = {"format": "jpg", "width": width, "height": height}
    return {"image_url": url, "image_details": details, "label": boxes}


def _box(label: str, box: tuple[float, float, float, float], width: int, height: int) -> dict[str, Any]:
    left, top, right, bottom = box
    corners = {"topX": left / width, "topY": top / height, "bottomX": right / width, "bottomY": bottom / height}
    return {"label": label, **{k: round(v, 6) for k, v in corners.items()}, "isCrowd": 0}
