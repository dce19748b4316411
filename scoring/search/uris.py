"""Addresses that carry keys: https, or plain HTTP to this machine alone; nothing secret in the address itself."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from scoring.errors import UsageError


def require_tls(uri: str, option: str) -> SplitResult:
    """Raises: UsageError, which never repeats the address."""
    try:
        parts = urlsplit(uri)
        good = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError as error:
        raise UsageError(f"{option} is not an address", hint="expected https://HOST/PATH") from error
    if not good or not uri.isascii() or any(each.isspace() for each in uri):
        raise UsageError(f"{option} is not an address", hint="expected https://HOST/PATH")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(f"{option} holds a user, a query or a fragment", hint="keys come from the environment")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise UsageError(f"{option} is not https", hint="plain http is for this machine alone (127.0.0.1, localhost)")
    return parts


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
