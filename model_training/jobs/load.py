"""A job file (Azure ML's CLI v2 AutoML image YAML) to a JobSpec, with every problem of the file told at once.

Knows the job-level keys; hyperparameters are read by `search_space.py`, limits and sweep by `sweep_settings.py`, data
references by `data_keys.py`.
Knows nothing about running a job.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from model_training.jobs.data_keys import read_reference
from model_training.jobs.hyperparameters import ALGORITHMS
from model_training.jobs.problems import Problems, nearest
from model_training.jobs.search_space import NOT_HERE, Reader, read_search_space, read_training_parameters, snake
from model_training.jobs.spec import Distribution, JobSpec
from model_training.jobs.sweep_settings import is_number, read_early_termination, read_limits, read_sampling
from model_training.jobs.yaml_tree import Value, parse_yaml
from scoring.errors import NotFoundError, UsageError

TASK_ALIASES = {
    "image-classification": "image_classification",
    "image-multi-labeling": "image_classification_multilabel",
    "image-object-detection": "image_object_detection",
    "image-instance-segmentation": "image_instance_segmentation",
}
PRIMARY_METRICS = {
    "image_classification": (
        "accuracy",
        "auc_weighted",
        "norm_macro_recall",
        "average_precision_score_weighted",
        "precision_score_weighted",
    ),
    "image_classification_multilabel": ("iou",),
    "image_object_detection": ("mean_average_precision",),
    "image_instance_segmentation": ("mean_average_precision",),
}
AVAILABLE_TASKS = ("image_object_detection",)
VERBOSITIES = ("not_set", "debug", "info", "warning", "error", "critical")
STORED = ("name", "display_name", "description", "tags", "properties")
KEYS = (
    *("$schema", "type", "experiment_name", "task", "compute", "primary_metric", "log_verbosity", "target_column_name"),
    *("training_data", "validation_data", "validation_data_size", "limits", "training_parameters", "sweep"),
    *("search_space", *STORED),
)
AZURE_ONLY = (
    *("environment_id", "environment_variables", "outputs", "resources", "queue_settings", "identity", "services"),
    *("test_data", "test_data_size"),
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def load_job(path: Path, *, target: str = "local", defaults: str = "algorithm") -> JobSpec:
    """Read and check a job file. `target` is local or azure; `defaults` says whose fill what the job leaves out.

    Raises: NotFoundError, UsageError with all `problems`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"no job file at {path}", hint="give the path of a job file, such as job.yml") from None
    except IsADirectoryError:
        raise UsageError(f"expected a job file, found the folder {path}", hint="give a file, such as job.yml") from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 text (byte {error.start})", hint="a job file is YAML; save it as UTF-8"
        ) from None
    return parse_job(text, path.name, target=target, defaults=defaults, folder=path.parent)


def parse_job(
    text: str, source_name: str, *, target: str = "local", defaults: str = "algorithm", folder: Path | None = None
) -> JobSpec:
    """The same from text; `source_name` stands before each problem.

    With `folder`, where relative data paths start, a local job's paths must be there. Raises: UsageError with all
    `problems`.
    """
    problems = Problems(source_name)
    tree = parse_yaml(text, problems)
    if tree is not None and not isinstance(tree.data, dict):
        problems.error(tree.line, f"expected a job (a mapping of keys), found {tree.kind}")
        tree = None
    if tree is None:
        problems.raise_if_any()
        raise AssertionError("a document without a value has a problem")
    spec = _JobReader(tree, problems, local=target == "local", folder=folder).read(text, defaults)
    problems.raise_if_any()
    return spec


