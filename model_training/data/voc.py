"""Pascal VOC: one XML an image; as published (Annotations, JPEGImages, ImageSets/Main) or XML beside images.

Pixels count from 1 and both ends belong to the box: left = (xmin - 1) / width, right = xmax / width. A 0, which tools
that count from 0 leave, is read as 1. xmin = xmax is a box of no extent, as the tools that draw it mean it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from xml.sax.saxutils import escape

from model_training.data.drafting import Draft, Found, half_pixel
from model_training.data.image_folder import ImageFolder, header_size, short_name
from model_training.data.parts import SHORT, by_part
from model_training.data.problems import Problem
from model_training.data.rows import Row
from model_training.data.writing import lost_crowds, lost_masks, require_boxes, size_of
from model_training.data.xml_lines import Node, XmlFault, read_xml
from scoring.errors import DataError

PARTS = {"train": "train", "val": "validation", "test": "test"}
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_voc(path: Path, found: Found | None = None) -> Iterator[Row | Problem]:
    """Every annotation below `path`, in the order of their names."""
    found = found if found is not None else Found()
    base = voc_base(path)
    annotations = base / "Annotations" if (base / "Annotations").is_dir() else base
    images = ImageFolder(base)
    listed, problems = _image_sets(base / "ImageSets" / "Main")
    yield from problems
    for file in sorted(annotations.rglob("*.xml")):
        name = file.relative_to(annotations).with_suffix("").as_posix()
        draft = _read_one(file, name, images)
        found.claim(draft, images.root, listed.pop(name, None) if draft.image else None)
        yield from draft.finish()
    _note_leftovers(found, listed, images)


def voc_base(path: Path) -> Path:
    """The folder that holds Annotations: `path`, or the only folder in it (VOCdevkit/VOC2007)."""
    if (path / "Annotations").is_dir():
        return path
    inside = [child for child in sorted(path.iterdir()) if (child / "Annotations").is_dir()] if path.is_dir() else []
    return inside[0] if len(inside) == 1 else path


def _image_sets(folder: Path) -> tuple[dict[str, str], list[Problem]]:
    """Name -> part, from the lists that the data comes with; `trainval` counts where there is no `train`."""
    listed: dict[str, str] = {}
    problems = []
    files = [(folder / f"{name}.txt", part) for name, part in PARTS.items()]
    if not files[0][0].is_file() and not files[1][0].is_file():
        files.append((folder / "trainval.txt", "train"))
    for file, part in files:
        lines = file.read_text(encoding="utf-8-sig").split("\n") if file.is_file() else []
        for number, line in enumerate(lines, 1):
            name = line.strip("\r") if line.strip() else ""
            if name and listed.setdefault(name, part) != part:
                problems.append(Problem(str(file), number, f"{name} is in {listed[name]} already"))
    return listed, problems


def _read_one(file: Path, name: str, images: ImageFolder) -> Draft:
    draft = Draft(str(file))
    try:
        root = read_xml(file)
    except XmlFault as fault:
        draft.fault(fault.reason, fault.line)
        return draft
    if root.name != "annotation":
        draft.fault(f"expected an <annotation> document, found <{root.name}>", root.line)
        return draft
    _find_image(root, name, images, draft)
    _set_size(root, draft)
    if draft.width and draft.height:
        draft.slack = half_pixel(draft.width, draft.height)
        for number, node in enumerate(root.all("object"), 1):
            _add_object(node, f"object {number}", draft)
    return draft


def _find_image(root: Node, name: str, images: ImageFolder, draft: Draft) -> None:
    said = root.text_at("filename") or ""
    below = PurePosixPath(name).parent.as_posix()
    near = [str(PurePosixPath(folder) / inner) for folder in ("JPEGImages", "", "images") for inner in (below, "")]
    found = (
        images.find(said, near)
        or images.find(said.strip(), near)
        or images.find_stem(name, ("JPEGImages", "", "images"))
    )
    if found is None:
        draft.fault(f"expected its image {said or name!r} below {images.root}, found none", root.line)
        return
    draft.image, draft.file_name = images.root / found, short_name(found)


def _set_size(root: Node, draft: Draft) -> None:
    """Each annotation its own size; from the image's header where it says none."""
    size = root.child("size")
    sides = [_pixels(size.text_at(side)) if size else None for side in ("width", "height")]
    if all(side and side == int(side) > 0 for side in sides):
        draft.width, draft.height = (int(side or 0) for side in sides)
        return
    header = header_size(draft.image) if draft.image else None
    if header is None and draft.image:
        draft.fault("expected <size> with width and height, and the image's header says none", (size or root).line)
    draft.width, draft.height = header or (None, None)


