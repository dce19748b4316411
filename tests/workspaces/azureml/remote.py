"""A `Service` in a process of its own, as the SDKs want it: their import is slow and keeps what it saw.

`Remote` looks like the service that runs there: values and errors travel as pickles over its pipes. It outlives a
test: `open` gives it another workspace.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from scoring import errors

ROOT = Path(__file__).resolve().parents[3]
BLOBS = "_blobs"


class Remote:
    """`environment` is the process's; what it prints goes to `log`."""

    def __init__(self, generation: str, environment: dict[str, str], log: Path) -> None:
        self._log = log
        self._lock = threading.Lock()  # files go up from several threads
        with log.open("ab") as errors_of_it:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.workspaces.azureml.remote", generation],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors_of_it,
                env={**environment, "PYTHONPATH": f"{environment.get('PYTHONPATH', '')}:{ROOT}"},
                cwd=log.parent,  # SDK v1 leaves logs where it runs
            )

    def said(self) -> str:
        """All that the process has written to its stderr so far."""
        return self._log.read_text(encoding="utf-8")

    def open(self, place: Any) -> None:
        self._ask(("", "open", (place,), {}))

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    @property
    def generation(self) -> str:
        return str(self._ask(("", "generation", None, None)))

    @property
    def place(self) -> Any:
        return self._ask(("", "place", None, None))

    def cva(self, *words: str, folder: Path, cache: Path) -> tuple[int, str, str]:
        """A command in that process, in a folder with settings: its exit code, stdout and stderr."""
        answer: tuple[int, str, str] = self._ask(("", "cva", (words, str(folder), str(cache)), {}))
        return answer

    def blobs(self, datastore: str) -> Any:
        self._ask(("", "blobs", (datastore,), {}))
        return RemoteBlobs(self, datastore)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *words, **named: self._ask(("", name, words, named))

    def _ask(self, question: Any) -> Any:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        with self._lock:
            _write(process.stdin, question)
            answer = _read(process.stdout)
        assert answer is not None, f"the process ended:\n{self._log.read_text(encoding='utf-8')[-4000:]}"
        kind, value = answer
        if kind == "value":
            return value
        if kind == "ours":
            raise _error(*value)
        raise AssertionError(f"an exception that is not ours came out of the service:\n{value}")


class RemoteBlobs:
    def __init__(self, remote: Remote, datastore: str) -> None:
        self._remote = remote
        self._datastore = datastore

    def list(self, prefix: str = "") -> Iterator[str]:
        yield from self._remote._ask((self._datastore, "list", (prefix,), {}))

    def __getattr__(self, name: str) -> Any:
        return lambda *words, **named: self._remote._ask((self._datastore, name, words, named))


def _error(name: str, fields: dict[str, Any]) -> errors.CvaError:
    error: errors.CvaError = getattr(errors, name).__new__(getattr(errors, name))
    Exception.__init__(error, fields["message"])
    error.__dict__.update(fields)
    return error


def _write(stream: IO[bytes], value: Any) -> None:
    data = pickle.dumps(value)
    stream.write(struct.pack("<I", len(data)) + data)
    stream.flush()


def _read(stream: IO[bytes]) -> Any:
    head = stream.read(4)
    if len(head) < 4:
        return None
    return pickle.loads(stream.read(struct.unpack("<I", head)[0]))


def _answer(service: Any, stores: dict[str, Any], question: Any) -> Any:
    """`stores` are the containers that were opened."""
    datastore, name, words, named = question
    if datastore and datastore not in stores:
        stores[datastore] = service.blobs(datastore)
    target = stores[datastore] if datastore else service
    value = getattr(target, name)
    if words is None:
        return value
    value = value(*words, **named)
    if name == "blobs":
        return None
    return list(value) if isinstance(value, Iterator) else value


def _cva(words: tuple[str, ...], folder: str, cache: str) -> tuple[int, str, str]:
    """As the console script runs it; only the pauses between two tries are left out."""
    import contextlib
    import io

    from model_training.cli.main import main
    from model_training.workspaces.azureml import online_calls

    online_calls.PAUSES = (0.0, 0.0, 0.0)
    os.environ["CVA_CACHE"] = cache
    said, errors_said = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors_said):
        code = main(["--workspace", "azureml", *words])
    return code, said.getvalue(), errors_said.getvalue()


def serve(generation: str) -> None:
    """Questions from stdin, answers to what stdout was; whatever else is printed goes to stderr."""
    import traceback

    from model_training.workspaces.open import connect

    if longest := os.environ.get("CVA_TEST_LONGEST_WAIT"):
        sleep = time.sleep
        time.sleep = lambda seconds: sleep(min(seconds, float(longest)))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    service: Any = None
    stores: dict[str, Any] = {}
    while (question := _read(sys.stdin.buffer)) is not None:
        try:
            if question[1] == "open":
                service, stores, value = connect(question[2][0], generation), {}, None
            elif question[1] == "cva":
                value = _cva(*question[2])
            else:
                value = _answer(service, stores, question)
            _write(answers, ("value", value))
        except errors.CvaError as error:
            traceback.print_exc()
            _write(answers, ("ours", (type(error).__name__, error.__dict__)))
        except Exception:  # whatever it is, the test is told: nothing but our own errors may come out
            _write(answers, ("foreign", traceback.format_exc()))


if __name__ == "__main__":
    serve(sys.argv[1])
