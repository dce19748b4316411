"""A job file is read as Azure ML means it, or refused with every problem and its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from model_training.jobs.load import load_job, parse_job
from model_training.jobs.spec import DataPaths, Distribution, EarlyTermination, Limits
from scoring.errors import NotFoundError, UsageError

from .jobs_text import JOB, fixed, job, searched

TEMPLATE = Path(__file__).resolve().parents[2] / "model_training" / "job_templates" / "object_detection.yml"


def problems(text: str, **options: Any) -> list[str]:
    with pytest.raises(UsageError) as caught:
        parse_job(text, "job.yml", **options)
    return list(caught.value.problems)


def test_every_part_of_a_job_is_read() -> None:
    spec = parse_job(JOB, "job.yml")
    assert (spec.task, spec.experiment_name, spec.training_data) == (
        "image_object_detection",
        "cap-detection",
        "azureml:caps:1",
    )
    assert spec.limits == Limits(60, 10, 2)
    assert spec.training_parameters == {"early_stopping": True, "evaluation_frequency": 1}
    assert spec.early_termination == EarlyTermination("bandit", 2, 6, 0.2, None)
    assert spec.search_spaces == (
        {
            "model_name": Distribution("choice", ("yolov5",)),
            "learning_rate": Distribution("uniform", low=0.0001, high=0.01),
            "model_size": Distribution("choice", ("small", "medium")),
        },
    )
    assert spec.source == JOB and spec.warnings == ()


def test_the_default_template_is_the_job_that_users_run() -> None:
    spec = load_job(TEMPLATE)
    assert spec.limits.max_trials == 10 and spec.limits.max_concurrent_trials == 5
    assert spec.early_termination == EarlyTermination("bandit", 2, 6, 0.2, None)
    (space,) = spec.search_spaces
    assert space["learning_rate"] == Distribution("uniform", low=1e-4, high=1e-2)
    assert space["model_size"].values == ("small", "medium") and space["model_name"].values == ("yolov5",)


def test_what_a_job_leaves_out_has_azures_defaults() -> None:
    spec = parse_job(job(limits=None, sweep=None, search_space=None, training_parameters=None), "job.yml")
    assert spec.limits == Limits(10080, 1, 1)
    assert (spec.validation_data_size, spec.log_verbosity, spec.seed) == (0.2, "info", 1)
    assert spec.training_parameters == {"model_name": "yolov5"}


def test_the_keys_of_the_command_line_tools_are_stored() -> None:
    kept = {"name": "n", "display_name": "d", "description": "x", "tags": {"a": "b"}, "properties": {"c": "d"}}
    spec = parse_job(job(**{"$schema": "https://example.org/schema.json"}, **kept), "job.yml")
    assert spec.attributes == kept


def test_all_problems_of_a_file_are_told_at_once_with_their_lines() -> None:
    text = JOB.replace("task:", "tusk:").replace("0.01}", "5}").replace("[small, medium]", "[small, huge]")
    text = text.replace("evaluation_frequency: 1", "evaluation_frequncy: 1").replace("max_trials: 10", "max_trials: 0")
    found = problems(text)
    assert found == sorted(found, key=lambda line: int(line.split(":")[1]))
    assert [line.split(":")[1] for line in found] == ["1", "3", "8", "8", "9", "15", "16"]
    assert "job.yml:3: unknown key 'tusk' in the job; did you mean 'task'?" in found
    assert any("did you mean 'evaluation_frequency'?" in line for line in found)
    assert any("learning_rate: expected a number in [0, 1], found 0.0001 to 5" in line for line in found)
    assert any("model_size: expected one of small, medium, large, extra_large, found 'huge'" in line for line in found)


# name, a value in range, a value out of range, a value of another kind
RANGES = [
    ("number_of_epochs", 1, 0, 1.5),
    ("image_size", 640, 100, "640px"),  # the detector's strides ask for a multiple of 32
    ("model_size", "extra_large", "nano", 3),  # nano comes from the run, never from a file
    ("learning_rate", 0, 1.5, "fast"),
    ("optimizer", "adamw", "lion", 1),
    ("momentum", 0.5, -0.1, True),
    ("weight_decay", 1, 2, "none"),
    ("training_batch_size", 4, 0, "4"),
    ("validation_batch_size", 4, -1, None),
    ("learning_rate_scheduler", "none", "cosine", False),
    ("step_lr_gamma", 1, 1.1, []),
    ("step_lr_step_size", 3, 0, 2.5),
    ("warmup_cosine_lr_cycles", 0.45, -1, "x"),
    ("warmup_cosine_lr_warmup_epochs", 0, -1, 0.5),
    ("early_stopping", 0, 2, "yes please"),  # 0 and 1 are booleans on Azure ML too
    ("early_stopping_patience", 1, 0, 1.5),
    ("early_stopping_delay", 0, -1, "5"),
    ("evaluation_frequency", 2, 0, None),
    ("box_score_threshold", 0.3, 1.01, "x"),
    ("nms_iou_threshold", 1, 7, "x"),
    ("box_detections_per_image", 1, 0, 0.5),
    ("multi_scale", True, 3, "on and off"),
    ("random_seed", 0, -1, "one"),
    ("layers_to_freeze", 0, -1, 0.5),
    ("beta1", 0.9, 1, "x"),  # Adam is undefined at 1
    ("beta2", 0.999, 1.0, "x"),
    ("nesterov", False, 2, "x"),
    ("ams_gradient", 1, 2, "x"),
]


@pytest.mark.parametrize(("name", "good", "outside", "other"), RANGES, ids=[row[0] for row in RANGES])
def test_every_honoured_key_is_taken_in_its_range_and_refused_outside(
    name: str, good: Any, outside: Any, other: Any
) -> None:
    assert parse_job(fixed(**{name: good}), "job.yml").training_parameters[name] == good
    searched_for = parse_job(searched(**{name: {"type": "choice", "values": [good]}}), "job.yml")
    assert searched_for.search_spaces[0][name].values == (good,)
    for bad in (outside, other):
        for text in (fixed(**{name: bad}), searched(**{name: {"type": "choice", "values": [good, bad]}})):
            (problem,) = problems(text)
            assert f"{name}: expected " in problem and "found " in problem


def test_the_table_above_holds_every_honoured_key() -> None:
    from model_training.jobs.hyperparameters import HYPERPARAMETERS

    assert {row[0] for row in RANGES} == {name for name, entry in HYPERPARAMETERS.items() if entry.honoured}


def test_what_training_obeys_is_what_a_job_may_say() -> None:
    from dataclasses import fields

    from model_training.jobs.hyperparameters import HYPERPARAMETERS
    from model_training.training.settings import Hyperparameters

    honoured = {name for name, entry in HYPERPARAMETERS.items() if entry.honoured}
    assert honoured == {field.name for field in fields(Hyperparameters)} | {"random_seed"}


@pytest.mark.parametrize(
    ("alias", "name", "value"),
    [
        ("lr_scheduler", "learning_rate_scheduler", "step"),
        ("amsgrad", "ams_gradient", True),
        ("img_size", "image_size", 320),
        ("box_score_thresh", "box_score_threshold", 0.2),
        ("box_nms_thresh", "nms_iou_threshold", 0.4),
        ("box_iou_thresh", "nms_iou_threshold", 0.4),
        ("box_detections_per_img", "box_detections_per_image", 50),
    ],
)
def test_older_names_are_taken_with_a_warning_and_not_handed_to_azure(alias: str, name: str, value: Any) -> None:
    spec = parse_job(fixed(**{alias: value}), "job.yml")
    assert spec.training_parameters[name] == value
    assert spec.warnings == (f"job.yml:11: '{alias}' is the older name of '{name}'",)
    assert f"write '{name}'" in problems(fixed(**{alias: value}), target="azure")[0]
    assert "are the same hyperparameter" in problems(fixed(**{alias: value, name: value}))[0]


def test_the_older_task_name_and_split_ratio_are_taken_with_a_warning() -> None:
    text = job(task="image-object-detection", training_parameters={"split_ratio": 0.3})
    spec = parse_job(text, "job.yml")
    assert (spec.task, spec.validation_data_size) == ("image_object_detection", 0.3)
    assert len(spec.warnings) == 2
    assert len(problems(text, target="azure")) == 2


NOT_HERE = "valid on Azure ML, not honoured here yet"


@pytest.mark.parametrize(
    "change",
    [
        {"training_parameters": {"gradient_accumulation_step": 2}},
        {"training_parameters": {"tile_grid_size": "2x2"}},
        {"training_parameters": {"checkpoint_run_id": "r"}},
        {"training_parameters": {"augmentations": "x"}},
        {"training_parameters": {"validation_metric_type": "coco"}},
        {"sweep": {"sampling_algorithm": "grid"}},
        {"sweep": {"sampling_algorithm": "bayesian"}},
        {"sweep": {"sampling_algorithm": "random", "early_termination": {"type": "median_stopping"}}},
        {"search_space": [{"number_of_epochs": {"type": "randint", "upper": 5}}]},
        {"search_space": [{"learning_rate": {"type": "normal", "mu": 0.01, "sigma": 0.001}}]},
        {"test_data": {"path": "azureml:caps-test:1", "type": "mltable"}},
        {"identity": {"type": "user_identity"}},
        {"task": "image_classification", "primary_metric": None, "search_space": [{"learning_rate": 0.1}]},
    ],
    ids=str,
)
def test_what_only_azure_honours_is_refused_by_name_here_and_taken_for_azure(change: dict[str, Any]) -> None:
    text = job(**change)
    assert any(NOT_HERE in line for line in problems(text))
    parse_job(text, "job.yml", target="azure")


def test_automode_is_refused_by_name() -> None:
    assert any("AutoMode" in line for line in problems(job(sweep=None, search_space=None)))


def test_algorithms_are_refused_by_name_with_the_available_ones() -> None:
    (known,) = problems(searched(model_name="fasterrcnn_resnet50_fpn"))
    assert "fasterrcnn_resnet50_fpn is not available on this workspace yet; available: yolov5" in known
    (unknown,) = problems(searched(model_name="yolov8"))
    assert "unknown model_name 'yolov8'" in unknown and "retinanet_resnet50_fpn" in unknown
    parse_job(searched(model_name="fasterrcnn_resnet50_fpn", min_size=600), "job.yml", target="azure")


def test_a_key_of_another_algorithm_is_refused_with_its_owners() -> None:
    (problem,) = problems(fixed(min_size=600))
    assert "'min_size' has no effect on yolov5: it belongs to fasterrcnn_resnet18_fpn, " in problem


def test_loguniform_bounds_are_logarithms_as_on_azure() -> None:
    space = {"learning_rate": {"type": "loguniform", "min_value": -9.2, "max_value": -4.6}}
    assert parse_job(searched(**space), "job.yml").search_spaces[0]["learning_rate"].low == -9.2
    (problem,) = problems(searched(learning_rate={"type": "loguniform", "min_value": 0.0001, "max_value": 0.01}))
    assert "natural logarithms" in problem and "write -9.21 and -4.605" in problem


def test_numbers_with_an_exponent_are_numbers() -> None:
    text = JOB.replace("0.0001", "1e-4").replace("0.01}", "1E-2}")
    assert parse_job(text, "job.yml").search_spaces[0]["learning_rate"] == Distribution("uniform", low=1e-4, high=1e-2)


def test_conditional_spaces_are_kept_apart() -> None:
    spaces = [{"model_name": "yolov5", "model_size": "small"}, {"model_name": "yolov5", "learning_rate": 0.001}]
    spec = parse_job(job(search_space=spaces), "job.yml")
    assert [sorted(space) for space in spec.search_spaces] == [
        ["model_name", "model_size"],
        ["learning_rate", "model_name"],
    ]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"type": "bandit"}, "slack_factor or slack_amount, found neither"),
        ({"type": "bandit", "slack_factor": 0.1, "slack_amount": 0.1}, "found both"),
        ({"type": "bandit", "slack_factor": -0.1}, "a number of at least 0, found -0.1"),
        ({"type": "bandit", "slack_amount": 0.1, "evaluation_interval": 0}, "a whole number of at least 1"),
        ({"type": "bandit", "slack_amount": 0.1, "delay_evalution": 1}, "did you mean 'delay_evaluation'?"),
        ({"type": "halving"}, "bandit, median_stopping, truncation_selection"),
        ("bandit", "expected {type: bandit"),
    ],
)
def test_a_policy_is_checked(policy: Any, said: str) -> None:
    found = problems(job(sweep={"sampling_algorithm": "random", "early_termination": policy}))
    assert any(said in line for line in found)


def test_data_paths_are_checked_from_the_job_file(tmp_path: Path) -> None:
    path = tmp_path / "job.yml"
    path.write_text(job(training_data={"path": "data", "type": "mltable"}), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_job(path)
    assert "there is nothing at" in caught.value.problems[0]
    (tmp_path / "data").mkdir()
    with pytest.raises(UsageError) as caught:
        load_job(path)
    assert "without an MLTable file" in caught.value.problems[0]
    (tmp_path / "data" / "MLTable").touch()
    assert load_job(path).training_data == "data"


def test_files_that_are_no_job(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no job file at"):
        load_job(tmp_path / "absent.yml")
    with pytest.raises(UsageError, match="found the folder"):
        load_job(tmp_path)
    (tmp_path / "latin.yml").write_bytes(b"type: autom\xe4l")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_job(tmp_path / "latin.yml")
    assert "expected a job (a mapping of keys), found a list" in problems("[1]")[0]
    assert "the file is empty" in problems("# nothing")[0]


def test_on_adds_what_belongs_to_the_run() -> None:
    data = DataPaths(Path("t"), Path("v"), ("a",))
    spec = parse_job(JOB, "job.yml").on(data, budget_minutes=5, device="cpu")
    assert (spec.data, spec.budget_minutes, spec.overrides) == (data, 5, {"device": "cpu"})
    again = spec.on(data, threads=2, limits=Limits(1, 2, 1))
    assert again.budget_minutes == 5 and again.overrides == {"device": "cpu", "threads": 2}
    assert again.limits.max_trials == 2
