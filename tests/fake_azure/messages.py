"""A request as a handler sees it, a reply, and errors in the shapes that Azure gives them. Knows no route."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """`query` keys are lower case; `claims` are those of the checked token, empty where a route needs none."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # keys in lower case
    body: bytes = b""
    claims: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> Any:
        """The body; Azure's 400 when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise arm_error(400, "InvalidRequestContent", "The request content was invalid JSON") from None

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True)
class Reply:
    """`body` is JSON unless it is bytes or text; None is no body at all."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, str]:
        """The body and its type."""
        if self.body is None:
            return b"", ""
        if isinstance(self.body, bytes):
            return self.body, "application/octet-stream"
        if isinstance(self.body, str):
            return self.body.encode(), "text/plain; charset=utf-8"
        return json.dumps(self.body).encode(), "application/json; charset=utf-8"


Answer = Reply | Json | list[Any] | str | None


def as_reply(answer: Answer) -> Reply:
    if isinstance(answer, Reply):
        return answer
    return Reply(204) if answer is None else Reply(200, answer)


class Refused(Exception):
    """Raised by a check or a handler: the reply is an error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status}: {reply.body}")
        self.reply = reply


def arm_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Refused:
    """Resource manager's shape."""
    headers = {"x-ms-failure-cause": "gateway", **(headers or {})}
    return Refused(Reply(status, {"error": {"code": code, "message": message}}, headers))


def azureml_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Refused:
    """The shape of Azure ML's own services; `code` is UserError, ServiceError or Transient…"""
    error = {"code": code, "severity": None, "message": message, "details": [], "target": None, "innerError": None}
    body = {
        "error": error,
        "correlation": {"operation": "0" * 32, "request": "0" * 16},
        "environment": "westeurope",
        "location": "westeurope",
        "time": now(),
    }
    return Refused(Reply(status, body, headers or {}))


def login_error(status: int, error: str, number: int, message: str) -> Refused:
    """Entra's shape."""
    body = {"error": error, "error_description": f"AADSTS{number}: {message} Trace ID: 0", "error_codes": [number]}
    return Refused(Reply(status, {**body, "timestamp": now(), "trace_id": "0", "correlation_id": "0"}))


def storage_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Refused:
    """Blob storage's shape: XML and a header."""
    text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    kind = {"Content-Type": "application/xml", "x-ms-error-code": code, "x-ms-version": "2021-08-06"}
    return Refused(Reply(status, text.encode(), {**kind, **(headers or {})}))


ERRORS = {"arm": arm_error, "azureml": azureml_error, "blob": storage_error, "graph": arm_error}


def error_of(kind: str, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Refused:
    """An error in the shape of that kind of host."""
    return ERRORS.get(kind, arm_error)(status, code, message, headers)


def now() -> str:
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
