"""The documented REST call without any SDK or command line: a run is submitted that nobody has checked before."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure


def submit(azure: FakeAzure, endpoint: str, **parameters: str) -> str:
    """The id of the run; the endpoint's default version, whichever generation it is of."""
    record = next(each for each in azure.state.endpoints.values() if endpoint in (each.name, *each.tags.values()))
    host = f"https://{azure.state.location}.api.azureml.ms"
    url = f"{host}/pipelines/v1.0{azure.state.arm_path}/PipelineRuns/PipelineEndpointSubmit/Id/{record.id}"
    body: dict[str, Any] = {"ExperimentName": "cap_detection", "ParameterAssignments": parameters}
    audience = "https://management.azure.com"
    if record.generation == "v2":
        url = f"https://{record.name.lower()}.{azure.state.location}.inference.ml.azure.com/jobs"
        inputs = {name: {"jobInputType": "Literal", "value": value} for name, value in parameters.items()}
        body = {"properties": {"inputData": inputs, "properties": {"experimentName": "cap_detection"}}}
        audience = "https://ml.azure.com"
    answer = _post(azure, url, body, audience)
    return str(answer.get("Id") or answer["name"])


def _post(azure: FakeAzure, url: str, body: Any, audience: str) -> dict[str, Any]:
    client = azure.state.client_id
    token = azure.tokens.access(audience, object_id=client, client_id=client)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    context = ssl.create_default_context(cafile=str(azure.authority.bundle))
    handlers = urllib.request.ProxyHandler({"https": azure.address}), urllib.request.HTTPSHandler(context=context)
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.build_opener(*handlers).open(request, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)
    return answer
