"""The published pipeline as Azure ML's component YAML: one command node on the CPU cluster, as the cluster's identity.

Its inputs are exactly the parameters, each bound to the node's. Makes documents; sends nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from model_training.workspaces.azureml.service import PublishRequest, StepCode
from model_training.workspaces.azureml.step_environment import IMAGE, environment_version, requirement_lines

NODE = "train_and_register"
TOKEN = "cva_publish"  # a tag that says which publishing made a version


def pipeline_document(request: PublishRequest, name: str, version: int, environment: str, token: str) -> dict[str, Any]:
    """What `load_component` takes. `environment` is `name:version` of one that is registered."""
    return {
        "type": "pipeline",
        "name": name,
        "version": str(version),
        "display_name": request.endpoint,
        "description": request.description or request.endpoint,
        "tags": {TOKEN: token},
        "inputs": {key: _input(default) for key, default in request.parameters.items()},
        "jobs": {NODE: _node(request, environment)},
    }


def environment_document(step: StepCode) -> dict[str, Any]:
    """What `load_environment` takes; its version is the hash of what it is made of, so the same pins are one."""
    pins = requirement_lines(step.requirements)
    conda = {
        "name": "step",
        "channels": ["conda-forge"],
        "dependencies": [f"python={step.python}", "pip", {"pip": pins}],
    }
    return {
        "name": step.environment,
        "version": environment_version(step.python, step.requirements),
        "image": IMAGE,
        "conda_file": conda,
        "description": f"Python {step.python} and {len(pins)} pinned packages of {step.requirements.name}",
    }


def command(step: StepCode, parameters: Mapping[str, str]) -> str:
    fixed = " ".join(shlex.quote(word) for word in step.arguments)
    given = " ".join(f"--{key.replace('_', '-')} ${{{{inputs.{key}}}}}" for key in parameters)
    return " ".join(word for word in ("python", step.script, fixed, given) if word)


def _node(request: PublishRequest, environment: str) -> dict[str, Any]:
    step = request.step
    return {
        "type": "command",
        "component": {
            "type": "command",
            "display_name": NODE,
            "code": str(step.folder),
            "command": command(step, request.parameters),
            "environment": f"azureml:{environment}",
            "inputs": {key: {"type": "string"} for key in request.parameters},
            "is_deterministic": False,  # the same parameters train again: the data set may have grown
        },
        "inputs": {key: f"${{{{parent.inputs.{key}}}}}" for key in request.parameters},
        "compute": f"azureml:{step.compute}",
        "identity": {"type": "managed_identity"},
    }


def _input(default: str) -> dict[str, str]:
    return {"type": "string", "default": default} if default else {"type": "string"}
