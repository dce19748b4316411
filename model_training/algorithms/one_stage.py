"""Our anchor-free one-stage detector: a CSP backbone, a two-way feature pyramid, a decoupled head at strides 8, 16, 32.

Knows nothing about losses, files or NMS. Height and width of the input must be multiples of 32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_training.algorithms.layers import Conv, Csp, PyramidPool

STRIDES = (8, 16, 32)
FIRST_DISTANCE = 2.0  # strides, before training: about softplus of itself
FIRST_SCORE = 0.01  # of every class at every point: most points see nothing


@dataclass(frozen=True)
class Size:
    """Channels of the five backbone stages, how many bottlenecks a block has, channels of the head."""

    channels: tuple[int, int, int, int, int]
    depth: int
    head: int


SIZES = {
    "pico": Size((8, 16, 32, 48, 64), 1, 32),
    "nano": Size((16, 32, 64, 128, 256), 1, 64),
    "small": Size((32, 64, 128, 256, 512), 1, 128),
    "medium": Size((48, 96, 192, 384, 576), 2, 192),
    "large": Size((64, 128, 256, 512, 512), 3, 256),
    "extra_large": Size((80, 160, 320, 640, 640), 3, 320),
}


@dataclass(frozen=True)
class Prediction:
    """Raw output for the loss: `boxes` (N, A, 4) xyxy and `points` (A, 2) in input pixels, `logits` (N, A, C)."""

    boxes: Tensor
    logits: Tensor
    points: Tensor
    strides: Tensor


class Backbone(nn.Module):
    """Image to three maps at strides 8, 16 and 32."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        a, b, c, d, e = size.channels
        n = size.depth
        self.stages = nn.ModuleList(
            [
                Conv(3, a, 3, 2),
                nn.Sequential(Conv(a, b, 3, 2), Csp(b, b, n, True)),
                nn.Sequential(Conv(b, c, 3, 2), Csp(c, c, 2 * n, True)),
                nn.Sequential(Conv(c, d, 3, 2), Csp(d, d, 2 * n, True)),
                nn.Sequential(Conv(d, e, 3, 2), Csp(e, e, n, True), PyramidPool(e)),
            ]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[2:]


class Neck(nn.Module):
    """Coarse meaning flows down to the fine maps, fine position flows back up."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        _, _, c, d, e = size.channels
        n = size.depth
        self.down_middle = Csp(d + e, d, n, False)
        self.down_fine = Csp(c + d, c, n, False)
        self.to_middle = Conv(c, c, 3, 2)
        self.up_middle = Csp(c + d, d, n, False)
        self.to_coarse = Conv(d, d, 3, 2)
        self.up_coarse = Csp(d + e, e, n, False)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> list[Tensor]:
        middle = self.down_middle(torch.cat((_double(coarse), middle), 1))
        fine = self.down_fine(torch.cat((_double(middle), fine), 1))
        middle = self.up_middle(torch.cat((self.to_middle(fine), middle), 1))
        coarse = self.up_coarse(torch.cat((self.to_coarse(middle), coarse), 1))
        return [fine, middle, coarse]


class Head(nn.Module):
    """For one map: class logits (N, HW, C) and distances to the four sides (N, HW, 4) in strides."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.stem = Conv(inputs, hidden, 1)
        self.box = nn.Sequential(Conv(hidden, hidden), nn.Conv2d(hidden, 4, 1))
        self.score = nn.Sequential(Conv(hidden, hidden), nn.Conv2d(hidden, classes, 1))
        nn.init.constant_(self.box[-1].bias, FIRST_DISTANCE)  # type: ignore[arg-type]
        nn.init.constant_(self.score[-1].bias, math.log(FIRST_SCORE / (1 - FIRST_SCORE)))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        distances = functional.softplus(self.box(x).flatten(2).transpose(1, 2).float())
        return distances, self.score(x).flatten(2).transpose(1, 2).float()


class OneStage(nn.Module):
    """In training: a `Prediction`. In eval mode: boxes (N, A, 4) xyxy in input pixels, scores (N, A, C)."""

    def __init__(self, classes: int, size: Size) -> None:
        super().__init__()
        self.backbone = Backbone(size)
        self.neck = Neck(size)
        self.heads = nn.ModuleList(Head(channels, size.head, classes) for channels in size.channels[2:])

    def forward(self, images: Tensor) -> Prediction | tuple[Tensor, Tensor]:
        maps = self.neck(*self.backbone(images))
        outputs = [head(x) for head, x in zip(self.heads, maps, strict=True)]
        points, strides = _grid([(x.shape[2], x.shape[3]) for x in maps], images.device)
        distances = torch.cat([output[0] for output in outputs], 1) * strides[:, None]
        boxes = torch.cat((points - distances[..., :2], points + distances[..., 2:]), -1)
        logits = torch.cat([output[1] for output in outputs], 1)
        return Prediction(boxes, logits, points, strides) if self.training else (boxes, logits.sigmoid())

    def stages(self) -> list[nn.Module]:
        """What `layers_to_freeze` counts: the backbone's stages from the image on, then the neck."""
        return [*self.backbone.stages, self.neck]


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def _grid(shapes: list[tuple[int, int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Centres of all cells (A, 2) in input pixels and their strides (A,)."""
    points, strides = [], []
    for (height, width), stride in zip(shapes, STRIDES, strict=True):
        y = (torch.arange(height, device=device) + 0.5) * stride
        x = (torch.arange(width, device=device) + 0.5) * stride
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        points.append(torch.stack((columns, rows), -1).reshape(-1, 2))
        strides.append(torch.full((height * width,), float(stride), device=device))
    return torch.cat(points), torch.cat(strides)
