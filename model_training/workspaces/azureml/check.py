"""Whether the workspace that the settings name is ready to train in: each check says what it found and what to do.

Asks over `Service` alone and changes nothing but one blob of a few bytes, which is how a missing role is noticed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

from model_training.setting_rules import RETIRED_SIZES
from model_training.settings import Settings
from model_training.workspaces.azureml.service import Compute, Service
from model_training.workspaces.findings import FAIL, OK, WARN, Finding
from scoring.errors import CvaError, NotFoundError

PROBE = "cva/check"  # in the default datastore
DEPLOY = "deploy infrastructure/ (its README says how), or correct the name in variable_template.yml"


def examine(service: Service, settings: Settings) -> list[Finding]:
    """Nothing further is asked where the workspace itself does not answer."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _generation(service),
        lambda: _clusters(service, settings),
        lambda: _storage(service),
        lambda: _datastores(service, settings),
        lambda: _endpoint(service, settings),
    )
    place = f"{service.place.workspace_name} in {service.place.resource_group}"
    try:
        service.default_datastore()
    except CvaError as error:
        return [Finding("workspace", FAIL, error.message, error.hint or DEPLOY)]
    found = [Finding("workspace", OK, f"{place}, SDK {service.generation}")]
    return found + [finding for check in checks for finding in _answered(check)]


def _answered(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """A check that cannot be made is a finding, too."""
    try:
        yield from check()
    except CvaError as error:
        yield Finding("answer", FAIL, error.message, error.hint)


def _generation(service: Service) -> Iterator[Finding]:
    """https://learn.microsoft.com/azure/machine-learning/v1/how-to-identity-based-data-access, its limitations."""
    if service.generation == "v1":
        yield Finding(
            "SDK",
            WARN,
            "v1's support has ended, and Azure documents AutoML on data without stored keys for v2 alone",
            "if an AutoML run cannot read its data: AZUREML_SDK: v2 (infrastructure/README.md says what else)",
        )


def _clusters(service: Service, settings: Settings) -> Iterator[Finding]:
    there = {each.name: each for each in service.clusters()}
    wanted = {"AML_COMPUTE_CLUSTER_NAME": settings.aml_compute_cluster_name}
    wanted |= {"AML_CPU_CLUSTER_NAME": settings.aml_cpu_cluster_name}
    for setting, name in wanted.items():
        yield _cluster(setting, name, there)


def _cluster(setting: str, name: str, there: dict[str, Compute]) -> Finding:
    if name not in there:
        others = ", ".join(sorted(there)) or "none"
        return Finding("cluster", FAIL, f"{setting} {name} is not there; clusters: {others}", DEPLOY)
    cluster = there[name]
    if cluster.size.lower() in RETIRED_SIZES:
        better = RETIRED_SIZES[cluster.size.lower()]
        return Finding("cluster", FAIL, f"{name} has the retired size {cluster.size}", f"make it anew with {better}")
    nodes = f"{name}: {cluster.size}, {cluster.min_nodes} to {cluster.max_nodes} nodes"
    if cluster.min_nodes:
        todo = "set AML_CLUSTER_MIN_NODES to 0 and deploy again, unless that is meant"
        return Finding("cluster", WARN, f"{nodes}: {cluster.min_nodes} cost money day and night", todo)
    return Finding("cluster", OK, nodes)


def _storage(service: Service) -> Iterator[Finding]:
    name = service.default_datastore()
    blobs, data = service.blobs(name), secrets.token_bytes(8)
    blobs.write(data, PROBE, overwrite=True)
    if blobs.read(PROBE, limit=64) != data:
        yield Finding("storage", FAIL, f"{name} gives back other bytes than were written", "ask Azure's support")
    else:
        yield Finding("storage", OK, f"{name} can be read and written")


def _datastores(service: Service, settings: Settings) -> Iterator[Finding]:
    name = settings.edge_datastore_name
    there = {each.name for each in service.datastores()}
    if name in there:
        yield Finding("datastore", OK, f"{name} is there")
    else:
        found = f"EDGE_DATASTORE_NAME {name} is not there; datastores: {', '.join(sorted(there))}"
        yield Finding("datastore", WARN, found, f"{DEPLOY}; only captured images need it")


def _endpoint(service: Service, settings: Settings) -> Iterator[Finding]:
    name = settings.automl_pipeline_name
    try:
        endpoint = service.endpoint(name)
    except NotFoundError:
        yield Finding("endpoint", WARN, f"{name} is not published yet", "cva endpoint publish --workspace azureml")
        return
    versions = f"{len(endpoint.versions)} versions, the default is {endpoint.default_version}"
    yield Finding("endpoint", OK, f"{name}: {versions}")
