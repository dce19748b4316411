"""What a trial process is told (`trial.json`) and what it leaves in its folder. Plain values; imports nothing heavy.

A trial is the process `python -m model_training.training.trial FOLDER`. In FOLDER:
  trial.json              TrialSpec, written by the controller before the start
  metrics.jsonl           one EpochReport a line, appended and flushed after each epoch (evaluated or not)
  progress.json           {"epoch","epochs","step","steps","loss","images_per_second","seconds_left"}, replaced every
                          few seconds
  checkpoints/last.*      weights, optimizer, EMA, RNG, loader position (safetensors + json); what a resume starts from
  checkpoints/best.*      EMA weights of the best epoch, with metadata that `load_detector` needs
  stop                    written by the controller: finish at the next epoch's end; its text is the reason
  result.json             the end: status, best_epoch, epochs, metrics, cpu_seconds, seconds, weights, reason
  error.json              {"type","message","hint"} when it failed; traceback only in log.txt
Starting it again on the same FOLDER resumes from checkpoints/last; a finished trial returns at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrialSpec:
    number: int
    algorithm: str  # model_name of the job
    hyperparameters: Mapping[str, Any]  # every key of the algorithm, defaults filled in
    labels: tuple[str, ...]
    train: str  # JSONL paths
    validation: str
    primary_metric: str
    seed: int
    device: str = "cpu"  # cpu | cuda | cuda:N
    threads: int = 1
    budget_cpu_seconds: float | None = None
    budget_seconds: float | None = None  # wall clock
    deadline: float | None = None  # Unix time after which the trial stops at once


@dataclass(frozen=True)
class EpochReport:
    epoch: int  # from 1
    epochs: int  # planned; changes as a budget is measured
    loss: float
    learning_rate: float
    images_per_second: float
    seconds_left: float
    cpu_seconds: float
    seconds: float
    metrics: Mapping[str, Any] | None  # validation metrics (CONTRACTS 5), None when this epoch was not evaluated
