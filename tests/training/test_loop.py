"""Each hyperparameter that the loop itself obeys takes effect; the trial runs in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model_training.training.budget import Budget
from model_training.training.files import TrialFolder
from model_training.training.loop import Trial

MakeTrial = Callable[..., Path]


@pytest.fixture
def trial(make_trial: MakeTrial) -> Callable[..., Trial]:
    def build(name: str = "trial", **more: Any) -> Trial:
        folder = TrialFolder(make_trial(name, **more))
        return Trial(folder.spec(), folder, Budget())

    return build


def _sizes_seen(model: torch.nn.Module) -> list[tuple[int, ...]]:
    """Batch and side of whatever the model is shown from now on."""
    seen: list[tuple[int, ...]] = []
    model.register_forward_hook(lambda _, inputs, __: seen.append((len(inputs[0]), inputs[0].shape[-1])))
    return seen


def test_batch_sizes_and_image_size(trial: Callable[..., Trial]) -> None:
    built = trial(training_batch_size=5, validation_batch_size=2, image_size=96, number_of_epochs=1)
    trained, validated = _sizes_seen(built.model), _sizes_seen(built.average.model)
    built.run()
    assert trained == [(5, 96)] * 3  # 12 pictures
    assert validated == [(2, 96)] * 3  # 6 pictures


def test_multi_scale_changes_the_side(trial: Callable[..., Trial]) -> None:
    built = trial(multi_scale=True, number_of_epochs=4)
    trained, validated = _sizes_seen(built.model), _sizes_seen(built.average.model)
    built.run()
    assert len({side for _, side in trained}) > 1
    assert {side for _, side in validated} == {64}


def test_evaluation_frequency_counts_epochs_and_the_last_is_always_measured(trial: Callable[..., Trial]) -> None:
    built = trial(evaluation_frequency=2, number_of_epochs=3)
    built.run()
    assert built.at.evaluations == 2


@pytest.mark.parametrize(
    "settings, epochs",
    [
        ({"early_stopping": True, "early_stopping_patience": 2, "early_stopping_delay": 0}, 3),  # best at the first
        ({"early_stopping": True, "early_stopping_patience": 1, "early_stopping_delay": 4}, 5),  # not before the fifth
        ({"early_stopping": False, "early_stopping_patience": 1, "early_stopping_delay": 0}, 6),
    ],
)
def test_early_stopping(trial: Callable[..., Trial], settings: dict[str, Any], epochs: int) -> None:
    built = trial(learning_rate=0.0, number_of_epochs=6, **settings)
    built.average.decay = 1.0
    built._validate = _worse_and_worse(built)  # type: ignore[method-assign]
    assert built.run()["epochs"] == epochs


def _worse_and_worse(built: Trial) -> Callable[[], dict[str, Any]]:
    measure = built._validate

    def validated() -> dict[str, Any]:
        if built.at.evaluations == 1:
            built.at.best = 1.0  # no later epoch can reach it
        return measure()

    return validated


def test_a_score_threshold_that_the_job_sets_is_the_operating_one(trial: Callable[..., Trial]) -> None:
    fixed = trial("fixed", box_score_threshold=0.25, number_of_epochs=1).run()["metrics"]
    assert fixed["precision_recall_at"]["score"] == 0.25
    chosen = trial("chosen", number_of_epochs=1).run()["metrics"]
    assert set(chosen["precision_recall_at"]["score"]) == {"blue", "red"}


def _predictions(trial: Trial) -> int:
    metrics = trial.run()["metrics"]
    return sum(label["predictions"] for label in metrics["per_label"].values())


def test_how_many_boxes_an_image_may_have_and_how_much_they_may_overlap(trial: Callable[..., Trial]) -> None:
    common = {"box_score_threshold": 0.0, "number_of_epochs": 1}
    assert _predictions(trial("few", box_detections_per_image=2, **common)) == 2 * 6
    strict = _predictions(trial("strict", nms_iou_threshold=0.1, **common))
    assert strict < _predictions(trial("loose", nms_iou_threshold=0.9, **common))


def test_frozen_layers_stay_as_they_were(trial: Callable[..., Trial]) -> None:
    built = trial(layers_to_freeze=3, number_of_epochs=1)
    before = {name: value.clone() for name, value in built.model.state_dict().items()}
    built.run()
    changed = {name for name, value in built.model.state_dict().items() if not value.equal(before[name])}
    assert not [
        name for name in changed if name.startswith(("backbone.stages.0", "backbone.stages.1", "backbone.stages.2"))
    ]
    assert [name for name in changed if name.startswith("backbone.stages.3")]


def test_the_seed_decides_weights_and_pictures(trial: Callable[..., Trial]) -> None:
    def weights(name: str, seed: int) -> torch.Tensor:
        built = trial(name, spec={"seed": seed}, number_of_epochs=1)
        built.run()
        return built.model.state_dict()["heads.0.box.1.weight"]

    first = weights("first", 1)
    assert first.equal(weights("again", 1))
    assert not first.equal(weights("other", 2))


def test_it_learns(trial: Callable[..., Trial]) -> None:
    built = trial(number_of_epochs=24, evaluation_frequency=24, learning_rate=0.004)
    metrics = built.run()["metrics"]
    assert metrics["mean_average_precision"] > 0.3


@pytest.mark.parametrize("rate", [1e-4, 1e-2])  # the ends of the range that the default job searches
def test_the_ends_of_the_default_range_train(trial: Callable[..., Trial], rate: float) -> None:
    built = trial(learning_rate=rate, number_of_epochs=6, evaluation_frequency=6)
    built.run()
    losses = [json.loads(line)["loss"] for line in (built.folder.path / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
