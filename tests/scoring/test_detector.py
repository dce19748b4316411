"""The detector on a real ONNX graph: geometry, thresholds, batches, and every way a model can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scoring.bundle import load_bundle
from scoring.detections import Detections
from scoring.detector import PROVIDERS, Detector
from scoring.errors import IncompatibleError, IntegrityError, UsageError

Make = Callable[..., Path]


def colour(red: int, green: int, blue: int, size: tuple[int, int] = (32, 32)) -> Image.Image:
    return Image.new("RGB", size, (red, green, blue))


def same(left: Detections, right: Detections) -> bool:
    return all(np.array_equal(getattr(left, part), getattr(right, part)) for part in ("boxes", "scores", "labels"))


def test_boxes_are_fractions_of_the_image_sorted_by_score(tiny_bundle: Make) -> None:
    [found] = Detector.load(tiny_bundle()).detect([colour(255, 204, 102)])
    assert found.labels.tolist() == [2, 1, 0]
    assert np.allclose(found.scores, (1.0, 0.8, 0.4))
    assert found.boxes.tolist() == [[0.5, 0.5, 1, 1], [0.25, 0.25, 0.75, 0.75], [0, 0, 0.5, 0.5]]


def test_boxes_of_a_wide_image_are_stretched_back_and_clipped(tiny_bundle: Make) -> None:
    """40 x 20 lies in the upper 16 rows of the input; a box that lies only in the padding is none."""
    [found] = Detector.load(tiny_bundle()).detect([colour(255, 255, 255, (40, 20))], score_threshold=0.1)
    boxes = dict(zip(found.labels.tolist(), found.boxes.tolist(), strict=True))
    assert boxes == {0: [0, 0, 0.5, 1], 1: [0.25, 0.5, 0.75, 1]}


def test_the_operating_threshold_is_the_manifests(tiny_bundle: Make) -> None:
    detector = Detector.load(tiny_bundle())
    picture = colour(255, 60, 20)
    assert len(detector.detect([picture])[0]) == 1
    assert len(detector.detect([picture], score_threshold=0.2)[0]) == 2
    assert len(detector.detect([picture], score_threshold=0.0)[0]) == 3


def test_each_label_may_have_its_own_threshold(tiny_bundle: Make) -> None:
    thresholds = {"blue cap": 0.1, "green, cap": 0.9, "red-cap": 0.5}
    post = {"kind": "cva", "iou": 0.5, "score_threshold": thresholds, "max_boxes": 3}
    [found] = Detector.load(tiny_bundle(postprocess=post)).detect([colour(100, 204, 40)])
    assert found.labels.tolist() == [0]  # red .39 < .5, green .8 < .9, blue .16 >= .1


def test_every_batch_size_gives_the_same_answer(tiny_bundle: Make) -> None:
    rng = np.random.default_rng(1)
    images = [Image.fromarray(rng.integers(0, 256, (20 + i, 50 - i, 3), np.uint8)) for i in range(9)]
    detector = Detector.load(tiny_bundle())
    one = detector.detect(images, score_threshold=0.1, batch_size=1)
    for size in range(2, 9):
        many = detector.detect(images, score_threshold=0.1, batch_size=size)
        assert all(same(a, b) for a, b in zip(one, many, strict=True)), size


def test_no_images_give_no_answers(tiny_bundle: Make) -> None:
    assert Detector.load(tiny_bundle()).detect([]) == []


@pytest.mark.parametrize("shape", [(), (1,)])
def test_the_threshold_input_may_be_a_number_or_one_element(
    tiny_bundle: Make, tiny_graph: Callable[..., bytes], shape: tuple[int, ...]
) -> None:
    detector = Detector.load(tiny_bundle(onnx=tiny_graph(threshold_shape=shape)))
    assert [len(found) for found in detector.detect([colour(255, 0, 0)] * 2)] == [1, 1]


def test_a_graph_with_a_batch_of_one_is_served_one_by_one(tiny_bundle: Make, tiny_graph: Callable[..., bytes]) -> None:
    detector = Detector.load(tiny_bundle(onnx=tiny_graph(batch=1)))
    assert [len(found) for found in detector.detect([colour(255, 0, 0)] * 3)] == [1, 1, 1]


def test_grey_images_are_taken_as_rgb(tiny_bundle: Make) -> None:
    [found] = Detector.load(tiny_bundle()).detect([Image.new("L", (32, 32), 255)])
    assert len(found) == 3


def test_a_graph_that_is_not_ours_is_refused(tiny_bundle: Make, tiny_graph: Callable[..., bytes]) -> None:
    import onnx

    model = onnx.load_from_string(tiny_graph())
    model.graph.output[3].name = "count"
    model.graph.node[-1].output[0] = "count"
    with pytest.raises(IncompatibleError, match=r"outputs boxes, scores, labels, num, found .* count"):
        Detector.load(tiny_bundle(onnx=model.SerializeToString(), golden=False))


def test_labels_that_are_no_whole_numbers_are_refused(tiny_bundle: Make, tiny_graph: Callable[..., bytes]) -> None:
    import onnx

    model = onnx.load_from_string(tiny_graph())
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["whole" if name == "labels" else name for name in names]
    model.graph.node.append(onnx.helper.make_node("Cast", ["whole"], ["labels"], to=onnx.TensorProto.FLOAT))
    model.graph.output[2].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    with pytest.raises(IncompatibleError, match=r"expected labels of tensor\(int64\), found tensor\(float\)"):
        Detector.load(tiny_bundle(onnx=model.SerializeToString(), golden=False))


def test_a_size_other_than_the_graphs_is_refused(tiny_bundle: Make) -> None:
    with pytest.raises(IncompatibleError, match="the manifest says"):
        Detector.load(tiny_bundle(preprocess={"size": [64, 64]}, golden=False))


def test_a_label_that_the_manifest_does_not_have_is_refused(tiny_bundle: Make) -> None:
    detector = Detector.load(tiny_bundle(labels=["one", "two"], golden=False))
    with pytest.raises(IncompatibleError, match="the manifest has 2"):
        detector.detect([colour(255, 0, 0)])


def test_what_the_runtime_cannot_load_is_incompatible(tiny_bundle: Make, tiny_graph: Callable[..., bytes]) -> None:
    import onnx

    model = onnx.load_from_string(tiny_graph())
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(IncompatibleError, match="cannot load"):
        Detector.load(tiny_bundle(onnx=model.SerializeToString(), golden=False))


def test_bytes_that_are_no_onnx_are_refused(tiny_bundle: Make) -> None:
    with pytest.raises((IntegrityError, IncompatibleError)):
        Detector.load(tiny_bundle(onnx=b"this is not a model", golden=False))


def test_a_model_over_the_size_limit_is_refused(tiny_bundle: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = load_bundle(tiny_bundle())
    monkeypatch.setattr("scoring.onnxfile.MAX_BYTES", 100)
    with pytest.raises(IntegrityError, match="1 to 100 bytes"):
        Detector.load(bundle)


def test_a_failure_while_running_is_translated(tiny_bundle: Make) -> None:
    detector = Detector.load(tiny_bundle())
    wrong: Any = np.zeros((1, 4, 32, 32), np.float32)
    with pytest.raises(IncompatibleError, match="failed while running"):
        detector._graph.answer(wrong, 0.5)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "openvino"])
def test_a_provider_that_is_not_here_is_named_beside_those_that_are(tiny_bundle: Make, provider: str) -> None:
    import onnxruntime

    if PROVIDERS[provider] in onnxruntime.get_available_providers():
        pytest.skip(f"this machine has the {provider.upper()} provider")
    with pytest.raises(IncompatibleError, match=rf"no provider {provider} \(.*\); available: cpu") as caught:
        Detector.load(tiny_bundle(), provider=provider)
    assert "'cpu'" in caught.value.hint


def test_a_provider_that_nobody_knows_is_a_mistake_of_the_caller(tiny_bundle: Make) -> None:
    with pytest.raises(UsageError, match="cpu, cuda, tensorrt, openvino, found 'tpu'"):
        Detector.load(tiny_bundle(), provider="tpu")


@pytest.mark.filterwarnings("ignore:Specified provider")  # onnxruntime's own word for it
def test_a_provider_that_does_not_start_is_not_replaced_in_silence(
    tiny_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with an onnxruntime for CUDA and no driver: it lists the provider, then uses the CPU."""
    import onnxruntime

    here = onnxruntime.get_available_providers()
    if PROVIDERS["cuda"] in here:
        pytest.skip("this machine has the CUDA provider")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROVIDERS["cuda"], *here])
    with pytest.raises(IncompatibleError, match=r"CUDAExecutionProvider does not start here, .* CPUExecutionProvider"):
        Detector.load(tiny_bundle(), provider="cuda")


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_reach_the_runtime(tiny_bundle: Make, threads: int) -> None:
    session = Detector.load(tiny_bundle(), threads=threads)._graph.session
    assert session._runtime.get_session_options().intra_op_num_threads == threads


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("scores", float("nan"), "not finite"),
        ("scores", 1.5, "answers scores from .* to 2.5"),
        ("boxes", float("inf"), "not finite"),
        ("labels", 5, "answers label 7, the manifest has 3"),
        ("labels", -3, "answers label -3, the manifest has 3"),
        ("num", 9, r"with counts \[12\]"),
    ],
)
def test_nonsense_is_an_error_and_not_an_empty_answer(
    tiny_bundle: Make, tiny_graph: Callable[..., bytes], column: str, value: float, words: str
) -> None:
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load_from_string(tiny_graph())
    kind = np.float32 if column in ("scores", "boxes") else np.int64
    model.graph.initializer.append(numpy_helper.from_array(np.array(value, kind), "more"))
    for node in model.graph.node:
        for at, name in enumerate(node.output):
            if name == column:
                node.output[at] = "plain"
        for at, name in enumerate(node.input):
            if name == column:
                node.input[at] = "plain"
    model.graph.node.append(helper.make_node("Add", ["plain", "more"], [column]))
    detector = Detector.load(tiny_bundle(onnx=model.SerializeToString(), golden=False))
    with pytest.raises(IncompatibleError, match=words):
        detector.detect([colour(255, 255, 255)], score_threshold=0.1)


def test_a_changed_bundle_is_not_loaded(tiny_bundle: Make) -> None:
    folder = tiny_bundle()
    (folder / "labels.json").write_text("[]")
    with pytest.raises(IntegrityError, match=r"changed: labels\.json"):
        Detector.load(folder)
