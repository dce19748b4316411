"""`python -m tests.infrastructure.bicep [FOLDER]` prints what is wrong in FOLDER/infrastructure; 1 if anything is."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fake_azure.published_types import folder
from tests.infrastructure.bicep.azure_types import Library
from tests.infrastructure.bicep.check import check


def main(arguments: list[str]) -> int:
    root = Path(arguments[0] if arguments else ".").resolve()
    found = check(root, Library(folder()))
    for each in found:
        print(each)
    print(f"{len(found)} findings in {root}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
