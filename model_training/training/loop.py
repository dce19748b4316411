"""The training loop of one trial, from top to bottom. Knows files through `TrialFolder` alone, nothing about sweeps."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_training import algorithms
from model_training.errors import TrainingError
from model_training.training import checkpoint, optimise
from model_training.training.budget import Budget
from model_training.training.ema import Average
from model_training.training.examples import Examples, load_examples
from model_training.training.files import TrialFolder
from model_training.training.loader import Batch, Loader
from model_training.training.loss import detection_loss, label_weights
from model_training.training.progress import Plan, Position, Progress
from model_training.training.settings import hyperparameters
from model_training.training.spec import EpochReport, TrialSpec
from model_training.training.validate import Selection, validate

MOSAIC = 0.7  # probability of four pictures in one
MOSAIC_UNTIL = 0.85  # of the run; the end is learned on pictures as they come
CHECKPOINT_SECONDS = 60.0  # within long epochs
PROGRESS_SECONDS = 5.0


class Trial:
    """One run of `train`; starting it again in the same folder goes on from the last checkpoint."""

    def __init__(self, spec: TrialSpec, folder: TrialFolder, budget: Budget) -> None:
        self.spec, self.folder, self.budget = spec, folder, budget
        self.settings = settings = hyperparameters(spec.hyperparameters, algorithms.defaults(spec.algorithm))
        self.device = torch.device(spec.device)
        torch.manual_seed(spec.seed)
        cache = folder.path.parent / "cache"
        self.train_set = load_examples(Path(spec.train), spec.labels, settings.image_size, cache)
        self.validation_set = load_examples(Path(spec.validation), spec.labels, settings.image_size, cache)
        model = algorithms.build(spec.algorithm, classes=len(spec.labels), model_size=settings.model_size)
        self.model = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimise.freeze(self.model, settings.layers_to_freeze)
        self.average = Average(self.model)
        self.weights = label_weights(_counts(self.train_set, len(spec.labels))).to(self.device)
        self.optimizer = optimise.make_optimizer(self.model, settings)
        self.loader = Loader(
            self.train_set,
            settings.image_size,
            settings.training_batch_size,
            spec.seed,
            lambda: MOSAIC if self.progress.share < MOSAIC_UNTIL else 0.0,
            settings.multi_scale,
            workers=0 if self.device.type == "cpu" else 8,
        )
        self.at = Position()
        self.saved = self.told = time.monotonic()
        if folder.last.is_file():
            self._resume()
        folder.forget_after(self.at.epoch - 1)
        plan = Plan(
            settings.number_of_epochs, self.loader.steps, settings.training_batch_size, len(self.validation_set)
        )
        self.progress = Progress(plan, self.at, budget)

    def _resume(self) -> None:
        state = checkpoint.load_state(self.folder.last, self.model, self.average, self.optimizer)
        self.at = Position(**state["position"])
        self.budget.resume(self.at.cpu_spent, self.at.spent)

    def run(self) -> dict[str, Any]:
        """Epochs until the plan, the budget, patience or the controller ends them; returns what `result.json` holds."""
        at = self.at
        while not at.ending:
            self._epoch()
            at.ending = self._ending()
            self._finish_epoch(last=bool(at.ending))
            at.ending = at.ending or self._impatient()
            at.epoch, at.step, at.losses = at.epoch + 1, 0, []
            self._save()
        return self._result()

    def _epoch(self) -> None:
        self.model.train()
        optimise.keep_frozen(self.model, self.settings.layers_to_freeze)
        self.progress.begin_epoch()
        pending: list[Tensor] = []
        for batch in self.loader.epoch(self.at.epoch, self.at.step):
            pending.append(self._step(batch.to(self.device)))
            if len(pending) == 10:
                self._collect(pending)
            if self.progress.share >= 1 or self._out_of_time():
                break
        self._collect(pending)

    def _step(self, batch: Batch) -> Tensor:
        rate = optimise.learning_rate(self.settings, self.progress.epochs_done, self.progress.share)
        optimise.set_learning_rate(self.optimizer, rate)
        images = batch.images.permute(0, 3, 1, 2).float() / 255
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            prediction = self.model(images)
        loss = detection_loss(prediction, batch.objects, self.weights)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimise.clip(self.model)
        self.optimizer.step()
        self.average.update(self.model)
        self.at.step, self.at.steps = self.at.step + 1, self.at.steps + 1
        return loss.detach()

    def _collect(self, pending: list[Tensor]) -> None:
        losses = [float(loss) for loss in pending]
        pending.clear()
        broken = [loss for loss in losses if not math.isfinite(loss)]
        if broken:
            raise TrainingError(
                f"the loss became {broken[0]} in epoch {self.at.epoch}, expected a finite number",
                hint=f"lower learning_rate (now {self.settings.learning_rate:g}) or check the boxes of the data",
                log=str(self.folder.path / "log.txt"),
            )
        self.at.losses += losses
        if time.monotonic() - self.told > PROGRESS_SECONDS:
            self._tell()
        if time.monotonic() - self.saved > CHECKPOINT_SECONDS:
            self._save()

    def _finish_epoch(self, last: bool) -> None:
        due = last or self.at.epoch % self.settings.evaluation_frequency == 0
        if self.at.evaluations and self._out_of_time():
            due = False  # there is a result, and no time to measure another
        metrics = self._validate() if due else None
        self.folder.report(
            EpochReport(
                self.at.epoch,
                self.progress.epochs,
                self.at.loss,
                self.optimizer.param_groups[0]["lr"],
                self.progress.images_per_second,
                self.progress.seconds_left,
                self.budget.cpu_spent,
                self.budget.spent,
                metrics,
            )
        )
        self._tell()

    def _validate(self) -> dict[str, Any]:
        settings, cpu, wall = self.settings, self.budget.cpu_spent, self.budget.spent
        select = Selection(settings.nms_iou_threshold, settings.box_detections_per_image)
        metrics = validate(
            self.average.model,
            self.validation_set,
            self.spec.labels,
            select,
            settings.validation_batch_size,
            settings.box_score_threshold,
        )
        at = self.at
        at.validation_cpu, at.validation_seconds = self.budget.cpu_spent - cpu, self.budget.spent - wall
        at.evaluations += 1
        value = metrics[self.spec.primary_metric] or 0.0
        at.since_best += 1
        if value > at.best:
            at.best, at.best_epoch, at.best_metrics, at.since_best = value, at.epoch, metrics, 0
            checkpoint.save_detector(self.folder.best, self.average.model, self._about())
        return metrics

    def _about(self) -> dict[str, Any]:
        settings = asdict(self.settings)
        return {
            "algorithm": self.spec.algorithm,
            "model_size": self.settings.model_size,
            "image_size": self.settings.image_size,
            "labels": list(self.spec.labels),
            "hyperparameters": {**settings, "random_seed": self.spec.seed},
            "epoch": self.at.epoch,
        }

    def _ending(self) -> str:
        """Why this epoch is the last one, or nothing."""
        if self.at.epoch >= self.settings.number_of_epochs and self.at.step >= self.loader.steps:
            return "all epochs done"
        if self.progress.share >= 1:
            return "budget spent"
        if self._out_of_time():
            return "deadline reached"
        return self.folder.stop_reason() or ""

    def _impatient(self) -> str:
        settings, at = self.settings, self.at
        waited = at.evaluations > settings.early_stopping_delay and at.since_best >= settings.early_stopping_patience
        return f"no improvement in {at.since_best} evaluations" if settings.early_stopping and waited else ""

    def _out_of_time(self) -> bool:
        return self.spec.deadline is not None and time.time() >= self.spec.deadline

    def _save(self) -> None:
        self.at.cpu_spent, self.at.spent = self.budget.cpu_spent, self.budget.spent
        checkpoint.save_state(self.folder.last, self.model, self.average, self.optimizer, {"position": asdict(self.at)})
        self.saved = time.monotonic()

    def _tell(self) -> None:
        at = self.at
        recent = at.losses[-20:]
        self.folder.write(
            "progress.json",
            {
                "epoch": at.epoch,
                "epochs": self.progress.epochs,
                "step": at.step,
                "steps": self.loader.steps,
                "loss": sum(recent) / max(1, len(recent)),
                "images_per_second": self.progress.images_per_second,
                "seconds_left": self.progress.seconds_left,
            },
        )
        self.told = time.monotonic()

    def _result(self) -> dict[str, Any]:
        at = self.at
        return {
            "status": "completed",
            "reason": at.ending,
            "best_epoch": at.best_epoch,
            "epochs": at.epoch - 1,
            "metrics": at.best_metrics,
            "cpu_seconds": self.budget.cpu_spent,
            "seconds": self.budget.spent,
            "weights": str(self.folder.best.relative_to(self.folder.path)),
        }


def _counts(examples: Examples, classes: int) -> Tensor:
    """Objects of each label."""
    return torch.from_numpy(np.bincount(np.concatenate(examples.labels), minlength=classes))
