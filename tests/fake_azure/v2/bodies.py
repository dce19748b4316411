"""Bodies that resource manager has no published type for: MLflow's, the scoring address's, none at all. Knows no route.

MLflow's are held to its own messages (mlflow.protos), a batch job's to what azure-ai-ml writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.fake_azure.messages import Json, Refused, Reply, Request, arm_error, azureml_error

# What `azure.ai.ml._schema._deployment.batch.batch_job` puts into a body, and the kinds of its inputs and outputs.
BATCH_JOB: Mapping[str, type] = {
    "compute": dict,
    "dataset": str,
    "errorThreshold": int,
    "inputData": dict,
    "miniBatchSize": int,
    "name": str,
    "outputData": dict,
    "outputDataset": dict,
    "outputFileName": str,
    "properties": dict,
    "retrySettings": dict,
}
KINDS = ("UriFile", "UriFolder", "TritonModel", "MLFlowModel", "MLTable", "CustomModel")
LOGS = ("InferenceServer", "StorageInitializer")
INPUT = ("jobInputType", "value", "mode", "uri")


def mlflow(request: Request, message: str, *required: str) -> Json:
    """The body, as MLflow's message of that name allows it. Raises: MLflow's own 400."""
    from google.protobuf import json_format
    from mlflow.protos import service_pb2

    body = _object(request, mlflow_error)
    try:
        json_format.ParseDict(body, getattr(service_pb2, message)())
    except json_format.ParseError as wrong:
        raise mlflow_error(f"{message}: {wrong}") from None
    missing = [name for name in required if body.get(name) in (None, "", [])]
    if missing:
        raise mlflow_error(f"{message}: missing {', '.join(missing)}")
    return body


def batch_job(request: Request) -> Json:
    """The properties of a batch job's body. Raises: Azure's 400 that names what is wrong."""
    body = _object(request, _refused)
    wrong = list(_batch_problems(body))
    if wrong:
        raise _refused("; ".join(wrong[:5]))
    properties: Json = body["properties"]
    return properties


def pending_upload(request: Request) -> None:
    body = _object(request, lambda text: arm_error(400, "UserError", text))
    kind = body.get("pendingUploadType")
    if set(body) - {"pendingUploadId", "pendingUploadType"} or kind != "TemporaryBlobReference":
        raise arm_error(400, "UserError", f"expected pendingUploadType TemporaryBlobReference, found {body}")


def logs(request: Request) -> None:
    """As the SDK asks for a deployment's log."""
    body = _object(request, lambda text: arm_error(400, "UserError", text))
    wrong = set(body) != {"containerType", "tail"} or body["containerType"] not in (
        "InferenceServer",
        "StorageInitializer",
    )
    if wrong or not isinstance(body["tail"], int):
        raise arm_error(400, "UserError", f"expected containerType and tail, found {body}")


def none(request: Request) -> None:
    """The client sends this call without a body, so one with a body is not this call."""
    if request.body:
        raise arm_error(400, "UserError", f"expected no body, found {len(request.body)} bytes")


def mlflow_error(text: str, status: int = 400, code: str = "INVALID_PARAMETER_VALUE") -> Refused:
    return Refused(Reply(status, {"error_code": code, "message": text}))


def _refused(text: str) -> Refused:
    return azureml_error(400, "UserError", text)


def _object(request: Request, refused: Callable[[str], Refused]) -> Json:
    body = request.json()
    if not isinstance(body, dict):
        raise refused(f"expected an object, found {body!r}")
    return body


def _batch_problems(body: Json) -> Iterator[str]:
    properties = body.get("properties")
    if set(body) != {"properties"} or not isinstance(properties, dict):
        yield f"expected properties and nothing else, found {', '.join(body) or 'nothing'}"
        return
    for key, value in properties.items():
        if key not in BATCH_JOB:
            yield f"properties: unknown '{key}'; known: {', '.join(BATCH_JOB)}"
        elif not isinstance(value, BATCH_JOB[key]):
            yield f"properties.{key}: expected {BATCH_JOB[key].__name__}, found {value!r}"
    inputs = properties.get("inputData")
    for name, given in inputs.items() if isinstance(inputs, dict) else ():
        yield from _input_problems(f"properties.inputData.{name}", given)


def _input_problems(where: str, given: Any) -> Iterator[str]:
    if not isinstance(given, dict):
        yield f"{where}: expected an object, found {given!r}"
        return
    unknown = sorted(set(given) - set(INPUT))
    if unknown:
        yield f"{where}: unknown {', '.join(unknown)}"
    kind = given.get("jobInputType")
    if kind != "Literal" and kind not in KINDS:
        yield f"{where}.jobInputType: expected Literal or one of {', '.join(KINDS)}, found {kind!r}"
    key = "value" if kind == "Literal" else "uri"
    if not isinstance(given.get(key), str):
        yield f"{where}.{key}: expected a text, found {given.get(key)!r}"
