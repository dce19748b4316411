"""What a device installs is all that scoring imports, by reading the source and by running it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import scoring

PACKAGE = Path(scoring.__file__).resolve().parent
ALLOWED = {"scoring", "numpy", "PIL", "onnxruntime", "yaml", "cryptography"} | set(sys.stdlib_module_names)
SERVER = {"fastapi", "starlette", "uvicorn", "httptools", "prometheus_client", "orjson"}  # in scoring/server alone
FASTER = {"orjson", "pybase64"}  # in scoring/wire.py, which does without: a bundle's requirements name neither
HEAVY = ("model_training", "torch", "mlflow", "azure", "cv2", "onnx", "optuna", "pandas")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_what_a_device_has_is_imported(path: Path) -> None:
    more = SERVER if path.is_relative_to(PACKAGE / "server") else FASTER if path.name == "wire.py" else set()
    assert set(imports(path)) <= ALLOWED | more


def test_nothing_heavy_is_loaded_when_everything_is_imported() -> None:
    modules = sorted(
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    )
    script = (
        f"import sys, {', '.join(modules)}\nimport onnxruntime\n"
        f"found = [name for name in {HEAVY!r} if name in sys.modules]\nsys.exit(', '.join(found) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_lines_modules_load_no_numbers_library() -> None:
    """`cva score --help` must start at once."""
    script = (
        "import sys, scoring.cli; scoring.cli.parser()\n"
        "sys.exit(', '.join({'numpy', 'PIL', 'onnxruntime'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_public_names() -> None:
    assert scoring.__all__ == ["Detector", "load_bundle", "open_image"]
    assert all(callable(getattr(scoring, name)) for name in scoring.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        scoring.nothing  # noqa: B018
