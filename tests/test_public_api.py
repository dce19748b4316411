"""The public surface is this list; heavy libraries are imported where they are used."""

import json
import subprocess
import sys

import pytest

import model_training
import scoring


def test_the_public_names_exist() -> None:
    assert sorted(model_training.__all__) == ["Workspace", "load_job", "train_and_register"]
    assert {"Detector", "load_bundle"} <= set(scoring.__all__)
    for module in (model_training, scoring):
        for name in module.__all__:
            assert callable(getattr(module, name))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = model_training.nothing_here


HEAVY = {"torch", "mlflow", "cv2", "optuna", "onnx", "numpy", "matplotlib", "pandas", "azure", "yaml", "PIL"}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["nonsense"]])
def test_the_command_line_starts_without_heavy_libraries(words: list[str]) -> None:
    code = (
        "import sys, json; from model_training.cli.main import main; main(sys.argv[1:]);"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1]))
