"""The few requests that SDK v1 has no words for: its own login, tried again while the service is busy or out of reach.

Knows no meaning of what it carries, and only asks for what may be asked twice.
"""

from __future__ import annotations

import time
from typing import Any

TRIES = 4
TIMEOUT = 60  # seconds without a byte
LONGEST_WAIT = 60  # seconds; a service that asks for more is reported instead
BUSY = (408, 429)


def send(workspace: Any, method: str, url: str) -> Any:
    """The answer. Raises what requests raises, for a refusal too, once trying again does not help."""
    import requests

    for attempt in range(1, TRIES + 1):
        try:
            headers = workspace._auth_object.get_authentication_header()  # a new token each time, where it needs one
            response = requests.request(method, url, headers=headers, timeout=TIMEOUT)
            response.raise_for_status()
            return response
        except requests.RequestException as error:
            seconds = pause(error.response, attempt)
            if seconds is None or attempt == TRIES:
                raise
            time.sleep(seconds)
    raise AssertionError("the last attempt returns or raises")


def pause(response: Any, attempt: int) -> float | None:
    """Seconds before the next try: what the service asks for, else longer each time; None where it would not help."""
    status = response.status_code if response is not None else None
    if status is not None and status < 500 and status not in BUSY:
        return None
    asked = str(response.headers.get("Retry-After", "")) if response is not None else ""
    seconds = float(asked) if asked.isdigit() else 0.5 * 2**attempt
    return seconds if seconds <= LONGEST_WAIT else None
