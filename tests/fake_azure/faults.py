"""Faults that a test asks for: the next calls that match are answered wrongly, late, or not at all."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.fake_azure.messages import Refused, error_of

KINDS = ("drop", "drop-answer", "cut-answer")
CODES = {  # what each kind of host calls it
    400: {"blob": "InvalidInput", "": "BadRequest"},
    401: {"blob": "InvalidAuthenticationInfo", "arm": "ExpiredAuthenticationToken", "": "UserError"},
    403: {"blob": "AuthorizationPermissionMismatch", "arm": "AuthorizationFailed", "": "UserError"},
    404: {"blob": "BlobNotFound", "arm": "ResourceNotFound", "": "UserError"},
    409: {"blob": "BlobAlreadyExists", "arm": "Conflict", "": "UserError"},
    412: {"blob": "ConditionNotMet", "": "UserError"},
    429: {"blob": "ServerBusy", "arm": "TooManyRequests", "": "RateLimitExceeded"},
    500: {"blob": "InternalError", "arm": "InternalServerError", "": "ServiceError"},
    503: {"blob": "ServerBusy", "arm": "ServerUnavailable", "": "ServiceError"},
}


@dataclass
class Fault:
    """`what` is a status, or one of KINDS:

    drop: the connection breaks half way through the request, which is not handled;
    drop-answer: it is handled and the connection breaks before the answer;
    cut-answer: the connection breaks half way through the answer's body.
    """

    method: str
    pattern: re.Pattern[str]
    what: int | str
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    message: str = ""
    used: int = 0

    def refusal(self, kind: str) -> Refused:
        assert isinstance(self.what, int)
        codes = CODES.get(self.what, {})
        code = self.code or codes.get(kind) or codes.get("", "Error")
        return error_of(kind, self.what, code, self.message or f"{code}: a fault that a test asked for", self.headers)


class Faults:
    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        assert isinstance(fault.what, int) or fault.what in KINDS, f"{fault.what}: expected a status or one of {KINDS}"
        with self._lock:
            self._faults.append(fault)
        return fault

    def take(self, method: str, address: str) -> Fault | None:
        """The fault for this call, if any; `address` is host, path and query."""
        with self._lock:
            for fault in self._faults:
                if fault.used < fault.times and fault.method in ("", method) and fault.pattern.search(address):
                    fault.used += 1
                    return fault
        return None

    @property
    def left(self) -> list[Fault]:
        """Those that did not happen: a test that asked for them tested nothing."""
        return [fault for fault in self._faults if fault.used < fault.times]

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
