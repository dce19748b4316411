"""Everything that the server may be told, as one frozen value. Knows where the values come from, not what they do."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from scoring.images import ImageLimits

MIB = 1 << 20


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class ServeSettings:
    """`keys` never show in a repr, and so in no log."""

    host: str = "127.0.0.1"
    port: int = 8000  # 0: any free one
    workers: int = field(default_factory=cores)  # images that are scored at the same time
    threads: int = 1  # of ONNX Runtime for each image
    provider: str = "cpu"
    fast_jpeg: bool = False  # a large JPEG is decoded no larger than the model needs
    queue: int = 64  # requests that wait or are being scored
    deadline_seconds: float = 60.0  # from the end of a request's body to its answer
    skill_seconds: float = 25.0  # the same for a search skill's batch
    read_seconds: float = 30.0  # a request's head and body must be here within, and its answer be taken
    max_body: int = 64 * MIB  # bytes of one request's body
    max_held: int = 256 * MIB  # bytes of the bodies being read; again as much of the images that wait or are scored
    max_images: int = 1000  # in one request
    limits: ImageLimits = field(default_factory=ImageLimits)
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    keys_file: Path | None = None  # read again when it changes; instead of `keys`
    cors_origins: tuple[str, ...] = ()
    reload_seconds: float = 30.0  # between looks for a new model; 0: never
    access_log: bool = False
    debug: bool = False  # more words on stderr; answers stay the same

    @property
    def longest_seconds(self) -> float:
        """Of a request within its limits, from the head to its answer."""
        return self.read_seconds + max(self.deadline_seconds, self.skill_seconds)

    @property
    def locked(self) -> bool:
        """Callers must show a key."""
        return bool(self.keys) or self.keys_file is not None
