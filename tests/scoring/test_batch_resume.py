"""Killed at any write or rename, a batch called again ends as one that was never disturbed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scoring.batch.inputs import expand
from scoring.batch.rows import Row, Scorer
from scoring.batch.run import run_batch
from scoring.detector import Detector
from scoring.errors import ConflictError

HEADER = {"model": "Caps:7", "manifest_sha256": "0" * 64, "score_threshold": None}
ROOT = Path(__file__).resolve().parents[2]
NAMES = ("predictions.jsonl", "errors.jsonl", "predictions.csv", "batch.json")

# Writes and renames are counted; at the last one that the process lives to see, half of the bytes are written.
DYING = """
import os, signal, sys
from pathlib import Path
from scoring.batch import journal
from scoring.batch.inputs import expand
from scoring.batch.rows import Scorer
from scoring.batch.run import run_batch
from scoring.detector import Detector

bundle, photos, out, steps = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
left = steps

def step(before=lambda: None):
    global left
    left -= 1
    if left == 0:
        before()
        os.kill(os.getpid(), signal.SIGKILL)

class Dying:
    def __init__(self, file):
        self.file = file
    def write(self, data):
        step(lambda: (self.file.write(data[: len(data) // 2]), self.file.flush()))
        return self.file.write(data)
    def __getattr__(self, name):
        return getattr(self.file, name)

opened, replace, unlink = journal.Journal._opened, Path.replace, Path.unlink
journal.Journal._opened = lambda self, name: Dying(opened(self, name))
Path.replace = lambda self, target: (step(), replace(self, target))[1]
Path.unlink = lambda self, missing_ok=False: (step(), unlink(self, missing_ok=missing_ok))[1]
header = {"model": "Caps:7", "manifest_sha256": "0" * 64, "score_threshold": None}
run_batch(Scorer(Detector.load(bundle), "Caps:7"), lambda: expand([photos]), out, header, workers=2)
print("lived", steps - left)
"""


class Counting(Scorer):
    """A scorer that remembers what it was asked to score."""

    asked: list[str]

    def row(self, name: str, path: str) -> tuple[Row, str]:
        self.asked.append(name)
        return super().row(name, path)


@pytest.fixture
def bundle(tiny_bundle: Callable[..., Path]) -> Path:
    return tiny_bundle()


@pytest.fixture
def scorer(bundle: Path) -> Counting:
    made = Counting(Detector.load(bundle), "Caps:7")
    object.__setattr__(made, "asked", [])
    return made


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (20, 30), (50 * number, 250 - 50 * number, 0)).save(folder / f"{number}.png")
    (folder / "2.png").write_bytes(b"nothing")
    return folder


def contents(out: Path) -> dict[str, Any]:
    """What is in the finished files, but for the times; a torn line does not pass."""
    assert sorted(path.name for path in out.iterdir()) == sorted((".batch.lock", *NAMES))
    found: dict[str, Any] = {name: (out / name).read_bytes() for name in NAMES}
    for name in NAMES[:2]:
        lines = found[name].decode().splitlines(keepends=True)
        assert all(line.endswith("\n") for line in lines)
        found[name] = [json.dumps(json.loads(line) | {"ms": 0}) for line in lines]
    return found


def undisturbed(scorer: Scorer, photos: Path, out: Path) -> dict[str, Any]:
    run_batch(scorer, lambda: expand([str(photos)]), out, HEADER, workers=1)
    return contents(out)


def die(bundle: Path, photos: Path, out: Path, steps: int) -> bool:
    """Run until the given write or rename; False when the batch was done before."""
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(bundle), str(photos), str(out), str(steps)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_killed_at_every_single_step(scorer: Counting, bundle: Path, photos: Path, tmp_path: Path) -> None:
    expected = undisturbed(scorer, photos, tmp_path / "whole")
    steps = 0
    while die(bundle, photos, tmp_path / f"out{(steps := steps + 1)}", steps):
        out = tmp_path / f"out{steps}"
        rows = sum(path.read_bytes().count(b"\n") for path in out.glob("*.jsonl*") if "csv" not in path.name)
        scorer.asked.clear()
        result = run_batch(scorer, lambda: expand([str(photos)]), out, HEADER, workers=2)
        assert contents(out) == expected, f"killed at step {steps}"
        assert len(scorer.asked) == 6 - rows, f"a file was scored twice after a kill at step {steps}"
        assert result.totals.resumed == rows
    assert steps > 15  # each image's two writes, and the finish


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_killed_again_and_again(scorer: Counting, bundle: Path, photos: Path, tmp_path: Path) -> None:
    """Every run gets three writes further, torn lines included."""
    out = tmp_path / "out"
    runs = 0
    while die(bundle, photos, out, 6):
        runs += 1
        assert runs < 20
    assert runs >= 3 and contents(out) == undisturbed(scorer, photos, tmp_path / "whole")


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("word", [signal.SIGKILL, signal.SIGINT])
def test_the_command_killed_from_outside(scorer: Counting, bundle: Path, tmp_path: Path, word: signal.Signals) -> None:
    photos, out = tmp_path / "many", tmp_path / "out"
    photos.mkdir()
    Image.new("RGB", (64, 64), (200, 40, 0)).save(photos / "0.png")
    for number in range(1, 2000):
        os.link(photos / "0.png", photos / f"{number}.png")
    line = [sys.executable, "-m", "model_training", "batch", "many", "--bundle", str(bundle), "--out", "out"]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(line, cwd=tmp_path, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    partial = out / "predictions.jsonl.partial"
    while not (partial.exists() and partial.stat().st_size > 2000) and running.poll() is None:
        time.sleep(0.001)
    running.send_signal(word)
    _, said = running.communicate(timeout=30)
    assert running.returncode == (-9 if word is signal.SIGKILL else 130), said.decode()
    assert partial.exists() and not (out / "predictions.jsonl").exists()
    done = subprocess.run(line, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0 and summary["images"] == 2000 and 0 < summary["resumed"] < 2000
    names = [json.loads(row)["filename"] for row in (out / "predictions.jsonl").read_text().splitlines()]
    assert names == sorted(f"many/{number}.png" for number in range(2000))


def interrupted(scorer: Scorer, photos: Path, out: Path, after: int) -> None:
    def tell(totals: Any, seconds: float) -> None:
        if totals.images == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(scorer, lambda: expand([str(photos)]), out, HEADER, workers=2, tell=tell)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda photos: (photos / "0.png").unlink(), "another place"),
        (lambda photos: (photos / "3.png").unlink(), "another place"),
        (lambda photos: [path.unlink() for path in photos.glob("[3-5].png")], "fewer"),
        (lambda photos: (photos / "00.png").write_bytes((photos / "0.png").read_bytes()), "another file"),
        (lambda photos: (photos / "1.png").write_bytes((photos / "0.png").read_bytes()), "another file"),
    ],
    ids=["first gone", "last scored gone", "the rest gone", "one more", "another content"],
)
def test_changed_inputs_are_noticed(
    scorer: Counting, photos: Path, tmp_path: Path, change: Callable[[Path], Any], words: str
) -> None:
    out = tmp_path / "out"
    interrupted(scorer, photos, out, 4)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    change(photos)
    with pytest.raises(ConflictError, match=words) as caught:
        run_batch(scorer, lambda: expand([str(photos)]), out, HEADER, workers=2)
    assert "--overwrite" in caught.value.hint
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    run_batch(scorer, lambda: expand([str(photos)]), out, HEADER, workers=2, overwrite=True)
    assert contents(out) == undisturbed(scorer, photos, tmp_path / "whole")


def test_what_comes_after_the_scored_ones_may_change(scorer: Counting, photos: Path, tmp_path: Path) -> None:
    interrupted(scorer, photos, tmp_path / "out", 2)
    (photos / "5.png").unlink()
    run_batch(scorer, lambda: expand([str(photos)]), tmp_path / "out", HEADER, workers=2)
    assert contents(tmp_path / "out") == undisturbed(scorer, photos, tmp_path / "whole")


@pytest.mark.parametrize("key", list(HEADER))
def test_another_model_or_threshold_is_noticed(scorer: Counting, photos: Path, tmp_path: Path, key: str) -> None:
    interrupted(scorer, photos, tmp_path / "out", 3)
    other = {**HEADER, key: "other"}
    with pytest.raises(ConflictError, match="another model or threshold"):
        run_batch(scorer, lambda: expand([str(photos)]), tmp_path / "out", other, workers=2)
    result = run_batch(scorer, lambda: expand([str(photos)]), tmp_path / "out", other, workers=2, overwrite=True)
    assert (result.totals.images, result.totals.resumed) == (6, 0)


def test_overwrite_goes_on_with_the_same_batch(scorer: Counting, photos: Path, tmp_path: Path) -> None:
    """The same command again goes on, also when it said --overwrite."""
    interrupted(scorer, photos, tmp_path / "out", 3)
    result = run_batch(scorer, lambda: expand([str(photos)]), tmp_path / "out", HEADER, workers=2, overwrite=True)
    assert result.totals.resumed == 3


def test_a_damaged_row_and_all_after_it_are_scored_again(scorer: Counting, photos: Path, tmp_path: Path) -> None:
    """What a power cut leaves: blocks of zeros where a row was."""
    out = tmp_path / "out"
    interrupted(scorer, photos, out, 5)
    partial = out / "predictions.jsonl.partial"
    lines = partial.read_bytes().splitlines(keepends=True)
    lines[1] = b"\0" * (len(lines[1]) - 1) + b"\n"
    partial.write_bytes(b"".join(lines))
    result = run_batch(scorer, lambda: expand([str(photos)]), out, HEADER, workers=2)
    assert result.totals.resumed == 1 and contents(out) == undisturbed(scorer, photos, tmp_path / "whole")


PART = st.integers(0, 1000)  # thousandths: the sizes themselves differ from run to run, with the times in the rows


@settings(max_examples=25, deadline=None)
@given(scored=st.integers(1, 6), parts=st.tuples(PART, PART, PART))
def test_any_prefix_of_each_file_is_gone_on_with(
    scorer: Counting, photos: Path, tmp_path: Path, scored: int, parts: tuple[int, int, int]
) -> None:
    """The law behind the rest: however much of each file a crash has left, the end is that of an undisturbed run."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    if not whole.exists():
        undisturbed(scorer, photos, whole)
    shutil.rmtree(out, ignore_errors=True)
    interrupted(scorer, photos, out, scored)
    header = (out / "batch.partial").read_bytes().index(b"\n") + 1  # written whole or not at all
    names = {"batch.partial": header, "predictions.jsonl.partial": 0, "errors.jsonl.partial": 0}
    for (name, least), part in zip(names.items(), parts, strict=True):
        os.truncate(out / name, least + ((out / name).stat().st_size - least) * part // 1000)
    run_batch(scorer, lambda: expand([str(photos)]), out, HEADER, workers=2)
    assert contents(out) == contents(whole)


@pytest.mark.parametrize("name", ["batch.partial", "predictions.jsonl.partial", "errors.jsonl.partial"])
def test_a_line_without_its_end_is_none(scorer: Counting, photos: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    interrupted(scorer, photos, out, 4)
    os.truncate(out / name, (out / name).stat().st_size - 1)
    run_batch(scorer, lambda: expand([str(photos)]), out, HEADER, workers=2)
    assert contents(out) == undisturbed(scorer, photos, tmp_path / "whole")
