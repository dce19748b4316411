"""The one exception tree. Every error says what was expected, what was found and what to do next.

CvaError                     exit 1
├── UsageError               exit 2   a wrong argument, name or job file
├── NotFoundError            exit 1   a dataset, model, endpoint, run or file that is not there
├── OfflineError             exit 1   a registry that cannot be reached now; what is installed goes on
├── UnavailableError         exit 1   a server that cannot answer now; `retry_after` seconds later it may
│   ├── BusyError                     its queue is full
│   ├── NotReadyError                 no model is loaded, or one is being loaded
│   └── DeadlineError                 the answer was not there in time
├── ConflictError            exit 1   it exists already, or somebody else holds the lock
│   └── LockedError          exit 75  another process is changing it right now; try again
├── DataError                exit 1   labelled data that cannot be used; `problems` lists the rows
├── ImageError               exit 1   one image that cannot be decoded within the limits; `code` names why
├── IntegrityError           exit 4   bytes that differ from their manifest, or an unsafe path
├── SelfTestError            exit 5   a bundle that does not give its golden answers on this machine
│   └── UntestedError        exit 5   it could not be tried now, for want of time or memory; later it may pass
├── IncompatibleError        exit 6   a bundle that this version or machine cannot run
├── StorageError             exit 1   disk full, permission denied, not a folder
├── TrainingError            exit 1   a trial that failed; `log` names where to look
└── CancelledError           exit 130 somebody asked for the run to stop

Knows nothing about HTTP: adapters map these to status codes.
"""

from __future__ import annotations

from collections.abc import Sequence


class CvaError(Exception):
    """Root of the tree. `message` says expected and found; `hint` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(CvaError):
    """`problems` holds one line for each thing that is wrong in a job file, all of them."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class NotFoundError(CvaError):
    pass


class OfflineError(CvaError):
    pass


class UnavailableError(CvaError):
    def __init__(self, message: str, *, hint: str = "", retry_after: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class BusyError(UnavailableError):
    pass


class NotReadyError(UnavailableError):
    pass


class DeadlineError(UnavailableError):
    pass


class ConflictError(CvaError):
    pass


class LockedError(ConflictError):
    exit_code = 75


class DataError(CvaError):
    """`problems` holds one line for each bad row (file, line, reason), all of them."""

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class ImageError(CvaError):
    """`code` is one of: not_an_image, format_not_allowed, image_too_large, truncated."""

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class IntegrityError(CvaError):
    exit_code = 4


class SelfTestError(CvaError):
    exit_code = 5


class UntestedError(SelfTestError):
    """Says nothing about the bundle: nobody remembers it as rejected."""


class IncompatibleError(CvaError):
    exit_code = 6


class StorageError(CvaError):
    pass


class TrainingError(CvaError):
    """`log` is the file that holds the trial's own words."""

    def __init__(self, message: str, *, hint: str = "", log: str = "") -> None:
        super().__init__(message, hint=hint)
        self.log = log


class CancelledError(CvaError):
    exit_code = 130
