"""A folder that is whole or absent: filled beside its place, flushed to disk, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from model_training.errors import StorageError

_DISK = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
}


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """An empty folder to fill; when the block ends well it takes the place of `folder`, or else it is removed.

    Raises:
        StorageError: the disk is full, or the place cannot be written to.
    """
    staging = folder.with_name(f".{folder.name}.tmp")
    try:
        shutil.rmtree(staging, ignore_errors=True)  # of an attempt that was killed
        staging.mkdir(parents=True)
        yield staging
        _flush(staging)
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
        _flush_names(folder.parent)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise StorageError(
            f"cannot write {error.filename or folder}: {error.strerror}",
            hint="free some space, or choose another folder",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Every byte and every name, before the rename says that they are there."""
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            _flush_names(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _flush_names(folder)


def _flush_names(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
