"""What is saved comes back to the bit, and what is damaged is told, not loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model_training.algorithms import build
from model_training.errors import IntegrityError, NotFoundError, StorageError
from model_training.training.checkpoint import load_detector, load_state, save_detector, save_state
from model_training.training.ema import Average

ABOUT = {
    "algorithm": "yolov5",
    "model_size": "nano",
    "image_size": 64,
    "labels": ["a", "b"],
    "hyperparameters": {"x": 1},
}


def _model() -> torch.nn.Module:
    model: torch.nn.Module = build("yolov5", classes=2, model_size="nano").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def _step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    loss = model.train()(torch.rand(2, 3, 64, 64)).boxes.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_training_goes_on_from_a_state_as_if_nothing_had_happened(
    tmp_path: Path, kind: type[torch.optim.Optimizer]
) -> None:
    more = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    torch.manual_seed(1)
    model = _model()
    average, optimizer = Average(model), kind(model.parameters(), lr=0.01, **more)  # type: ignore[call-arg]
    _step(model, optimizer)
    average.update(model)
    other = _model()
    save_state(tmp_path / "last.safetensors", model, average, optimizer, {"epoch": 3})
    other_average, other_optimizer = Average(other), kind(other.parameters(), lr=0.01, **more)  # type: ignore[call-arg]
    _step(model, optimizer)
    average.update(model)
    assert load_state(tmp_path / "last.safetensors", other, other_average, other_optimizer)["epoch"] == 3
    _step(other, other_optimizer)  # draws the same pictures: torch's random state came back too
    other_average.update(other)
    assert all(value.equal(other.state_dict()[name]) for name, value in model.state_dict().items())
    assert all(v.equal(other_average.model.state_dict()[n]) for n, v in average.model.state_dict().items())


def test_a_detector_comes_back_with_all_it_needs(tmp_path: Path) -> None:
    model = _model().eval()
    save_detector(tmp_path / "best.safetensors", model, ABOUT)
    detector = load_detector(tmp_path / "best.safetensors")
    assert (detector.labels, detector.image_size, detector.algorithm) == (("a", "b"), 64, "yolov5")
    assert detector.hyperparameters == {"x": 1}
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(model(images), detector.model(images), strict=True))


@pytest.mark.parametrize("keep", [0, 7, 100, 100_000])  # nothing, part of the length, of the header, of the tensors
def test_a_cut_off_file_is_told(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "best.safetensors"
    save_detector(path, _model(), ABOUT)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(IntegrityError, match="damaged"):
        load_detector(path)


def test_other_weights_and_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    save_detector(path, _model(), {**ABOUT, "labels": ["a", "b", "c"]})
    with pytest.raises(IntegrityError, match="does not hold a detector"):
        load_detector(path)
    with pytest.raises(NotFoundError):
        load_detector(tmp_path / "nothing.safetensors")


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        save_detector(tmp_path / "file" / "best.safetensors", _model(), ABOUT)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_average_follows_and_forgets_slowly() -> None:
    model = _model()
    average = Average(model)
    name = "heads.0.box.1.bias"
    with torch.no_grad():
        model.get_parameter(name).fill_(3.0)
    seen = []
    for _ in range(60):
        average.update(model)
        seen.append(float(average.model.get_parameter(name)[0]))
    assert 2.0 < seen[0] < seen[1] < seen[10] < 3.0
    assert seen[-1] == pytest.approx(3.0, abs=0.01)
