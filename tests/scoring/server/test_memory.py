"""Freed memory is kept for the next picture; measured in a process of its own, since it holds for the whole of one."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, sys
from scoring.server.memory import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit("another allocator")
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd x y z a b".split()]
libc.mallinfo2.restype = Mallinfo
before = libc.mallinfo2().hblkhd
libc.malloc(20 << 20)
print((libc.mallinfo2().hblkhd - before) >> 20)
"""


def mapped(word: str) -> subprocess.CompletedProcess[str]:
    """MiB of a block of 20 that the kernel is asked for alone, and that goes back to it when freed."""
    return subprocess.run([sys.executable, "-c", SCRIPT, word], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator of Linux's glibc")
def test_blocks_of_a_pictures_size_are_not_given_back() -> None:
    kept, usual = mapped("kept"), mapped("usual")
    if "another allocator" in kept.stderr or "mallinfo2" in usual.stderr:
        pytest.skip("this Linux has another allocator than a recent glibc's")
    assert (int(kept.stdout), int(usual.stdout)) == (0, 20)
