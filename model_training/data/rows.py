"""One labelled image as a value, the shape that every format converts from and to.

Knows nothing about files, JSON or any format; `jsonl.py` reads and writes rows, one file a format converts them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """One object. Coordinates are fractions in [0, 1] of the image after its EXIF orientation.

    Left < right, top < bottom. `polygon` holds rings of alternating x, y fractions (segmentation), empty for a
    plain box.
    """

    label: str
    top_x: float
    top_y: float
    bottom_x: float
    bottom_y: float
    is_crowd: bool = False
    polygon: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One image with its label: exactly one of `boxes`, `classes` is meaningful, told by `kind`.

    `image_url` is what CONTRACTS 2 allows: `azureml://…`, `AmlDatastore://…`, `file:` or a path relative to the JSONL
    file. `file_name` is the image's path in the data it came from (forward slashes); groups and exports go by it.
    `sha256` is the content hash of the image file, empty until hashed. Width and height are pixels after EXIF
    orientation.
    """

    image_url: str
    boxes: tuple[Box, ...] = ()
    classes: tuple[str, ...] = ()  # classification: one; multi-label: any number
    kind: str = "boxes"  # boxes | polygons | class | classes
    width: int | None = None
    height: int | None = None
    format: str | None = None
    file_name: str = ""
    sha256: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label on this image, with repeats, in order."""
        return self.classes or tuple(box.label for box in self.boxes)
