"""The few calls that azure-ai-ml has no public words for: run history, MLflow, the older data registry.

One pipeline of azure-core: the caller's own token, retries that obey Retry-After. Knows no meaning of what it carries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]
SCOPE = "https://management.azure.com/.default"
ARM = "https://management.azure.com"
RETRIES = 3  # with growing waits: about five seconds, unless the service says how long


class Rest:
    """JSON in and out. Raises azure-core's exceptions: callers are inside the border."""

    def __init__(self, credential: Any) -> None:
        self._credential = credential
        self._made: Any = None

    def get(self, url: str, **query: Any) -> Json:
        return self._send("GET", url, query)

    def post(self, url: str, body: Mapping[str, Any] | None = None) -> Json:
        return self._send("POST", url, {}, {} if body is None else body)

    def put(self, url: str, body: Mapping[str, Any], **query: Any) -> Json:
        return self._send("PUT", url, query, body)

    def pages(self, url: str, **query: Any) -> Iterator[Json]:
        """Every item of a list in pages, whichever way it says where the next page is."""
        while True:
            page = self.get(url, **query)
            yield from page.get("value") or []
            following, token = page.get("nextLink"), page.get("continuationToken")
            if following:
                url, query = following, {}
            elif token:
                query = {**query, "continuationToken": token}
            else:
                return

    def _send(self, method: str, url: str, query: Mapping[str, Any], body: Any = None) -> Json:
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError, map_error
        from azure.core.rest import HttpRequest

        request = HttpRequest(method, url, params={k: v for k, v in query.items() if v is not None}, json=body)
        response = self._client.send_request(request)
        if response.status_code >= 400:
            map_error(response.status_code, response, {404: ResourceNotFoundError})
            raise HttpResponseError(response=response)
        return response.json() if response.content else {}

    @property
    def _client(self) -> Any:
        if self._made is None:
            from azure.core import PipelineClient
            from azure.core.pipeline import policies

            self._made = PipelineClient(
                ARM,
                policies=[
                    policies.RequestIdPolicy(),
                    policies.UserAgentPolicy("cva"),
                    policies.RetryPolicy(retry_total=RETRIES),
                    policies.BearerTokenCredentialPolicy(self._credential, SCOPE),
                ],
            )
        return self._made


def segment(text: str) -> str:
    """One part of a path: nothing in a name can lead elsewhere."""
    return quote(text, safe="")
