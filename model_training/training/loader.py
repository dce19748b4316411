"""Batches of training pictures. Every draw is keyed by (seed, epoch, place): a position is two numbers, a resume exact.

One CPU thread loads inline; for a GPU, threads load ahead into pinned memory (cv2 works without Python's lock).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_training.training.assign import Objects
from model_training.training.augment import Augmentation, Picture, compose
from model_training.training.examples import Examples

AS_USUAL = Augmentation()
AHEAD = 3  # batches that the workers hold ready


@dataclass(frozen=True)
class Batch:
    """`images` (N, S, S, 3) uint8 and its objects."""

    images: Tensor
    objects: Objects

    def to(self, device: torch.device) -> Batch:
        if device.type == "cpu":
            return self
        moved = (t.pin_memory().to(device, non_blocking=True) for t in (self.images, *vars(self.objects).values()))
        return Batch(next(moved), Objects(*moved))


@dataclass(frozen=True)
class Loader:
    """`mosaic` gives the probability of four pictures in one at the time a batch is made."""

    examples: Examples
    size: int
    batch: int
    seed: int
    mosaic: Callable[[], float]
    multi_scale: bool = False
    workers: int = 0
    how: Augmentation = AS_USUAL

    @property
    def steps(self) -> int:
        return -(-len(self.examples) // self.batch)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from step `first` on."""
        order = self._order(epoch)
        if not self.workers:
            for step in range(first, self.steps):
                yield self._batch(order, epoch, step)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            yield from self._ahead(pool, order, epoch, first)

    def _ahead(self, pool: ThreadPoolExecutor, order: NDArray[np.int64], epoch: int, first: int) -> Iterator[Batch]:
        waiting: deque[list[Future[Picture]]] = deque()
        for step in range(first, self.steps + AHEAD):
            if step < self.steps:
                places = range(step * self.batch, (step + 1) * self.batch)
                size = self._size(epoch, step)
                waiting.append([pool.submit(self._picture, order, epoch, place, size) for place in places])
            if len(waiting) > AHEAD or step >= self.steps:
                if not waiting:
                    return
                yield collate([future.result() for future in waiting.popleft()])

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """A permutation, repeated from its start until the last batch is full."""
        order = np.random.default_rng([self.seed, epoch, 0]).permutation(len(self.examples))
        return np.resize(order, self.steps * self.batch)

    def _batch(self, order: NDArray[np.int64], epoch: int, step: int) -> Batch:
        size = self._size(epoch, step)
        places = range(step * self.batch, (step + 1) * self.batch)
        return collate([self._picture(order, epoch, place, size) for place in places])

    def _size(self, epoch: int, step: int) -> int:
        """With `multi_scale`, from half to one and a half of the size, in steps of 32; the same for a whole batch."""
        if not self.multi_scale:
            return self.size
        low, high = round(self.size * 0.5 / 32), round(self.size * 1.5 / 32)
        return 32 * int(np.random.default_rng([self.seed, epoch, 1, step]).integers(max(low, 1), high + 1))

    def _picture(self, order: NDArray[np.int64], epoch: int, place: int, size: int) -> Picture:
        rng = np.random.default_rng([self.seed, epoch, 2, place])
        numbers = [int(order[place])]
        if rng.random() < self.mosaic():
            numbers += rng.integers(len(self.examples), size=3).tolist()
        return compose(self.examples, numbers, size, size / self.size, rng, self.how)


def collate(pictures: list[Picture]) -> Batch:
    most = max(1, *(len(picture.labels) for picture in pictures))
    boxes = np.zeros((len(pictures), most, 4), np.float32)
    labels = np.zeros((len(pictures), most), np.int64)
    real = np.zeros((len(pictures), most), np.bool_)
    for number, picture in enumerate(pictures):
        count = len(picture.labels)
        boxes[number, :count], labels[number, :count], real[number, :count] = picture.boxes, picture.labels, True
    images = torch.from_numpy(np.stack([picture.pixels for picture in pictures]))
    return Batch(images, Objects(torch.from_numpy(boxes), torch.from_numpy(labels), torch.from_numpy(real)))
