"""Bodies against the SDK's own msrest models: unknown key, wrong type, unknown value, missing. Knows no route.

The services of SDK v1 have no published types: what their generated client can say is what they take.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from tests.fake_azure.messages import Json, Request, azureml_error
from tests.fake_azure.state import State

REST = "azureml._restclient.models"
PIPELINES = "azureml.pipeline.core._restclients.aeva.models"
# Without which a call means nothing, although the models say so of few.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "ArtifactPathDto": ("path",),
    "Asset": ("name", "artifacts"),
    "BaseEvent": ("name",),
    "BatchArtifactCreateCommand": ("paths",),
    "CreateParentRun": ("target", "amlSettingsJsonString", "dataPrepJsonString"),
    "DataStore": ("name", "dataStoreType", "azureStorageSection"),
    "DatasetDefinitionDto": ("dataflow",),
    "DatasetDto": ("name", "datasetType", "latest"),
    "JsonPatchOperation": ("op", "path"),
    "Model": ("name", "url", "mimeType"),
    "ModuleCreationInfo": ("Name", "StorageId", "StructuredInterface"),
    "PipelineCreationInfo": ("Name", "Graph", "GraphInterface"),
    "PipelineEndpointCreationInfo": ("Name", "PipelineId"),
    "PipelineEndpointEntity": ("Name", "PipelineVersionList", "DefaultVersion"),
    "PipelineSubmissionInfo": ("ExperimentName",),
    "RetrieveFullFidelityMetricRequestDto": ("metricName",),
    "RunDefinition": ("configuration",),
    "SavedDatasetDto": ("datasetType", "dataflowJson"),
}
_PLAIN: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "long": (int,),
    "float": (int, float),
    "bool": (bool,),
    "iso-8601": (str,),
}


def checked(family: str, model: str, request: Request) -> Json:
    """The body, as that model allows it. Raises: the service's 400 that names what is wrong."""
    body = request.json()
    wrong = ["body: expected an object, found null"] if body is None else problems(family, model, body)
    if wrong:
        raise azureml_error(400, "UserError", "; ".join(wrong[:5]))
    assert isinstance(body, dict)
    return body


def check_version(request: Request, expected: str, *, needed: bool = True) -> None:
    """Of the services that have it in the query, not in the path; not `needed`: half of their clients send none."""
    found = request.query.get("api-version")
    if found != expected and (found is not None or needed):
        raise azureml_error(400, "UserError", f"api-version: expected {expected}, found {found}")


def bodiless(request: Request) -> None:
    """The client sends this call without a body, so one with a body is not this call."""
    if request.body:
        raise azureml_error(400, "UserError", f"expected no body, found {len(request.body)} bytes")


def problems(family: str, model: str, body: Any) -> list[str]:
    """One line for each thing that is wrong, with its place."""
    return list(_value(_models(family), model, body, "body"))


@functools.cache
def _models(family: str) -> Mapping[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK imports what is deprecated
        return vars(importlib.import_module(family))


def _value(models: Mapping[str, Any], kind: str, value: Any, where: str) -> Iterator[str]:
    if value is None or kind == "object":
        return
    if kind[0] in "[{":
        yield from _many(models, kind, value, where)
    elif kind in _PLAIN:
        wrong_bool = isinstance(value, bool) and kind != "bool"
        if wrong_bool or not isinstance(value, _PLAIN[kind]):
            yield f"{where}: expected {kind}, found {value!r}"
    elif isinstance(models[kind], type) and issubclass(models[kind], Enum):
        if value not in [member.value for member in models[kind]]:
            yield f"{where}: expected one of {', '.join(str(m.value) for m in models[kind])}, found {value!r}"
    else:
        yield from _object(models, kind, value, where)


def _many(models: Mapping[str, Any], kind: str, value: Any, where: str) -> Iterator[str]:
    wanted: type = list if kind[0] == "[" else dict
    if not isinstance(value, wanted):
        yield f"{where}: expected {kind}, found {value!r}"
        return
    items = enumerate(value) if isinstance(value, list) else value.items()
    for key, item in items:
        yield from _value(models, kind[1:-1], item, f"{where}[{key}]")


def _object(models: Mapping[str, Any], kind: str, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where}: expected {kind}, found {value!r}"
        return
    known = {entry["key"]: entry["type"] for entry in models[kind]._attribute_map.values()}
    for key, item in value.items():
        if key not in known:
            yield f"{where}: {kind} has no '{key}'; it has {', '.join(sorted(known))}"
        else:
            yield from _value(models, known[key], item, f"{where}.{key}")
    for key in REQUIRED.get(kind, ()):
        if value.get(key) is None:
            yield f"{where}: {kind} needs '{key}'"


def own(state: State, name: str) -> dict[str, Any]:
    """A table that only v1 has."""
    found: dict[str, Any] = state.own.setdefault("v1", {}).setdefault(name, {})
    return found


def not_found(what: str) -> Exception:
    return azureml_error(404, "UserError", f"{what} was not found.")
