"""What Azure's AutoML leaves becomes the same bundle: whole, measured on its own file, served by the one detector."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from model_training.data.jsonl import read_rows
from model_training.errors import CvaError, DataError
from model_training.evaluation.measure import measure
from model_training.packaging.bundle import Source, make_bundle
from model_training.workspaces.base import Bundle, Event, GateDecision, TrialResult
from model_training.workspaces.tags import model_tags
from scoring.bundle import load_bundle
from scoring.detector import Detector
from scoring.edge.selftest import check_golden, self_test
from scoring.images import open_image
from tests.packaging.automl_exports import (
    COLOURS,
    RCNN,
    RETINA,
    SHAPES,
    YOLO,
    Shape,
    draw,
    graph,
    leave,
    left_by,
    trial,
)

SOURCE = Source("Caps", "caps", "2", "a" * 64, "b" * 64, "run-7", "c" * 40, 1)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Parts:
    validation: Path
    test: Path


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder = tmp_path_factory.mktemp("caps")
    return Parts(draw(folder, "validation", 20, 1), draw(folder, "test", 20, 2))


def package(left: TrialResult, parts: Parts, folder: Path, **changes: Any) -> Bundle:
    arguments: dict[str, Any] = {"labels": sorted(COLOURS), "validation": parts.validation, "test": parts.test}
    return make_bundle(left, source=SOURCE, folder=folder, **(arguments | changes))


@dataclass(frozen=True)
class Made:
    shape: Shape
    left: TrialResult
    bundle: Bundle
    said: list[Event]


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: shape.algorithm)
def made(request: pytest.FixtureRequest, parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    left = left_by(request.param, folder / "left")
    said: list[Event] = []
    bundle = package(left, parts, folder / "run" / "bundle", reporter=said.append)
    return Made(request.param, left, bundle, said)


def test_every_file_is_there_and_verified_and_none_of_the_services_own(made: Made) -> None:
    names = {file["path"] for file in made.bundle.manifest["files"]}
    assert {
        *("MLmodel", "model.onnx", "labels.json", "model_settings.json", "per_label_metrics.json", "score.py"),
        *("conda.yaml", "requirements.txt", "golden/expected.json", "golden/0001.jpg", "code/scoring/detector.py"),
    } <= names
    assert not [name for name in names if name.endswith((".safetensors", ".pt", ".pkl"))]
    assert load_bundle(made.bundle.path).manifest.raw == made.bundle.manifest
    assert not list(made.bundle.path.parent.glob(".*"))


def test_the_graph_is_the_services_own_byte_for_byte(made: Made) -> None:
    assert (made.bundle.path / "model.onnx").read_bytes() == graph(made.shape)


def test_it_says_who_trained_it_and_whose_code_it_is(made: Made) -> None:
    manifest = made.bundle.manifest
    assert manifest["algorithm"] == made.shape.algorithm
    assert manifest["postprocess"]["kind"] == made.shape.kind
    assert manifest["implementation"] == "azureml automl-dnn-vision 1.62.0.post1"
    assert manifest["license"] == ("AGPL-3.0" if made.shape is YOLO else "BSD-3-Clause")
    assert manifest["source"]["engine"] == "azureml"
    assert manifest["source"]["trial"] == {"number": 3, "best_epoch": 7, "epochs": 15}
    assert "torch" not in manifest["source"]["packages"]


def test_labels_are_clean_and_in_the_graphs_order(made: Made) -> None:
    assert tuple(made.bundle.manifest["labels"]) == COLOURS
    assert json.loads((made.bundle.path / "labels.json").read_text()) == list(COLOURS)


def test_every_object_gets_its_own_label(made: Made, parts: Parts) -> None:
    detector = Detector.load(made.bundle.path)
    for row in read_rows(parts.test)[:4]:  # none of them holds an object that nobody looks for
        [found] = detector.detect([open_image(parts.test.parent / row.image_url)])
        assert {detector.labels[label] for label in found.labels} == {box.label for box in row.boxes}


def test_the_numbers_are_those_of_the_file_that_is_served(made: Made, parts: Parts) -> None:
    detector = Detector.load(made.bundle.path)
    threshold = detector.bundle.postprocess.score_threshold
    again = measure(detector, parts.test, score_threshold=threshold).metrics
    assert made.bundle.manifest["metrics"] == {"split": "test", **again}
    assert 0.8 < again["mean_average_precision"] < 1
    assert again["precision"] == 1
    assert 0.8 < again["recall"] < 1


def test_the_tags_are_what_scoring_the_bundle_on_the_stored_test_split_gives(made: Made, parts: Parts) -> None:
    detector = Detector.load(made.bundle.path)
    again = measure(detector, parts.test, score_threshold=detector.bundle.postprocess.score_threshold).metrics
    tags = model_tags(made.bundle.manifest, GateDecision(True, True, "the first", "first", again, None))
    names = {"Mean Average Precision": "mean_average_precision", "Precision": "precision", "Recall": "recall"}
    assert {tag: tags[tag] for tag in names} == {tag: str(again[name]) for tag, name in names.items()}
    assert tags["automl_mean_average_precision"] == "0.625"
    assert len(tags) < 50


def test_the_threshold_was_chosen_on_validation(made: Made, parts: Parts) -> None:
    detector = Detector.load(made.bundle.path)
    chosen = measure(detector, parts.validation, score_threshold=None).metrics["precision_recall_at"]["score"]
    assert made.bundle.manifest["postprocess"]["score_threshold"] == chosen


def test_the_golden_images_pass_the_self_test(made: Made) -> None:
    assert 3 <= check_golden(made.bundle.path) <= 5
    self_test(made.bundle.path)


def test_the_services_own_numbers_are_kept_apart(made: Made) -> None:
    """-1 and NaN are its words for nothing; what is no number is no metric."""
    own = made.bundle.manifest["automl"]
    assert own["metrics"] == {"mean_average_precision": 0.625, "precision": 0.25, "recall": 1.0}
    assert own["per_label"] == {label: {"average_precision": 0.5, "recall": 1.0} for label in COLOURS}
    assert own["score_floor"] == (None if made.shape is YOLO else 0.3)
    settings = json.loads((made.bundle.path / "model_settings.json").read_text())
    assert settings["hyperparameters"] == {"learning_rate": 0.005}
    assert settings["service_settings"] == {"img_size": 64}


def test_only_yolov5_warns_of_its_licence(made: Made) -> None:
    warnings = [event.text for event in made.said if event.kind == "warning"]
    assert [text for text in warnings if "AGPL-3.0" in text and "fasterrcnn" in text] == warnings
    assert len(warnings) == (made.shape is YOLO)


def test_it_is_told_where_the_graph_itself_cuts_off(made: Made) -> None:
    told = [event.text for event in made.said if "under 0.3" in event.text]
    assert len(told) == (made.shape is not YOLO)


def test_a_finished_one_is_kept(made: Made, parts: Parts) -> None:
    before = (made.bundle.path / "manifest.json").stat().st_mtime_ns
    assert package(made.left, parts, made.bundle.path) == made.bundle
    assert (made.bundle.path / "manifest.json").stat().st_mtime_ns == before


def test_one_of_another_graph_is_made_again(parts: Parts, tmp_path: Path) -> None:
    left = left_by(YOLO, tmp_path / "left")
    before = package(left, parts, tmp_path / "bundle").manifest
    leave(tmp_path / "left", graph(YOLO) + b"\x2a\x00", COLOURS, background=False)  # an empty name: other bytes
    after = package(left, parts, tmp_path / "bundle").manifest
    assert [file for file in after["files"] if file["path"] == "model.onnx"] != [
        file for file in before["files"] if file["path"] == "model.onnx"
    ]
    assert after["metrics"] == before["metrics"]


def test_interrupted_it_leaves_nothing_and_goes_on(parts: Parts, tmp_path: Path) -> None:
    left = left_by(RCNN, tmp_path / "left")

    def interrupt(event: Event) -> None:
        if "test images" in event.text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        package(left, parts, tmp_path / "run" / "bundle", reporter=interrupt)
    assert list((tmp_path / "run").iterdir()) == []
    assert load_bundle(package(left, parts, tmp_path / "run" / "bundle").path).labels == COLOURS


def test_a_retinanet_whose_labels_begin_with_the_background(parts: Parts, tmp_path: Path) -> None:
    """The documentation reads both families as `labels[number]`: the file says how the graph counts."""
    shape = replace(RETINA, background=True)
    bundle = package(left_by(shape, tmp_path / "left"), parts, tmp_path / "bundle")
    assert bundle.manifest["labels"] == list(COLOURS)
    assert bundle.manifest["metrics"]["mean_average_precision"] > 0.8


def test_what_the_job_sets_wins(parts: Parts, tmp_path: Path) -> None:
    left = left_by(RCNN, tmp_path / "left", box_score_threshold="0.8", box_nms_thresh="0.4", box_detections_per_img=2)
    manifest = package(left, parts, tmp_path / "bundle").manifest
    assert manifest["postprocess"] == {
        "kind": "automl_fasterrcnn",
        "iou": 0.4,
        "score_threshold": 0.8,
        "max_boxes": 2,
    }
    assert manifest["threshold"]["chosen_by"] == "box_score_threshold of the job"
    assert manifest["automl"]["score_floor"] == 0.8


def test_a_threshold_that_lets_everything_through_is_for_measuring(parts: Parts, tmp_path: Path) -> None:
    manifest = package(left_by(RCNN, tmp_path / "left", box_score_threshold=0.001), parts, tmp_path / "bundle").manifest
    assert "validation" in manifest["threshold"]["chosen_by"]
    assert min(manifest["postprocess"]["score_threshold"].values()) > 0.3


def test_without_a_test_part_it_says_so(parts: Parts, tmp_path: Path) -> None:
    manifest = package(left_by(RETINA, tmp_path / "left"), parts, tmp_path / "bundle", test=None).manifest
    assert manifest["metrics"]["split"] == "validation"


def test_a_real_export_of_the_services_yolov5(tmp_path: Path) -> None:
    """Its weights are random: it finds nothing, and is a bundle all the same."""
    path = Path(os.environ.get("CVA_AUTOML_EXPORTS", SHARED / "automl-exports")) / "automl_yolov5_tiny_random.onnx"
    if not path.is_file():
        pytest.skip(f"no export of Azure's yolov5 at {path} (set CVA_AUTOML_EXPORTS)")
    exported = leave(tmp_path / "left", path.read_bytes(), COLOURS, background=False, settings={"img_size": 640})
    few = Parts(draw(tmp_path, "validation", 6, 1), draw(tmp_path, "test", 6, 2))
    bundle = package(trial("yolov5", exported), few, tmp_path / "bundle")
    assert bundle.manifest["preprocess"]["size"] == [640, 640]
    assert bundle.manifest["preprocess"]["resize"] == "letterbox_shrink"
    assert bundle.manifest["runtime"]["opset"] == 11
    assert bundle.manifest["metrics"]["mean_average_precision"] == 0
    self_test(bundle.path)


Spoil = Callable[[Path], object]


def labels(value: Any) -> Spoil:
    return lambda left: (left / "train_artifacts" / "labels.json").write_text(json.dumps(value))


def remove(name: str) -> Spoil:
    return lambda left: (left / name).unlink()


def overwrite(name: str, data: bytes) -> Spoil:
    return lambda left: (left / name).write_bytes(data)


def link(name: str) -> Spoil:
    def spoil(left: Path) -> None:
        (left / name).rename(left / "elsewhere")
        (left / name).symlink_to(left / "elsewhere")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (remove("train_artifacts/model.onnx"), "NotFoundError", "left no train_artifacts/model.onnx"),
        (remove("train_artifacts/labels.json"), "NotFoundError", "left no train_artifacts/labels.json"),
        (link("train_artifacts/model.onnx"), "IntegrityError", "is a link"),
        (link("train_artifacts"), "IntegrityError", "is a link"),  # on the way to the file
        (overwrite("train_artifacts/labels.json", b"[" + b" " * (1 << 20)), "IntegrityError", "larger than"),
        (overwrite("train_artifacts/labels.json", b"[" * 100_000), "IntegrityError", "is not JSON"),
        (overwrite("train_artifacts/labels.json", b"\xff\xfe"), "IntegrityError", "is not JSON"),
        (labels({"0": "red cap"}), "DataError", "a list of different names"),
        (labels([]), "DataError", "a list of different names"),
        (labels(["--bg--"]), "DataError", "a list of different names"),
        (labels(["red cap", "red cap"]), "DataError", "a list of different names"),
        (labels(["red cap", 7]), "DataError", "a list of different names"),
        (labels([*COLOURS, "--bg--"]), "DataError", "a list of different names"),
        (labels([*COLOURS, "pink cap"]), "DataError", "with pink cap"),
        (labels(COLOURS[:2]), "DataError", "without blue-cap"),
        (labels(["--bg--", *COLOURS]), "IncompatibleError", "not to begin with --bg--"),
        (overwrite("train_artifacts/model.onnx", b""), "IntegrityError", "1 to"),
        (overwrite("train_artifacts/model.onnx", b"PK\x03\x04" * 99), "IntegrityError", "not an ONNX file"),
        (overwrite("train_artifacts/per_label_metrics.json", b"{"), "IntegrityError", "is not JSON"),
    ],
)
def test_a_folder_that_is_not_what_the_service_leaves_is_refused(
    parts: Parts, tmp_path: Path, spoil: Spoil, error: str, words: str
) -> None:
    left = left_by(YOLO, tmp_path / "left")
    spoil(tmp_path / "left")
    with pytest.raises(CvaError, match=words) as caught:
        package(left, parts, tmp_path / "run" / "bundle")
    assert type(caught.value).__name__ == error
    assert caught.value.hint or error == "IntegrityError"
    assert not (tmp_path / "run").exists()


def test_a_faster_rcnn_needs_its_background(parts: Parts, tmp_path: Path) -> None:
    exported = leave(tmp_path / "left", graph(RCNN), COLOURS, background=False)
    with pytest.raises(CvaError, match=r"expected labels\.json to begin with --bg--"):
        package(trial(RCNN.algorithm, exported), parts, tmp_path / "bundle")


def test_a_yolov5_of_another_number_of_labels_is_refused(parts: Parts, tmp_path: Path) -> None:
    exported = leave(tmp_path / "left", graph(YOLO), COLOURS[:2], background=False)
    with pytest.raises(CvaError, match=r"expected a first output of \(1, anchors, 7\) for 2 labels"):
        package(trial("yolov5", exported), parts, tmp_path / "bundle", labels=COLOURS[:2])
    assert list(tmp_path.iterdir()) == [tmp_path / "left"]


@pytest.mark.parametrize("algorithm", ["maskrcnn_resnet50_fpn", "vitb16r224", "deformable_detr_r50"])
def test_other_algorithms_are_refused_with_a_list(parts: Parts, tmp_path: Path, algorithm: str) -> None:
    exported = leave(tmp_path / "left", graph(RCNN), COLOURS, background=True)
    with pytest.raises(CvaError, match="no bundle can be made") as caught:
        package(trial(algorithm, exported), parts, tmp_path / "bundle")
    assert "fasterrcnn_resnet50_fpn" in caught.value.hint


def test_an_empty_validation_part_is_an_error(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match="no images"):
        package(left_by(RCNN, tmp_path / "left"), parts, tmp_path / "bundle", validation=tmp_path / "empty.jsonl")
