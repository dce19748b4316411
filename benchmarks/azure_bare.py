"""Publishing with nothing but the SDK's own calls, as its documentation has them: `azure_publish.py` compares with it.

The same step, pins, parameters and folder as `cva endpoint publish` sends, and the new version is the default in the
end; no check, record, property or question besides.
"""

from __future__ import annotations

import io
import json
import os
from typing import Any

from model_training.workspaces.azureml import credentials
from model_training.workspaces.azureml.service import PublishRequest

PLACE = ("cva-rg", "cva-aml")  # the settings' defaults, and the fake's


def v1(request: PublishRequest, number: int) -> None:
    from azureml.core import Workspace
    from azureml.pipeline.core import Pipeline, PipelineEndpoint, PipelineParameter
    from azureml.pipeline.steps import PythonScriptStep
    from msrest.exceptions import HttpOperationError

    from model_training.workspaces.azureml.v1.step import run_configuration

    subscription = os.environ["CVA_SUBSCRIPTION"]
    workspace = Workspace(subscription, *PLACE, auth=credentials.v1_authentication(subscription))
    arguments: list[Any] = list(request.step.arguments)
    for name, default in request.parameters.items():
        arguments += [f"--{name.replace('_', '-')}", PipelineParameter(name, default)]
    step = PythonScriptStep(
        request.step.script,
        arguments=arguments,
        compute_target=request.step.compute,
        runconfig=run_configuration(request.step),
        source_directory=str(request.step.folder),
        allow_reuse=False,
    )
    published = Pipeline(workspace, steps=[step]).publish(name=request.endpoint, description=request.description)
    try:
        PipelineEndpoint.get(workspace, name=request.endpoint).add_default(published)
    except HttpOperationError:  # there is none yet
        PipelineEndpoint.publish(workspace, name=request.endpoint, description=request.description, pipeline=published)


def v2(request: PublishRequest, number: int) -> None:
    from azure.ai.ml import MLClient, load_component, load_environment
    from azure.ai.ml.entities import BatchEndpoint, PipelineComponentBatchDeployment

    from model_training.workspaces.azureml.v2.component import environment_document, pipeline_document

    subscription = os.environ["CVA_SUBSCRIPTION"]
    ml = MLClient(credentials.token_credential(subscription), subscription, *PLACE, enable_telemetry=False)
    made = ml.environments.create_or_update(load_environment(_yaml(environment_document(request.step))))
    document = pipeline_document(request, "bare_component", number + 1, f"{made.name}:{made.version}", "")
    component = ml.components.create_or_update(load_component(_yaml(document)))
    if number == 0:
        ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=request.endpoint)).result()
    deployment = PipelineComponentBatchDeployment(
        name=f"v{number + 1:02}",
        endpoint_name=request.endpoint,
        component=component.id,
        settings={"default_compute": request.step.compute},
        description=request.description,
    )
    ml.batch_deployments.begin_create_or_update(deployment).result()
    endpoint = ml.batch_endpoints.get(request.endpoint)
    endpoint.defaults = {"deployment_name": deployment.name}
    ml.batch_endpoints.begin_create_or_update(endpoint).result()


def _yaml(document: dict[str, Any]) -> io.StringIO:
    return io.StringIO(json.dumps(document))
