"""variable_template.yml -> Settings. Knows the names, their defaults and their rules; nothing about who uses them.

The file is an Azure Pipelines variable template: `variables:` as a list of `name`/`value` and `group`, or a mapping.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from model_training.errors import NotFoundError, UsageError
from model_training.setting_rules import check_settings

FILE_NAME = "variable_template.yml"
MAX_BYTES = 1 << 20

_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.]*)\)")


@dataclass(frozen=True)
class Settings:
    """Every key of CONTRACTS 1 in lower case, with its default. `groups` are defined in Azure DevOps, not here."""

    base_name: str = "cva"
    location: str = "westeurope"
    resource_group: str = "$(BASE_NAME)-rg"
    workspace_name: str = "$(BASE_NAME)-aml"
    azure_rm_svc_connection: str = "azure-resource-connection"
    workspace_svc_connection: str = "aml-workspace-connection"
    workspace_svc_principal_id: str = ""
    azure_rm_svc_principal_id: str = ""
    subscription_id: str = ""  # empty: the logged-in one
    aml_env_name: str = "automl_for_images_training_env"
    vm_size: str = "Standard_NC4as_T4_v3"
    cpu_vm_size: str = "Standard_D4ds_v4"
    aml_compute_cluster_name: str = "gpu-cluster"
    aml_cpu_cluster_name: str = "cpu-cluster"
    aml_cluster_min_nodes: int = 0
    aml_cluster_max_nodes: int = 1
    idle_seconds_before_scaledown: int = 600
    automl_pipeline_name: str = "automl_for_images_training_pipeline"
    automl_pipeline_description: str = "Trains a detector and registers the best model"
    automl_job_template: str = "model_training/job_templates/object_detection.yml"
    azureml_sdk: str = "v1"  # v1 | v2
    edge_datastore_name: str = "edgevisionstorage"
    edge_storage_account: str = ""
    edge_capture_container: str = "captures"
    model_release_container: str = "releases"
    groups: tuple[str, ...] = ()
    source: Path | None = field(default=None, compare=False)

    @property
    def job_template_path(self) -> Path:
        """The job template: beside the settings file, or the one that is installed with the package."""
        beside = (self.source.parent if self.source else Path()) / self.automl_job_template
        installed = Path(__file__).parent.parent / self.automl_job_template
        for path in (beside, installed):
            if path.is_file():
                return path
        raise NotFoundError(
            f"AUTOML_JOB_TEMPLATE names {self.automl_job_template}, which is not there",
            hint=f"correct it in {self.source or FILE_NAME}; the default is {Settings.automl_job_template}",
        )


def load_settings(path: Path | None = None) -> Settings:
    """Settings of `path`, or of the nearest variable_template.yml upwards from here, or the defaults.

    Raises UsageError for an unknown key, a wrong value or template syntax; NotFoundError when `path` is not a file.
    """
    found = path if path is not None else nearest(Path.cwd())
    if found is None:
        return parse_settings("variables: []", source=None)
    if not found.is_file():
        raise NotFoundError(f"no settings file at {found}", hint=f"give the path of a {FILE_NAME}")
    if found.stat().st_size > MAX_BYTES:
        raise UsageError(
            f"{found} is larger than {MAX_BYTES} bytes", hint="a settings file is a page of names and values"
        )
    return parse_settings(found.read_text(encoding="utf-8"), source=found)


def parse_settings(text: str, *, source: Path | None) -> Settings:
    """Settings from the text of a variable template."""
    where = str(source or FILE_NAME)
    values, groups = _pairs(text, where)
    known = {f.name.upper(): f for f in fields(Settings) if f.name not in ("groups", "source")}
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known names: {', '.join(sorted(known))}"
            raise UsageError(f"{where}: '{name}' is not a setting", hint=hint)
    defaults = {name: str(f.default) for name, f in known.items()}
    expanded = _expand({**defaults, **values}, where)
    typed = {known[name].name: _typed(name, value, known[name].type, where) for name, value in expanded.items()}
    check_settings(typed, where)
    return Settings(**typed, groups=groups, source=source)


def nearest(start: Path) -> Path | None:
    """The settings file of a folder, or of the nearest one above it."""
    return next((folder / FILE_NAME for folder in (start, *start.parents) if (folder / FILE_NAME).is_file()), None)


def _pairs(text: str, where: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Names and values as strings, and the variable groups."""
    import yaml

    if "${{" in text:
        raise UsageError(
            f"{where}: template expressions (${{{{ }}}}) are not read here",
            hint="write plain values; $(NAME) refers to another name of the file",
        )
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{where} is not YAML: {error}", hint="see the file as it was: git diff") from error
    variables = document.get("variables") if isinstance(document, Mapping) else None
    if isinstance(variables, Mapping):
        variables = [{"name": name, "value": value} for name, value in variables.items()]
    if not isinstance(variables, list):
        raise UsageError(
            f"{where}: expected `variables:` with a list of name and value", hint="see variable_template.yml"
        )
    values: dict[str, str] = {}
    groups: list[str] = []
    for item in variables:
        if isinstance(item, Mapping) and set(item) == {"group"}:
            groups.append(str(item["group"]))
            continue
        if not isinstance(item, Mapping) or not {"name", "value"} <= set(item):
            raise UsageError(
                f"{where}: expected name and value, found {item!r}", hint="- name: BASE_NAME\n    value: cva"
            )
        name = str(item["name"])
        if name in values:
            raise UsageError(f"{where}: '{name}' is set twice", hint="keep one of them")
        values[name] = "" if item["value"] is None else str(item["value"])
    return values, tuple(groups)


def _expand(values: dict[str, str], where: str) -> dict[str, str]:
    """Every $(NAME) replaced; a name that is not in the file, or refers to itself, is an error."""

    def resolve(name: str, seen: tuple[str, ...]) -> str:
        if name in seen:
            raise UsageError(f"{where}: {' -> '.join((*seen, name))} never ends", hint="give one of them a plain value")

        def replace(match: re.Match[str]) -> str:
            if match[1] not in values:
                raise UsageError(f"{where}: '{name}' refers to $({match[1]}), which is not set", hint=f"set {match[1]}")
            return resolve(match[1], (*seen, name))

        return _REFERENCE.sub(replace, values[name])

    return {name: resolve(name, ()) for name in values}


def _typed(name: str, value: str, kind: Any, where: str) -> Any:
    if kind not in ("int", int):
        return value
    if not re.fullmatch(r"\d{1,6}", value):
        raise UsageError(f"{where}: {name} must be a whole number, found '{value}'", hint="for example 1")
    return int(value)
