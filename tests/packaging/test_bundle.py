"""A bundle of a real trial: whole, verified, measured on its own ONNX file, loadable by MLflow, all or nothing."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_training.errors import DataError, TrainingError
from model_training.evaluation.measure import measure
from model_training.packaging import bundle as packaging
from model_training.packaging.bundle import make_bundle
from model_training.workspaces.base import silent
from scoring.bundle import load_bundle
from scoring.detector import Detector
from scoring.edge.room import MIB, needed_memory
from scoring.edge.selftest import check_golden, self_test
from scoring.errors import SelfTestError, UntestedError
from tests.packaging.conftest import Made
from tests.packaging.shapes import LABELS


def python(code: str, cwd: Path, *arguments: str) -> Any:
    """The last line of a fresh interpreter, as JSON; it does not see this repository."""
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, env=surroundings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_file_is_there_and_verified(made: Made) -> None:
    names = {file["path"] for file in made.bundle.manifest["files"]}
    assert {
        "MLmodel",
        "model.onnx",
        "labels.json",
        "model_settings.json",
        "per_label_metrics.json",
        "score.py",
        "conda.yaml",
        "requirements.txt",
        "weights.safetensors",
        "golden/expected.json",
        "golden/0001.jpg",
        "code/cva_bundle.py",
        "code/scoring/detector.py",
    } <= names
    assert not [name for name in names if name.endswith((".pyc", ".pkl", ".pt")) or "__pycache__" in name]
    assert load_bundle(made.bundle.path).manifest.raw == made.bundle.manifest
    assert not list(made.bundle.path.parent.glob(".*"))


def test_the_numbers_are_those_of_the_file_that_is_served(made: Made) -> None:
    detector = Detector.load(made.bundle.path)
    threshold = detector.bundle.postprocess.score_threshold
    again = measure(detector, made.test, score_threshold=threshold).metrics
    assert made.bundle.manifest["metrics"] == {"split": "test", **again}
    assert made.bundle.manifest["metrics"]["images"] == 9
    assert made.bundle.manifest["metrics"]["precision_recall_at"]["score"] == threshold
    stored = json.loads((made.bundle.path / "per_label_metrics.json").read_text())
    assert stored == again["per_label"]


def test_the_threshold_was_chosen_on_validation(made: Made) -> None:
    detector = Detector.load(made.bundle.path)
    chosen = measure(detector, made.validation, score_threshold=None).metrics["precision_recall_at"]["score"]
    assert made.bundle.manifest["postprocess"]["score_threshold"] == chosen
    assert "validation" in made.bundle.manifest["threshold"]["chosen_by"]


def test_it_says_where_it_comes_from(made: Made) -> None:
    source = made.bundle.manifest["source"]
    assert source["dataset"] == {"name": "shapes", "version": "1", "sha256": "a" * 64}
    assert (source["seed"], source["run_id"], source["split_sha256"]) == (7, "run-1", "b" * 64)
    assert source["packages"]["torch"]
    parity = made.bundle.manifest["parity"]
    assert (parity["batches"], parity["misjudged"]) == ([1, 3, 8], 0)
    assert parity["max_box_px"] < 0.01


def test_progress_is_told(made: Made) -> None:
    assert any("export" in text for text in made.said)
    assert any("9 of 9 test" in text for text in made.said)


def test_the_golden_images_pass_the_self_test(made: Made) -> None:
    assert 3 <= check_golden(made.bundle.path) <= 5


def test_a_changed_answer_fails_the_self_test(made: Made, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(made.bundle.path, copy)
    expected = json.loads((copy / "golden" / "expected.json").read_text())
    expected["images"][0]["boxes"] = [
        {"box": {"topX": 0.1, "topY": 0.1, "bottomX": 0.2, "bottomY": 0.2}, "label": "disc", "score": 0.99}
    ]
    (copy / "golden" / "expected.json").write_text(json.dumps(expected))
    with pytest.raises(Exception, match="missing disc"):
        check_golden(copy)


MLFLOW = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow.pyfunc, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
answer = model.predict(pandas.DataFrame({"image": sys.argv[2:]}))
import scoring
print(json.dumps({"answer": answer, "scoring": scoring.__file__}))
"""


