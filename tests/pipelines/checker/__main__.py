"""By hand: python -m tests.pipelines.checker [FOLDER]"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.pipelines.checker.check import check
from tests.pipelines.checker.tree import Tree

if __name__ == "__main__":
    found = check(Tree.of(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
