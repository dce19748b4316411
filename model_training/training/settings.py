"""The hyperparameters of one trial as typed values. Knows nothing about job files or torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from model_training.errors import UsageError


@dataclass(frozen=True)
class Hyperparameters:
    """Names as in CONTRACTS 4. `box_score_threshold` None: chosen on the validation images."""

    number_of_epochs: int
    image_size: int  # pixels, a multiple of 32
    model_size: str
    learning_rate: float
    optimizer: str  # sgd | adam | adamw
    momentum: float
    nesterov: bool
    beta1: float
    beta2: float
    ams_gradient: bool
    weight_decay: float
    training_batch_size: int
    validation_batch_size: int
    learning_rate_scheduler: str  # warmup_cosine | step | none
    step_lr_gamma: float
    step_lr_step_size: int  # epochs
    warmup_cosine_lr_cycles: float
    warmup_cosine_lr_warmup_epochs: float
    early_stopping: bool
    early_stopping_patience: int  # evaluations
    early_stopping_delay: int  # evaluations
    evaluation_frequency: int  # epochs
    box_score_threshold: float | None
    nms_iou_threshold: float
    box_detections_per_image: int
    multi_scale: bool
    layers_to_freeze: int


def hyperparameters(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Hyperparameters:
    """`given` over `defaults`. Keys that belong to the trial itself (`model_name`, `random_seed`) are passed over.

    Raises: UsageError for a key that nothing here obeys, or an image size that the strides do not divide.
    """
    known = {field.name for field in fields(Hyperparameters)}
    foreign = sorted(set(given) - known - {"model_name", "random_seed"})
    if foreign:
        raise UsageError(
            f"hyperparameter not honoured by this algorithm: {', '.join(foreign)}",
            hint=f"known: {', '.join(sorted(known))}",
        )
    values = Hyperparameters(**{**defaults, **{key: value for key, value in given.items() if key in known}})
    if values.image_size % 32 or values.image_size < 32:
        raise UsageError(f"expected image_size to be a multiple of 32, found {values.image_size}")
    return values
