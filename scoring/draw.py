"""Boxes, labels and scores drawn on a copy of an image. Knows nothing about models or where pictures are kept."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from scoring.detections import Detections
from scoring.files import write_bytes

Colour = tuple[int, int, int]

# Far apart in hue and lightness, also for most colour-blind eyes; labels beyond the list begin again.
PALETTE: tuple[Colour, ...] = (
    (255, 176, 0),
    (30, 136, 229),
    (216, 27, 96),
    (0, 158, 115),
    (254, 97, 0),
    (120, 94, 240),
    (86, 220, 233),
    (178, 223, 71),
    (121, 63, 13),
    (240, 228, 66),
)


def annotate(
    image: Image.Image, found: Detections, labels: Sequence[str], *, score_threshold: float = 0.0
) -> Image.Image:
    """A new picture; `image` is left as it is. Lines and text grow with the image; the highest score lies on top."""
    picture = image.convert("RGB").copy()
    pen = ImageDraw.Draw(picture)
    shorter = min(picture.size)
    width = max(2, round(shorter / 200))
    font = _font(max(11, round(shorter / 32)))
    kept = found.above(score_threshold)
    marks = [
        (_pixels(box.tolist(), picture.size), PALETTE[label % len(PALETTE)], f"{labels[label]} {score:.2f}")
        for box, label, score in zip(kept.boxes, kept.labels.tolist(), kept.scores, strict=True)
    ][::-1]
    for box, colour, _ in marks:
        _frame(pen, box, colour, width)
    for box, colour, text in marks:
        _tag(pen, box, text, colour, font, picture.size)
    return picture


def save_annotated(picture: Image.Image, source: Path, folder: Path, taken: set[Path]) -> Path:
    """Write `<stem>.boxes.jpg` (or .png for lossless sources) into `folder`, numbered where that name is in `taken`.

    `taken` holds resolved paths; begin with those of all inputs, so that none of them is ever replaced.
    """
    suffix, kind = (".jpg", "JPEG") if source.suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif") else (".png", "PNG")
    target = folder / f"{source.stem}.boxes{suffix}"
    number = 2
    while target.resolve() in taken:
        target = folder / f"{source.stem}-{number}.boxes{suffix}"
        number += 1
    taken.add(target.resolve())
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({"quality": 92} if kind == "JPEG" else {}))
    write_bytes(target, buffer.getvalue())
    return target


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The system's DejaVu where there is one: Pillow's own font knows ASCII only."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size=size)


def _pixels(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    width, height = size
    left, top, right, bottom = box
    x0, y0 = min(round(left * width), width - 1), min(round(top * height), height - 1)
    return x0, y0, max(x0, min(round(right * width), width - 1)), max(y0, min(round(bottom * height), height - 1))


def _frame(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], colour: Colour, width: int) -> None:
    """The colour between two contrasting edges, so that it shows on light, dark and its own colour."""
    edge = max(1, width // 2)
    pen.rectangle(box, outline=_contrast(colour), width=width + 2 * edge)
    inner = (box[0] + edge, box[1] + edge, box[2] - edge, box[3] - edge)
    if inner[2] > inner[0] and inner[3] > inner[1]:
        pen.rectangle(inner, outline=colour, width=width)


def _tag(
    pen: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    text: str,
    colour: Colour,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size: tuple[int, int],
) -> None:
    """On a filled ground above the box, inside it where there is no room above, and always within the picture."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    pad = max(2, round((bottom - top) / 5))
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x = max(0, min(box[0], size[0] - round(width)))
    y = box[1] - round(height) if box[1] >= height else box[1]
    y = max(0, min(y, size[1] - round(height)))
    pen.rectangle((x, y, x + width, y + height), fill=colour)
    pen.text((x + pad - left, y + pad - top), text, fill=_contrast(colour), font=font)


def _contrast(colour: Colour) -> Colour:
    red, green, blue = colour
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else (255, 255, 255)
