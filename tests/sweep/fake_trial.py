"""A trial that obeys the protocol and learns nothing: each epoch takes `epoch_seconds` and scores a given value.

`behaviour` in the hyperparameters: scores (list), epoch_seconds, fail_at, die_at, ignore_term. It keeps its epoch in
checkpoints/last.json, so that it can be resumed.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path


def main(folder: Path) -> int:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # end with the controller
    spec = json.loads((folder / "trial.json").read_text())
    if (folder / "result.json").exists():
        return 0
    behaviour = spec["hyperparameters"]["behaviour"]
    (folder / f"start-{time.time_ns()}").write_text(json.dumps(dict(os.environ)))
    if behaviour.get("ignore_term"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    last = checkpoints / "last.json"
    epoch = json.loads(last.read_text()) if last.exists() else 0
    scores = behaviour["scores"]
    while epoch < len(scores):
        time.sleep(behaviour.get("epoch_seconds", 0))
        epoch += 1
        if epoch == behaviour.get("fail_at"):
            (folder / "error.json").write_text(json.dumps({"type": "TrainingError", "message": "no", "hint": "none"}))
            return 1
        if epoch == behaviour.get("die_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        if epoch == behaviour.get("leave_at"):
            print("something broke")
            return 3
        report(folder, epoch, scores)
        (checkpoints / "best.safetensors").write_bytes(b"weights")
        last.write_text(str(epoch))
        if (folder / "stop").exists():
            return end(folder, "stopped", epoch, scores, (folder / "stop").read_text().strip())
        if spec["deadline"] and time.time() > spec["deadline"] and not behaviour.get("ignore_term"):
            return end(folder, "stopped", epoch, scores, "deadline")
    return end(folder, "completed", epoch, scores, "")


def report(folder: Path, epoch: int, scores: list[float | None]) -> None:
    score = scores[epoch - 1]
    line = {
        "epoch": epoch,
        "epochs": len(scores),
        "loss": 1.0 / epoch,
        "learning_rate": 0.01,
        "images_per_second": 71.0,
        "seconds_left": 130.0,
        "cpu_seconds": float(epoch),
        "seconds": float(epoch),
        "metrics": None if score is None else {"mean_average_precision": score},
    }
    with (folder / "metrics.jsonl").open("a") as stream:
        stream.write(json.dumps(line) + "\n")


def end(folder: Path, status: str, epoch: int, scores: list[float | None], reason: str) -> int:
    seen = [(score, -index) for index, score in enumerate(scores[:epoch]) if score is not None]
    best, index = max(seen) if seen else (None, 0)
    result = {
        "status": status,
        "best_epoch": 1 - index,
        "epochs": epoch,
        "metrics": {} if best is None else {"mean_average_precision": best},
        "cpu_seconds": float(epoch),
        "seconds": float(epoch),
        "weights": "checkpoints/best.safetensors" if seen else None,
        "reason": reason,
    }
    temporary = folder / ".result.tmp"
    temporary.write_text(json.dumps(result))
    temporary.replace(folder / "result.json")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