def test_mlflow_loads_it_and_it_answers_as_the_golden_images_say(made: Made, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"  # MLflow's import leaves Python's caches in the folder
    shutil.copytree(made.bundle.path, copy)
    golden = json.loads((copy / "golden" / "expected.json").read_text())["images"]
    images = [base64.b64encode((copy / "golden" / item["file"]).read_bytes()).decode() for item in golden]
    said = python(MLFLOW, tmp_path, str(copy), *images)
    assert [item["boxes"] for item in said["answer"]] == [item["boxes"] for item in golden]
    assert said["scoring"].startswith(str(copy)), "the bundle's own code must be what runs"


ENTRY = """
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import score
score.init()
print(json.dumps([score.run(sys.argv[2]), score.run("[]")]))
"""


def test_the_entry_script_answers_and_refuses(made: Made, tmp_path: Path) -> None:
    image = base64.b64encode((made.bundle.path / "golden" / "0001.jpg").read_bytes()).decode()
    request = json.dumps({"input_data": {"columns": ["image"], "data": [image, base64.b64encode(b"no").decode()]}})
    answer, refusal = python(ENTRY, tmp_path, str(made.bundle.path), request)
    assert (
        answer[0]["boxes"]
        == json.loads((made.bundle.path / "golden" / "expected.json").read_text())["images"][0]["boxes"]
    )
    assert answer[1]["error"]["code"] == "not_an_image"
    assert refusal["error"]["code"] == "bad_request"


def again(made: Made, folder: Path, **changes: Any) -> Any:
    arguments = {"labels": LABELS, "validation": made.validation, "test": made.test, "source": made.source} | changes
    trial = arguments.pop("trial", made.trial)
    return make_bundle(trial, folder=folder, **arguments)


def test_made_again_it_is_the_same_but_for_the_hour_and_the_memory(made: Made, tmp_path: Path) -> None:
    other = again(made, tmp_path / "other")
    ours, theirs = (each | {"created_at": "", "runtime": {}} for each in (made.bundle.manifest, other.manifest))
    assert ours == theirs
    assert other.manifest["runtime"].keys() == made.bundle.manifest["runtime"].keys()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_it_states_the_memory_that_its_golden_run_took(made: Made, tmp_path: Path) -> None:
    """A device asks for it before it downloads."""
    manifest = load_bundle(made.bundle.path).manifest
    stated, how = needed_memory(manifest)
    assert how == "its manifest states it" and stated % MIB == 0
    took = self_test(made.bundle.path).memory_bytes
    assert took is not None and abs(took - stated) < stated / 4


def test_where_it_cannot_be_measured_no_memory_is_stated(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(folder: Path, **_: Any) -> Any:
        raise UntestedError("no answer within 600 s")

    shutil.copytree(made.bundle.path, tmp_path / "bundle")
    plain = {key: value for key, value in made.bundle.manifest["runtime"].items() if key != "memory_bytes"}
    monkeypatch.setattr(packaging, "self_test", busy)
    said: list[str] = []
    manifest = {**made.bundle.manifest, "runtime": plain}
    written = packaging._stating_memory(tmp_path / "bundle", manifest, lambda event: said.append(event.text))
    assert written["runtime"] == plain
    assert said == ["the manifest states no memory: no answer within 600 s"]
    assert load_bundle(tmp_path / "bundle").manifest.raw == written


def test_one_that_does_not_give_its_own_golden_answers_is_not_made(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.bundle.path, tmp_path / "bundle")
    (tmp_path / "bundle" / "golden" / "expected.json").write_text("{}")
    with pytest.raises(SelfTestError, match="names no images"):
        packaging._stating_memory(tmp_path / "bundle", dict(made.bundle.manifest), silent)


def test_a_finished_one_is_kept_and_a_damaged_one_is_not_trusted(made: Made, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(made.bundle.path, copy)
    before = (copy / "manifest.json").stat().st_mtime_ns
    assert again(made, copy).manifest == made.bundle.manifest
    assert (copy / "manifest.json").stat().st_mtime_ns == before
    (copy / "labels.json").write_text("[]")
    with pytest.raises(DataError):  # it is made again, which this part without images cannot be
        again(made, copy, validation=empty_part(tmp_path))


def test_a_failure_leaves_nothing(made: Made, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images"):
        again(made, tmp_path / "run" / "bundle", validation=empty_part(tmp_path))
    assert list((tmp_path / "run").iterdir()) == []


def test_weights_of_other_labels_or_none_are_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="disc, tin"):
        again(made, tmp_path / "bundle", labels=("disc", "tin"))
    with pytest.raises(TrainingError, match="left no weights"):
        again(made, tmp_path / "bundle", trial=replace(made.trial, weights=None, status="failed"))


def empty_part(folder: Path) -> Path:
    path = folder / "empty.jsonl"
    path.touch()
    return path
