"""Finds the bundle's own code and loads the model, leaving no file behind. The loader module of the `MLmodel` file.

Lies in the bundle's `code/` beside `scoring/`. Python would write caches there, and a verified folder must gain no
files: imports from it go through here. Knows nothing about images, HTTP or what a model answers.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def load(folder: Path) -> Any:
    """The verified bundle as a `cva_model.BundleModel`. Raises: IntegrityError, IncompatibleError, NotFoundError."""
    with no_caches():
        importlib.import_module("cva_http")  # later on it is there
        model = importlib.import_module("cva_model")
    return model.BundleModel(folder)


def _load_pyfunc(data_path: str) -> Any:
    """MLflow calls this with the model's folder."""
    return load(Path(data_path))


@contextlib.contextmanager
def no_caches() -> Iterator[None]:
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def forget_cache(spec: Any) -> None:
    """Remove the cache that Python has written of a module before the module could say no."""
    cached = getattr(spec, "cached", None)
    if cached:
        with contextlib.suppress(OSError):  # a folder that cannot be written holds none
            Path(cached).unlink(missing_ok=True)
            Path(cached).parent.rmdir()  # other caches in it keep it


forget_cache(__spec__)
