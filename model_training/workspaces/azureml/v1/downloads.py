"""One file from an address with a signature. Whole or absent, never all of it in memory. Knows no SDK."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import IO

from model_training.workspaces.azureml.v1.rest import TIMEOUT, pause

CHUNK = 1 << 20
TRIES = 3


def download(url: str, file: Path) -> None:
    """Written beside its place and renamed; a broken connection is tried again. Raises what requests raises."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            _fetch(url, stream)
        part.chmod(0o644)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _fetch(url: str, stream: IO[bytes]) -> None:
    import requests

    for attempt in range(1, TRIES + 1):
        try:
            stream.seek(0)
            stream.truncate()
            with requests.get(url, stream=True, timeout=TIMEOUT) as response:
                response.raise_for_status()
                for chunk in response.iter_content(CHUNK):
                    stream.write(chunk)
            return
        except requests.RequestException as error:
            seconds = pause(error.response, attempt)
            if seconds is None or attempt == TRIES:
                raise
            time.sleep(seconds)
