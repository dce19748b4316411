"""Python imports this when it starts: the packages that CVA_TEST_REFUSED names cannot be imported in this process.

The only module of its folder. A finder in front of all others: an import that fails is louder than a list afterwards.
"""

from __future__ import annotations

import os
import sys
from typing import Any


class Refuse:
    def __init__(self, *names: str) -> None:
        self._names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0].startswith(self._names):
            raise AssertionError(f"imported: {name}")


if _names := os.environ.get("CVA_TEST_REFUSED"):
    sys.meta_path.insert(0, Refuse(*_names.split(",")))
