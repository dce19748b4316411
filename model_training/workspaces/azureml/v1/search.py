"""A job's search space, sampling and early termination in the words of azureml.train.hyperdrive. Submits nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_training.jobs.spec import Distribution, EarlyTermination, JobSpec
from scoring.errors import UsageError

# SDK v1 hands hyperparameters to the training script as its arguments, by their older names; that script ignores a name
# that it does not know, so nothing else may be sent.
OLDER_NAMES = {
    "ams_gradient": "amsgrad",
    "box_detections_per_image": "box_detections_per_img",
    "box_score_threshold": "box_score_thresh",
    "gradient_accumulation_step": "grad_accumulation_step",
    "image_size": "img_size",
    "learning_rate_scheduler": "lr_scheduler",
    "nms_iou_threshold": "nms_iou_thresh",
    "tile_predictions_nms_threshold": "tile_predictions_nms_thresh",
    "training_crop_size": "train_crop_size",
    "validation_crop_size": "valid_crop_size",
    "validation_resize_size": "valid_resize_size",
}
UNKNOWN = (
    "advanced_settings",
    "augmentations",
    "log_training_metrics",
    "log_validation_loss",
    "number_of_workers",
    "random_seed",
)


def sampling(job: JobSpec) -> Any:
    """A HyperParameterSampling. One space is plain; several are a choice between them (random and grid only).

    Raises: UsageError where SDK v1 cannot say what the job asks for.
    """
    from azureml.train import hyperdrive

    kinds = {
        "random": hyperdrive.RandomParameterSampling,
        "grid": hyperdrive.GridParameterSampling,
        "bayesian": hyperdrive.BayesianParameterSampling,
    }
    return kinds[job.sampling_algorithm](parameter_space(job))


def parameter_space(job: JobSpec) -> dict[str, Any]:
    """Raises: UsageError for a job without a search space that asks for more than one trial."""
    from azureml.train.hyperdrive import choice

    if not job.search_spaces:
        if job.limits.max_trials > 1:
            raise UsageError(
                f"SDK v1 has no AutoMode: max_trials is {job.limits.max_trials} and the job has no search_space",
                hint="add a search_space, set max_trials to 1, or set AZUREML_SDK to v2 in variable_template.yml",
            )
        return {"model_name": choice(str(job.training_parameters["model_name"]))}
    spaces = [{older(name): expression(name, found) for name, found in space.items()} for space in job.search_spaces]
    return spaces[0] if len(spaces) == 1 else {"model": choice(spaces)}


def expression(name: str, distribution: Distribution) -> Any:
    """A parameter expression, as hyperdrive's functions write it."""
    from azureml.train import hyperdrive

    if distribution.kind in ("fixed", "choice"):
        return hyperdrive.choice(*(_plain(value) for value in distribution.values))
    numbers = dict(distribution.parameters)
    if distribution.kind == "randint":
        return hyperdrive.randint(int(numbers["upper"]))
    if "mu" in numbers:
        numbers = {"mu": numbers["mu"], "sigma": numbers["sigma"], **_step(numbers)}
    else:
        numbers = {"min_value": distribution.low, "max_value": distribution.high, **_step(numbers)}
    function = getattr(hyperdrive, distribution.kind, None)
    if function is None:
        raise UsageError(f"{name}: SDK v1 does not know the distribution {distribution.kind}")
    return function(**numbers)


def policy(early: EarlyTermination | None) -> Any:
    """None where the job has no early termination."""
    from azureml.train import hyperdrive

    if early is None:
        return None
    when = {"evaluation_interval": early.evaluation_interval, "delay_evaluation": early.delay_evaluation}
    if early.kind == "median_stopping":
        return hyperdrive.MedianStoppingPolicy(**when)
    if early.kind == "truncation_selection":
        return hyperdrive.TruncationSelectionPolicy(early.truncation_percentage, **when)
    slack = {"slack_factor": early.slack_factor, "slack_amount": early.slack_amount}
    return hyperdrive.BanditPolicy(**when, **{key: value for key, value in slack.items() if value is not None})


def arguments(parameters: Mapping[str, Any], searched: set[str]) -> list[Any]:
    """What is the same for every trial, as the training script takes it; what is searched is left out."""
    pairs = [(f"--{older(name)}", _plain(value)) for name, value in parameters.items() if name not in searched]
    return [each for pair in pairs for each in pair]


def older(name: str) -> str:
    """The name that SDK v1 knows. Raises: UsageError for a hyperparameter that it has no word for."""
    if name in UNKNOWN:
        raise UsageError(
            f"SDK v1 has no hyperparameter '{name}'",
            hint="remove it from the job, or set AZUREML_SDK to v2 in variable_template.yml",
        )
    return OLDER_NAMES.get(name, name)


def searched(job: JobSpec) -> set[str]:
    return {name for space in job.search_spaces for name in space} or {"model_name"}


def _plain(value: Any) -> Any:
    """The service takes no booleans."""
    return int(value) if isinstance(value, bool) else value


def _step(numbers: Mapping[str, float]) -> dict[str, float]:
    step = numbers.get("q")
    return {} if step is None else {"q": int(step) if float(step).is_integer() else step}
