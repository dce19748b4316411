"""The one step of a published pipeline by SDK v1: script, arguments, environment. Publishes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_training.workspaces.azureml.service import StepCode
from model_training.workspaces.azureml.step_environment import IMAGE, requirement_lines
from scoring.errors import UsageError

CHANNEL = "conda-forge"  # the SDK's default adds one whose terms are not everybody's


def script_step(workspace: Any, code: StepCode, parameters: Mapping[str, str]) -> Any:
    """A PythonScriptStep with one pipeline parameter for each of `parameters`; it never reuses an earlier result."""
    from azureml.core.compute import ComputeTarget
    from azureml.pipeline.core import PipelineParameter
    from azureml.pipeline.steps import PythonScriptStep

    arguments: list[Any] = list(code.arguments)
    for name, default in parameters.items():
        arguments += [f"--{name.replace('_', '-')}", PipelineParameter(name=name, default_value=default)]
    return PythonScriptStep(
        name=Path(code.script).stem,
        script_name=code.script,
        source_directory=str(code.folder),
        arguments=arguments,
        compute_target=ComputeTarget(workspace, code.compute),
        runconfig=run_configuration(code),
        allow_reuse=False,
    )


def run_configuration(code: StepCode) -> Any:
    """A container with Python and the pinned packages, and nothing that would vary from day to day."""
    from azureml.core import Environment, RunConfiguration
    from azureml.core.runconfig import DockerConfiguration

    environment = Environment(name=code.environment)
    environment.python.conda_dependencies = conda_dependencies(code)
    environment.docker.base_image = IMAGE
    environment.environment_variables.clear()  # it begins with an example; setting another is "deprecated", on stderr
    configuration = RunConfiguration()
    configuration.environment = environment
    configuration.docker = DockerConfiguration(use_docker=True)
    return configuration


def conda_dependencies(code: StepCode) -> Any:
    """Built from nothing: what the SDK itself starts with names an index, a channel and packages of its own choice."""
    from azureml.core.conda_dependencies import CondaDependencies

    conda = CondaDependencies()
    for package in list(conda.pip_packages):
        conda.remove_pip_package(package)
    for channel in list(conda.conda_channels):
        conda.remove_channel(channel)
    conda.add_channel(CHANNEL)
    conda.set_python_version(code.python)
    conda.add_conda_package("pip")
    for package in pinned(code.requirements):
        conda.add_pip_package(package)
    return conda


def pinned(requirements: Path) -> list[str]:
    """The lines of a requirements file. Raises: UsageError for one that is no `name==version`."""
    lines = requirement_lines(requirements)
    for line in lines:
        if line.startswith("-") or "==" not in line:
            raise UsageError(f"{requirements.name}: expected name==version, found '{line}'")
    return lines
