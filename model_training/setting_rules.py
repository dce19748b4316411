"""What each setting may be, as Azure has it, so that a wrong one is named before anything is asked of the network.

Lengths and characters: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from scoring.errors import UsageError

# In small letters, with what to take instead. The list, and the retirement pages of the older series:
# https://learn.microsoft.com/azure/virtual-machines/sizes/retirement/retired-sizes-list
RETIRED_SIZES = {
    # NC and NC_Promo, 6 September 2023
    "standard_nc6": "Standard_NC4as_T4_v3",
    "standard_nc12": "Standard_NC8as_T4_v3",
    "standard_nc24": "Standard_NC64as_T4_v3",
    "standard_nc24r": "Standard_NC64as_T4_v3",
    "standard_nc6_promo": "Standard_NC4as_T4_v3",
    "standard_nc12_promo": "Standard_NC8as_T4_v3",
    "standard_nc24_promo": "Standard_NC64as_T4_v3",
    "standard_nc24r_promo": "Standard_NC64as_T4_v3",
    # NCv2, the same day
    "standard_nc6s_v2": "Standard_NC4as_T4_v3",
    "standard_nc12s_v2": "Standard_NC8as_T4_v3",
    "standard_nc24s_v2": "Standard_NC64as_T4_v3",
    "standard_nc24rs_v2": "Standard_NC64as_T4_v3",
    # ND, the same day
    "standard_nd6s": "Standard_NC24ads_A100_v4",
    "standard_nd12s": "Standard_NC48ads_A100_v4",
    "standard_nd24s": "Standard_NC96ads_A100_v4",
    "standard_nd24rs": "Standard_NC96ads_A100_v4",
    # NV and NV_Promo, the same day
    "standard_nv6": "Standard_NC4as_T4_v3",
    "standard_nv12": "Standard_NC8as_T4_v3",
    "standard_nv24": "Standard_NC64as_T4_v3",
    "standard_nv6_promo": "Standard_NC4as_T4_v3",
    "standard_nv12_promo": "Standard_NC8as_T4_v3",
    "standard_nv24_promo": "Standard_NC64as_T4_v3",
    # NCv3, 30 September 2025
    "standard_nc6s_v3": "Standard_NC24ads_A100_v4",
    "standard_nc12s_v3": "Standard_NC48ads_A100_v4",
    "standard_nc24s_v3": "Standard_NC96ads_A100_v4",
    "standard_nc24rs_v3": "Standard_NC96ads_A100_v4",
    # NVv3 and NVv4, 30 September 2026
    "standard_nv12s_v3": "Standard_NC4as_T4_v3",
    "standard_nv24s_v3": "Standard_NC8as_T4_v3",
    "standard_nv48s_v3": "Standard_NC64as_T4_v3",
    "standard_nv4as_v4": "Standard_NC4as_T4_v3",
    "standard_nv8as_v4": "Standard_NC4as_T4_v3",
    "standard_nv16as_v4": "Standard_NC8as_T4_v3",
    "standard_nv32as_v4": "Standard_NC16as_T4_v3",
}
# The families that Azure names for AutoML on images; NV sizes have GPUs, too, and are not among them:
# https://learn.microsoft.com/azure/machine-learning/how-to-auto-train-image-models#compute-to-run-experiment
_TRAINS = re.compile(r"standard_n[cd].+", re.IGNORECASE)
TRAINS_ON = "AutoML for images trains on GPU sizes of the NC and ND families alone"
_GUID = r"|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# Azure's documents differ on the length of a cluster's name; this is what all of them allow.
_CLUSTER = (
    r"[A-Za-z](?!.*-[0-9]*$)[A-Za-z0-9-]{2,23}",
    "3 to 24 letters, digits and hyphens, a letter first, no -1 last",
)
_CONTAINER = (
    r"[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]",
    "3 to 63 small letters, digits and single hyphens",
)
_NAME = (r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", "1 to 100 letters, digits, '_', '.' or '-', the first a letter or digit")
_TEXT = (r"\S(.{0,198}\S)?", "1 to 200 characters")
_SIZE = (r"(?i)standard_[a-z0-9_]{1,60}", "a VM size such as Standard_NC4as_T4_v3")

# setting: its pattern, and that in words
RULES: Mapping[str, tuple[str, str]] = {
    "base_name": (
        r"[A-Za-z](?!.*--)[A-Za-z0-9-]{0,18}[A-Za-z0-9]",
        "2 to 20 letters, digits and single hyphens, a letter first",
    ),
    "location": (r"[a-z][a-z0-9]{2,39}", "a region as Azure names it, such as westeurope"),
    "resource_group": (r"[\w().-]{0,89}[\w()-]", "1 to 90 letters, digits, '_', '-', '.' or brackets, no '.' last"),
    "workspace_name": (r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}", "3 to 33 letters, digits, '_' or '-'"),
    "azure_rm_svc_connection": _TEXT,
    "workspace_svc_connection": _TEXT,
    "workspace_svc_principal_id": (_GUID, "the object id of a service principal, or nothing"),
    "azure_rm_svc_principal_id": (_GUID, "the object id of a service principal, or nothing"),
    "subscription_id": (_GUID, "a subscription's id, or nothing for the one that is logged in"),
    "aml_env_name": _NAME,
    "vm_size": _SIZE,
    "cpu_vm_size": _SIZE,
    "aml_compute_cluster_name": _CLUSTER,
    "aml_cpu_cluster_name": _CLUSTER,
    "automl_pipeline_name": _NAME,
    "automl_pipeline_description": (r"(?s).{0,1000}", "at most 1,000 characters"),
    "azureml_sdk": (r"v1|v2", "v1 or v2"),
    "edge_datastore_name": (r"[A-Za-z0-9_]{1,100}", "1 to 100 letters, digits and '_'"),
    "edge_storage_account": (r"|[a-z0-9]{3,24}", "3 to 24 small letters and digits, or nothing"),
    "edge_capture_container": _CONTAINER,
    "model_release_container": _CONTAINER,
}
_RANGES = {
    "aml_cluster_min_nodes": (0, 100),
    "aml_cluster_max_nodes": (1, 100),
    "idle_seconds_before_scaledown": (60, 86_400),
}


def check_settings(values: Mapping[str, Any], where: str) -> None:
    """Raises: UsageError that names the setting, what was expected and what was found."""
    for name, (pattern, words) in RULES.items():
        if not re.fullmatch(pattern, values[name]):
            raise UsageError(
                f"{where}: {name.upper()} must be {words}, found '{values[name]}'", hint="correct that line"
            )
    for name, (low, high) in _RANGES.items():
        if not low <= values[name] <= high:
            raise UsageError(
                f"{where}: {name.upper()} must be {low} to {high}, found {values[name]}", hint="correct it"
            )
    _check_sizes(values, where)
    _check_together(values, where)


def trains_images(size: str) -> bool:
    """Whether AutoML for images runs on machines of that size; says nothing of retired ones."""
    return bool(_TRAINS.fullmatch(size))


def _check_sizes(values: Mapping[str, Any], where: str) -> None:
    for name in ("vm_size", "cpu_vm_size"):
        size = values[name]
        if size.lower() in RETIRED_SIZES:
            raise UsageError(
                f"{where}: {name.upper()} {size} is retired by Azure", hint=f"use {RETIRED_SIZES[size.lower()]} instead"
            )
    if not trains_images(values["vm_size"]):
        raise UsageError(
            f"{where}: VM_SIZE is {values['vm_size']}, and {TRAINS_ON}",
            hint="for example Standard_NC4as_T4_v3; CPU_VM_SIZE is the size of the machine that waits",
        )


def _check_together(values: Mapping[str, Any], where: str) -> None:
    low, high = values["aml_cluster_min_nodes"], values["aml_cluster_max_nodes"]
    if low > high:
        raise UsageError(
            f"{where}: AML_CLUSTER_MIN_NODES {low} is above AML_CLUSTER_MAX_NODES {high}",
            hint="0 nodes at least costs nothing while idle",
        )
    if values["aml_compute_cluster_name"] == values["aml_cpu_cluster_name"]:
        raise UsageError(
            f"{where}: AML_CPU_CLUSTER_NAME is the GPU cluster, {values['aml_cpu_cluster_name']}",
            hint="the step that waits needs a cluster of its own: on one GPU node both would wait for ever",
        )
    if values["edge_capture_container"] == values["model_release_container"]:
        raise UsageError(
            f"{where}: MODEL_RELEASE_CONTAINER is that of the captures, {values['model_release_container']}",
            hint="captures expire, and devices write there: released models need a container of their own",
        )
