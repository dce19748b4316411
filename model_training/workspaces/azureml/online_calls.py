"""The golden images asked of one online deployment, each call timed; what passes by itself is asked again.

Asks the deployment's own address: the SDK's `invoke` makes three calls to the control plane for each picture, which
would be timed, too. Knows nothing of traffic, and of what becomes of a deployment that answers otherwise.
"""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from model_training.workspaces.azureml.v2.client import Client
from model_training.workspaces.azureml.v2.errors import translated
from scoring.errors import OfflineError, SelfTestError, UnavailableError

PAUSES = (5.0, 15.0, 40.0)  # seconds before another try: a new address is not known everywhere at once, a script loads
DEADLINE = 120  # seconds for an answer


@dataclass(frozen=True)
class Timing:
    """Of calls one after another, as their caller sees them: with the network, without tries that failed."""

    calls: int
    p50_ms: float
    p95_ms: float
    images_per_second: float

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        """Percentiles are values that were measured: of up to 19 calls, p95 is the slowest."""
        ordered = sorted(seconds)
        p50, p95 = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.95))
        return cls(len(ordered), round(1000 * p50, 1), round(1000 * p95, 1), round(len(ordered) / sum(ordered), 2))


class Caller:
    """Of one deployment of an endpoint (the SDK's), whoever gets the endpoint's calls."""

    def __init__(self, client: Client, endpoint: Any, deployment: str) -> None:
        from azure.core import PipelineClient
        from azure.core.pipeline import policies

        shown = client.ml.online_endpoints.get_keys(endpoint.name)  # a key, or a token of who asks
        secret = getattr(shown, "primary_key", None) or shown.access_token
        headers = {"Authorization": f"Bearer {secret}", "azureml-model-deployment": deployment}
        self._address = str(endpoint.scoring_uri)
        self._words = f"{deployment} of {endpoint.name}"
        self._client = PipelineClient(
            self._address, policies=[policies.UserAgentPolicy("cva"), policies.HeadersPolicy(headers)]
        )

    def boxes(self, image: bytes) -> tuple[list[Any], float]:
        """What one picture gets, and the seconds it took.

        Raises: SelfTestError (no boxes, or its script fails), OfflineError, UnavailableError, UsageError.
        """
        body = {"input_data": {"columns": ["image"], "data": [base64.b64encode(image).decode()]}}
        for pause in PAUSES:
            try:
                return self._timed(body)
            except (OfflineError, UnavailableError, SelfTestError):
                time.sleep(pause)
        return self._timed(body)

    @translated
    def _timed(self, body: Mapping[str, Any]) -> tuple[list[Any], float]:
        from azure.core.exceptions import HttpResponseError
        from azure.core.rest import HttpRequest

        started = time.perf_counter()
        response = self._client.send_request(HttpRequest("POST", self._address, json=body), read_timeout=DEADLINE)
        seconds = time.perf_counter() - started
        text = response.text()
        if response.status_code == 424:  # Azure's word for a script that fails or does not answer
            raise SelfTestError(
                f"{self._words} fails on a golden image: {text[:400]}", hint="look at the deployment's log and size"
            )
        if response.status_code >= 400:
            raise HttpResponseError(response=response)
        try:
            return list(json.loads(text)[0]["boxes"]), seconds
        except (ValueError, LookupError, TypeError) as error:
            raise SelfTestError(
                f"{self._words} gives no boxes: {text[:200]}", hint="look at the deployment's log"
            ) from error


@translated
def ask_golden(client: Client, endpoint: Any, deployment: str, bundle: Path, calls: int = 0) -> Timing:
    """Each golden image once, or so many calls, over and over; every answer is within the bundle's tolerance.

    Raises: SelfTestError, OfflineError, UnavailableError, UsageError.
    """
    from scoring.edge.selftest import compare

    golden = bundle / "golden"
    expected: dict[str, Any] = json.loads((golden / "expected.json").read_text(encoding="utf-8"))
    manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    threshold: float | Mapping[str, float] = expected["score_threshold"] or manifest["postprocess"]["score_threshold"]
    caller, seconds = Caller(client, endpoint, deployment), []
    for item in islice(cycle(expected["images"]), calls or len(expected["images"])):
        answer, took = caller.boxes((golden / item["file"]).read_bytes())
        difference = compare(item["boxes"], answer, expected.get("tolerance", {}), threshold)
        if difference:
            raise SelfTestError(
                f"{deployment} of {endpoint.name} answers {item['file']} otherwise than the bundle: {difference}",
                hint="look at the deployment's log and size",
            )
        seconds.append(took)
    return Timing.of(seconds)
