"""The SDK's client of one container, with our timeouts, sizes and retries. Imports azure-storage-blob: late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azure.storage.blob import ContainerClient, ExponentialRetry

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

MIB = 1 << 20
BUSY_TRIES = 3  # after the first, for 429
LONGEST_WAIT = 60  # seconds; a service that asks for more is reported instead


class Retries(ExponentialRetry):  # type: ignore[misc]
    """The SDK's own (408, 5xx, broken connections: after about 2, 4 and 8 seconds), and 429 after what it asks for."""

    def __init__(self) -> None:
        super().__init__(initial_backoff=0, increment_base=2, retry_total=4, random_jitter_range=1)

    def send(self, request: Any) -> Any:
        body = request.http_request.body
        start = body.tell() if hasattr(body, "seek") else None
        response = super().send(request)
        for _ in range(BUSY_TRIES):
            seconds = _asked(response.http_response)
            if seconds is None or seconds > LONGEST_WAIT:
                break
            request.context.transport.sleep(seconds)
            if start is not None:
                body.seek(start)
            response = super().send(request)
        return response


def open_container(url: str, credential: TokenCredential) -> ContainerClient:
    """Up to 8 MiB go in one request, more in parts of 4 MiB; nothing is asked of the network yet."""
    return ContainerClient.from_container_url(
        url,
        credential=credential,
        retry_policy=Retries(),
        connection_timeout=20,
        read_timeout=120,
        max_single_put_size=8 * MIB,
        max_block_size=4 * MIB,
        max_single_get_size=8 * MIB,
        max_chunk_get_size=4 * MIB,
    )


def _asked(response: Any) -> float | None:
    """How long a busy service wants to be left alone; None when it is not busy."""
    if response.status_code != 429:
        return None
    value = str(response.headers.get("Retry-After", ""))
    return float(value) if value.isdigit() else 2.0