class _JobReader:
    """Reads one job's mapping; a problem is told and a harmless value stands in, so that reading goes on."""

    def __init__(self, tree: Value, problems: Problems, *, local: bool, folder: Path | None) -> None:
        self.keys: dict[str, Value] = tree.data
        self.problems = problems
        self.local = local
        self.folder = folder if local else None

    def read(self, text: str, defaults: str) -> JobSpec:
        self._check_keys()
        task = self._task()
        reader = Reader(self.problems, task, self.local)
        limits = read_limits(self._mapping("limits"), self.problems)
        fixed, default_algorithm, split_ratio = self._fixed(reader)
        spaces = self._spaces(reader, default_algorithm)
        algorithms = _names(spaces) or (default_algorithm,)
        if fixed is not None:
            fixed_values = read_training_parameters(fixed, reader, algorithms)
            fixed_values |= {} if spaces else {"model_name": default_algorithm}
        else:
            fixed_values = {} if spaces else {"model_name": default_algorithm}
        sampling, early = self._sweep(bool(self.keys.get("search_space")), len(spaces))
        self._check_automode(limits.max_trials)
        return JobSpec(
            task=task,
            primary_metric=self._enum("primary_metric", PRIMARY_METRICS[task], PRIMARY_METRICS[task][0]),
            experiment_name=self._text("experiment_name", "", name=True),
            compute=self._text("compute", "" if self.local else None),
            training_data=self._data("training_data", required=True),
            validation_data=self._data("validation_data"),
            validation_data_size=self._validation_data_size(split_ratio),
            target_column_name=self._target_column(),
            limits=limits,
            training_parameters=fixed_values,
            sampling_algorithm=sampling,
            early_termination=early,
            search_spaces=spaces,
            source=text,
            seed=int(fixed_values.get("random_seed", 1)),
            defaults=defaults,
            log_verbosity=self._enum("log_verbosity", VERBOSITIES, "info"),
            attributes={key: self.keys[key].plain() for key in STORED if key in self.keys},
            warnings=self.problems.warnings,
        )

    def _check_keys(self) -> None:
        for key, value in self.keys.items():
            if key in AZURE_ONLY:
                if self.local:
                    self.problems.error(value.line, f"'{key}': {NOT_HERE}")
            elif key not in KEYS:
                self.problems.error(value.line, f"unknown key '{key}' in the job{nearest(key, [*KEYS, *AZURE_ONLY])}")
        kind = self.keys.get("type")
        if kind is None or kind.data != "automl":
            found = kind.kind if kind else "nothing"
            self.problems.error(kind.line if kind else 1, f"type: expected automl, found {found}")
        for key in ("name", "display_name", "description", "$schema"):
            if key in self.keys:
                self._text(key, "")
        for key in ("tags", "properties"):
            for name, value in (self._mapping(key) or Value({}, 1)).data.items():
                if isinstance(value.data, dict | list | bool | int | float):
                    self.problems.error(value.line, f"{key}: '{name}' must be a text in quotes, found {value.kind}")

    def _task(self) -> str:
        value = self.keys.get("task")
        tasks = tuple(ALGORITHMS)
        if value is None or not isinstance(value.data, str):
            self.problems.error(value.line if value else 1, f"task: expected one of {', '.join(tasks)}")
            return AVAILABLE_TASKS[0]
        task = TASK_ALIASES.get(value.data, snake(value.data))
        if value.data in TASK_ALIASES:
            if self.local:
                self.problems.warn(value.line, f"'{value.data}' is the older name of '{task}'")
            else:
                self.problems.error(
                    value.line, f"'{value.data}' is the older name, which Azure ML refuses: write '{task}'"
                )
        if task not in tasks:
            self.problems.error(value.line, f"task: expected one of {', '.join(tasks)}, found {value.kind}")
            return AVAILABLE_TASKS[0]
        if self.local and task not in AVAILABLE_TASKS:
            self.problems.error(value.line, f"task {task} is {NOT_HERE}; available: {', '.join(AVAILABLE_TASKS)}")
        return task

    def _fixed(self, reader: Reader) -> tuple[Value | None, str, Value | None]:
        """training_parameters, the algorithm that it names (or the task's default) and the older split_ratio."""
        fixed = self._mapping("training_parameters")
        default = ALGORITHMS[reader.task][0]
        if fixed is None:
            return None, default, None
        named = fixed.data.get("model_name")
        return fixed, (reader.algorithm(named) if named else None) or default, fixed.data.get("split_ratio")

    def _spaces(self, reader: Reader, default_algorithm: str) -> tuple[dict[str, Distribution], ...]:
        value = self.keys.get("search_space")
        if value is None:
            return ()
        if not isinstance(value.data, list) or not value.data:
            self.problems.error(
                value.line, f"search_space: expected a list of spaces (- model_name: …), found {value.kind}"
            )
            return ()
        spaces = []
        for item in value.data:
            if isinstance(item.data, dict):
                spaces.append(read_search_space(item, reader, default_algorithm))
            else:
                self.problems.error(
                    item.line, f"search_space: expected a mapping of hyperparameters, found {item.kind}"
                )
        return tuple(spaces)

    def _sweep(self, searched: bool, spaces: int) -> tuple[str, Any]:
        sweep = self._mapping("sweep")
        if sweep is None:
            if searched:
                line = self.keys["search_space"].line
                self.problems.error(line, "search_space needs a sweep; add `sweep: {sampling_algorithm: random}`")
            return "random", None
        if not searched:
            self.problems.error(sweep.line, "sweep has no effect without search_space; add one or remove sweep")
        sampling = read_sampling(sweep, self.problems, local=self.local, conditional=spaces > 1)
        return sampling, read_early_termination(sweep, self.problems, local=self.local)

    def _check_automode(self, max_trials: int) -> None:
        if self.local and max_trials > 1 and "search_space" not in self.keys:
            line = self.keys["limits"].line
            self.problems.error(
                line,
                f"max_trials {max_trials} without search_space is AutoMode, {NOT_HERE}; "
                "or add a search_space, or set max_trials to 1",
            )

    def _validation_data_size(self, split_ratio: Value | None) -> float:
        value = self.keys.get("validation_data_size")
        if split_ratio is not None:
            if not self.local:
                self.problems.error(
                    split_ratio.line, "'split_ratio' is the older name: write validation_data_size in the job"
                )
            elif value is not None:
                self.problems.error(split_ratio.line, "'split_ratio' and validation_data_size are the same; keep one")
            else:
                self.problems.warn(
                    split_ratio.line, "'split_ratio' is the older name of the job's 'validation_data_size'"
                )
            value = value or split_ratio
        if value is None:
            return 0.2
        if not is_number(value.data) or not 0 < value.data < 1:
            self.problems.error(value.line, f"validation_data_size: expected a number in (0, 1), found {value.kind}")
            return 0.2
        return float(value.data)

    def _target_column(self) -> str:
        name = self._text("target_column_name", None)
        if self.local and name not in ("", "label"):
            line = self.keys["target_column_name"].line
            self.problems.error(line, f"target_column_name: this workspace's rows have 'label', found '{name}'")
        return name

    def _data(self, key: str, *, required: bool = False) -> str:
        value = self.keys.get(key)
        if value is not None:
            return read_reference(key, value, self.problems, local=self.local, folder=self.folder)
        if required:
            self.problems.error(
                1, f"'{key}' is missing; add `{key}: {{path: FOLDER or azureml:NAME:VERSION, type: mltable}}`"
            )
        return ""

    def _mapping(self, key: str) -> Value | None:
        value = self.keys.get(key)
        if value is None or isinstance(value.data, dict):
            return value
        self.problems.error(value.line, f"{key}: expected a mapping, found {value.kind}")
        return None

    def _enum(self, key: str, values: tuple[str, ...], default: str) -> str:
        value = self.keys.get(key)
        if value is None:
            return default
        if not isinstance(value.data, str) or snake(value.data) not in values:
            self.problems.error(value.line, f"{key}: expected one of {', '.join(values)}, found {value.kind}")
            return default
        return snake(value.data)

    def _text(self, key: str, default: str | None, *, name: bool = False) -> str:
        """A text; required when `default` is None; `name` asks for a name that every place accepts."""
        value = self.keys.get(key)
        if value is None:
            if default is None:
                self.problems.error(1, f"'{key}' is missing")
            return default or ""
        if not isinstance(value.data, str) or not value.data:
            self.problems.error(value.line, f"{key}: expected a text, found {value.kind}")
            return ""
        if name and not _NAME.fullmatch(value.data):
            rule = "letters, digits, '_', '.' and '-', at most 100, the first a letter or digit"
            self.problems.error(value.line, f"{key}: expected {rule}, found '{value.data}'")
        return value.data


def _names(spaces: tuple[dict[str, Distribution], ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for space in spaces for name in space["model_name"].values))
