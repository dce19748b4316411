"""Each hyperparameter of the optimizer and its schedule takes effect."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model_training import algorithms
from model_training.errors import UsageError
from model_training.training.optimise import freeze, keep_frozen, learning_rate, make_optimizer
from model_training.training.settings import Hyperparameters, hyperparameters

PLAIN = hyperparameters({"learning_rate": 0.01}, algorithms.defaults("yolov5"))
COSINE = replace(PLAIN, warmup_cosine_lr_warmup_epochs=2, warmup_cosine_lr_cycles=0.5)


def _rate(settings: Hyperparameters, epoch: float, epochs: int = 100) -> float:
    return learning_rate(settings, epoch, epoch / epochs)


def test_warmup_cosine_rises_then_falls_to_nothing() -> None:
    assert _rate(COSINE, 0) == 0
    assert _rate(COSINE, 1) == pytest.approx(0.005, rel=0.01)
    assert _rate(COSINE, 2) == pytest.approx(0.01, rel=0.01)
    assert _rate(COSINE, 50) == pytest.approx(0.005)
    assert _rate(COSINE, 100) == pytest.approx(0, abs=1e-9)


def test_the_warm_up_is_as_long_as_asked_but_a_twentieth_of_the_run_at_most() -> None:
    assert _rate(replace(COSINE, warmup_cosine_lr_warmup_epochs=0), 0) == 0.01
    assert _rate(replace(COSINE, warmup_cosine_lr_warmup_epochs=4), 2) == pytest.approx(0.005, rel=0.01)
    assert _rate(COSINE, 0.5, epochs=10) == pytest.approx(0.01, rel=0.01)


def test_cycles_say_how_far_the_cosine_goes() -> None:
    assert _rate(replace(COSINE, warmup_cosine_lr_cycles=0.45), 100) == pytest.approx(0.01 * 0.02447, rel=0.01)
    assert _rate(replace(COSINE, warmup_cosine_lr_cycles=1.0), 100) == pytest.approx(0.01)
    assert _rate(replace(COSINE, warmup_cosine_lr_cycles=0.0), 70) == pytest.approx(0.01)


@given(st.floats(0, 1), st.floats(0, 200))
def test_no_schedule_leaves_its_range(progress: float, epochs: float) -> None:
    for name in ("warmup_cosine", "step", "none"):
        rate = learning_rate(replace(COSINE, learning_rate_scheduler=name), epochs, progress)
        assert 0 <= rate <= COSINE.learning_rate


def test_step_falls_by_gamma_every_so_many_epochs() -> None:
    step = replace(PLAIN, learning_rate_scheduler="step", step_lr_gamma=0.1, step_lr_step_size=3)
    assert [_rate(step, epoch) for epoch in (0, 2.9, 3, 6)] == pytest.approx([0.01, 0.01, 0.001, 0.0001])


def test_none_stays() -> None:
    none = replace(PLAIN, learning_rate_scheduler="none")
    assert {_rate(none, epoch) for epoch in (0, 1, 99)} == {0.01}


def _model() -> torch.nn.Module:
    return algorithms.build("yolov5", classes=2, model_size="nano")


@pytest.mark.parametrize("name, kind", [("sgd", "SGD"), ("adam", "Adam"), ("adamw", "AdamW")])
def test_the_optimizer_asked_for_with_its_numbers(name: str, kind: str) -> None:
    settings = replace(PLAIN, optimizer=name, momentum=0.7, weight_decay=0.03, beta1=0.8, beta2=0.99, ams_gradient=True)
    optimizer = make_optimizer(_model(), settings)
    weights, others = optimizer.param_groups
    assert type(optimizer).__name__ == kind
    assert (weights["lr"], weights["weight_decay"], others["weight_decay"]) == (0.01, 0.03, 0.0)
    if name == "sgd":
        assert (weights["momentum"], weights["nesterov"]) == (0.7, True)
    else:
        assert (weights["betas"], weights["amsgrad"]) == ((0.8, 0.99), True)


def test_weight_decay_shrinks_weights_that_nothing_pulls_at() -> None:
    model = _model()
    optimizer = make_optimizer(model, replace(PLAIN, optimizer="sgd", weight_decay=0.1))
    weight, bias = model.get_parameter("heads.0.box.1.weight"), model.get_parameter("heads.0.box.1.bias")
    before = weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert weight.norm() < before.norm()
    assert (bias == 2.0).all()


def test_frozen_layers_learn_nothing_and_keep_their_statistics() -> None:
    model = _model()
    freeze(model, 2)
    model.train()
    keep_frozen(model, 2)
    stem, third = model.stages()[0], model.stages()[2]  # type: ignore[operator]
    before = {name: value.clone() for name, value in stem.state_dict().items()}
    optimizer = make_optimizer(model, PLAIN)
    model(torch.rand(2, 3, 64, 64)).logits.sum().backward()
    optimizer.step()
    assert all(value.equal(before[name]) for name, value in stem.state_dict().items())
    assert all(parameter.grad is not None for parameter in third.parameters())


def test_unknown_keys_and_sizes_are_refused_by_name() -> None:
    defaults = algorithms.defaults("yolov5")
    with pytest.raises(UsageError, match="tile_overlap_ratio"):
        hyperparameters({"tile_overlap_ratio": 0.3}, defaults)
    with pytest.raises(UsageError, match="multiple of 32, found 300"):
        hyperparameters({"image_size": 300}, defaults)
    assert hyperparameters({"model_name": "yolov5", "random_seed": 3}, defaults).optimizer == defaults["optimizer"]
