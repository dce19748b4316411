"""Whether the workspace that the settings name is ready to train in: each check says what it found and what to do.

Asks over `Service` alone and changes nothing but a blob of a few bytes in two containers: so a missing role is noticed.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator

from model_training.setting_rules import RETIRED_SIZES, TRAINS_ON, trains_images
from model_training.settings import Settings
from model_training.workspaces.azureml.service import Compute, Container, Service
from model_training.workspaces.azureml.training import NEWEST, no_keys
from model_training.workspaces.findings import FAIL, OK, WARN, Finding
from scoring.errors import CvaError, NotFoundError, UsageError

PROBE = "cva/check"
DEPLOY = "deploy infrastructure/ (its README says how), or correct the name in variable_template.yml"


def examine(service: Service, settings: Settings) -> list[Finding]:
    """Nothing further is asked where the workspace itself does not answer."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _training(service),
        lambda: _clusters(service, settings),
        lambda: _storage(service),
        lambda: _captures(service, settings),
        lambda: _releases(service, settings),
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


def _training(service: Service) -> Iterator[Finding]:
    """Which generation the step of an endpoint of v1 submits AutoML through (`training.py`)."""
    if service.generation != NEWEST:
        why = no_keys(service, [service.default_datastore()])
        way = f"SDK {NEWEST}: {why}" if why else f"SDK {service.generation}: the default datastore holds keys"
        yield Finding("AutoML", OK, f"the step submits it through {way}")


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
    if setting == "AML_COMPUTE_CLUSTER_NAME" and not trains_images(cluster.size):
        todo = "delete the cluster, correct VM_SIZE (for example Standard_NC4as_T4_v3), deploy again"
        return Finding("cluster", FAIL, f"{name} has the size {cluster.size}, and {TRAINS_ON}", todo)
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


def _captures(service: Service, settings: Settings) -> Iterator[Finding]:
    name = settings.edge_datastore_name
    there = {each.name: each for each in service.datastores()}
    if name not in there:
        found = f"EDGE_DATASTORE_NAME {name} is not there; datastores: {', '.join(sorted(there))}"
        yield Finding("captures", WARN, found, f"{DEPLOY}; only captured images need it")
        return
    try:
        list(itertools.islice(service.blobs(name).list(), 1))
    except UsageError as error:
        who = "people get it from dataScientistPrincipalIds, a service connection from WORKSPACE_SVC_PRINCIPAL_ID"
        todo = _role("Storage Blob Data Reader", there[name], who, error)
        yield Finding("captures", FAIL, f"{name} cannot be read: {error.message}", todo)
        return
    yield Finding("captures", OK, f"{name} can be read")


def _releases(service: Service, settings: Settings) -> Iterator[Finding]:
    """Only who releases needs it: release_model.yml does."""
    wanted = settings.model_release_container
    there = {each.container: each for each in service.datastores()}
    if wanted not in there:
        found = f"no datastore shows MODEL_RELEASE_CONTAINER {wanted}"
        yield Finding("releases", WARN, found, f"{DEPLOY}; only releases to devices need it")
        return
    try:
        service.blobs(there[wanted].name).write(secrets.token_bytes(8), PROBE, overwrite=True)
    except UsageError as error:
        who = "a service connection gets it from WORKSPACE_SVC_PRINCIPAL_ID, a person from the group's owner"
        todo = f"{_role('Storage Blob Data Contributor', there[wanted], who, error)}; only a release needs it"
        yield Finding("releases", WARN, f"{wanted} cannot be written: {error.message}", todo)
        return
    yield Finding("releases", OK, f"{wanted} can be written")


def _role(role: str, container: Container, who: str, error: UsageError) -> str:
    """Which role is missing where, and who gets it how; what the error itself says where it is about something else."""
    if "role" not in (error.hint or ""):
        return error.hint or ""
    where = f"container {container.container} of {container.account}"
    return f"this login needs {role} on {where}: {who} (set, deploy infrastructure/ again, wait some minutes)"


def _endpoint(service: Service, settings: Settings) -> Iterator[Finding]:
    name = settings.automl_pipeline_name
    try:
        endpoint = service.endpoint(name)
    except NotFoundError:
        yield Finding("endpoint", WARN, f"{name} is not published yet", "cva endpoint publish --workspace azureml")
        return
    versions = f"{len(endpoint.versions)} versions, the default is {endpoint.default_version}"
    yield Finding("endpoint", OK, f"{name}: {versions}")
