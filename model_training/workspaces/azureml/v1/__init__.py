"""Azure ML by SDK v1 (azureml-core, azureml-pipeline, azureml-train-automl-client), whose support has ended.

service.py      what `azureml/service.py` asks, a line each         errors.py       the one border for exceptions
connect.py      the workspace                                       stores.py       datastores, clusters
assets.py       data sets of both registries                        definitions.py  which file a data set reads
models.py       registered models                                   downloads.py    one file, whole or absent
runs.py         run history: state, logs, metrics, files            words.py        its words as ours
automl.py       submits the AutoML image job                        search.py       its search space
endpoints.py    publishing, versions, submitting                    step.py         the one step
rest.py         what the SDK has no words for, tried again
"""

from model_training.workspaces.azureml.v1.service import V1Service

__all__ = ["V1Service"]