def _add_object(node: Node, where: str, draft: Draft) -> None:
    box = node.child("bndbox")
    label = node.text_at("name") or ""
    texts = [box.text_at(side) for side in _SIDES] if box else []
    pixels = [_pixels(text) for text in texts]
    if box is None or None in pixels:
        found = ", ".join(f"{side} {text!r}" for side, text in zip(_SIDES, texts, strict=False)) or "no <bndbox>"
        draft.fault(f"{where} ({label}): expected <bndbox> with four finite numbers, found {found}", (box or node).line)
        return
    left, top, right, bottom = (pixel or 0.0 for pixel in pixels)
    width, height = draft.width or 1, draft.height or 1
    if right == left or bottom == top:  # one pixel wide by the rule; but what tools leave when nothing was drawn
        edges = (left / width, top / height, right / width, bottom / height)
    else:
        edges = ((_from_one(left) - 1) / width, (_from_one(top) - 1) / height, right / width, bottom / height)
    draft.add_box(label, edges, line=box.line, where=where)


def _from_one(pixel: float) -> float:
    return 1.0 if 0 <= pixel < 1 else pixel


def _pixels(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _note_leftovers(found: Found, listed: dict[str, str], images: ImageFolder) -> None:
    if listed:
        found.notes.append(f"{len(listed)} names in ImageSets have no annotation, such as {next(iter(listed))!r}")
    bare = [name for name in images.names if not found.has(images.root / name)]
    if bare:
        found.notes.append(f"{len(bare)} images have no annotation and are left out, such as {bare[0]!r}")


def place(row: Row, _part: str) -> str:
    return f"JPEGImages/{row.file_name}"


def write_voc(rows: Sequence[Row], folder: Path, parts: Mapping[str, str]) -> list[str]:
    """Annotations and ImageSets/Main; names are those of the images, which lie in JPEGImages."""
    require_boxes(rows, "Pascal VOC")
    for row in rows:
        file = folder / "Annotations" / PurePosixPath(row.file_name).with_suffix(".xml")
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8", newline="\n") as writer:
            writer.write(_to_xml(row))
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True, exist_ok=True)
    for part, group in by_part(rows, parts).items():
        names = "".join(f"{PurePosixPath(row.file_name).with_suffix('')}\n" for row in group)
        if part:
            (lists / f"{SHORT[part]}.txt").write_text(names, encoding="utf-8", newline="\n")
    return lost_masks(rows, "Pascal VOC") + lost_crowds(rows, "Pascal VOC")


def _to_xml(row: Row) -> str:
    width, height = size_of(row)
    image = PurePosixPath(row.file_name)
    lines = [
        "<annotation>",
        f"\t<folder>{_text(str(PurePosixPath('JPEGImages') / image.parent))}</folder>",
        f"\t<filename>{_text(image.name)}</filename>",
        f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "\t<segmented>0</segmented>",
    ]
    for box in row.boxes:
        left, right = _inclusive(box.top_x, box.bottom_x, width, row)
        top, bottom = _inclusive(box.top_y, box.bottom_y, height, row)
        sides = zip(_SIDES, (left, top, right, bottom), strict=True)
        corners = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
        lines.append(
            f"\t<object><name>{_text(box.label)}</name><difficult>0</difficult><bndbox>{corners}</bndbox></object>"
        )
    return "\n".join([*lines, "</annotation>\n"])


def _inclusive(low: float, high: float, side: int, row: Row) -> tuple[float, float]:
    """Pixels from 1, both ends inside, each within half a pixel; whole ones, but for boxes thinner than two pixels."""
    first, last = round(low * side) + 1, round(high * side)
    if first < last:
        return first, last
    thin = max(1.0, low * side + 0.5), min(float(side), high * side + 0.5)
    if thin[0] < thin[1]:
        return thin
    raise DataError(
        f"{row.file_name}: expected boxes of at least half a pixel, found one of {(high - low) * side:.3g} at the edge",
        hint="Pascal VOC cannot hold it; export as jsonl, coco, csv or yolo",
    )


def _text(text: str) -> str:
    """Raises: DataError for what XML cannot hold."""
    if bad := _NO_XML.search(text):
        raise DataError(f"expected text that XML can hold, found {bad[0]!r} in {text!r}", hint="export as jsonl")
    return escape(text, {"\r": "&#13;"})
