"""What the system's allocator does between two pictures. Knows nothing about pictures or servers.

glibc returns a large freed block to the kernel and asks for it again, page by page and zeroed, for the next picture:
some 700 page faults and 0.5 to 1 ms of CPU for a picture of 640 x 480. Told to keep up to 32 MiB a thread, it does not.
"""

from __future__ import annotations

import ctypes
import sys

KEPT = 32 << 20  # bytes of each thread's freed memory; also the largest that glibc takes as a threshold on 64 bits
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> bool:
    """For the whole process; False where the allocator is another one (musl, macOS, Windows)."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_TRIM_THRESHOLD, KEPT)) and bool(mallopt(M_MMAP_THRESHOLD, KEPT))
