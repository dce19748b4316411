"""What runs in a bundle: the code it carries is whole and no more, leaves no file behind, answers files and requests.

The real inference server is in test_entry_server.py.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import scoring
from model_training.packaging.companions import CODE, ENTRY, SCORING, write_companions
from scoring.bundle import load_bundle, write_manifest
from scoring.edge.signing import Release
from scoring.files import sha256_of
from tests.scoring.conftest import LABELS, manifest
from tests.scoring.conftest import make_bundle as tiny

PACKAGE = Path(scoring.__file__).resolve().parent


def bundle_in(folder: Path, **changes: Any) -> Path:
    """The tiny bundle with all that packaging puts beside a model."""
    made = tiny(folder, **changes)
    write_companions(made, labels=LABELS, settings={}, per_label={})
    write_manifest(made, manifest(**changes))
    return made


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_in(tmp_path_factory.mktemp("model") / "bundle")


def png(colour: tuple[int, int, int] = (255, 0, 0), size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def python(code: str, *arguments: object, path: tuple[Path, ...] = (), **environ: str) -> Any:
    """The last line that an interpreter prints, as JSON. It sees nothing but `path` and the standard library."""
    whole = f"import sys; sys.path[:0] = {[str(each) for each in path]!r}\n{code}"
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "AZUREML"))}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", whole, *map(str, arguments)],
        env=surroundings | environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with numpy, Pillow and ONNX Runtime and nothing else that is installed."""
    import numpy

    home = tmp_path_factory.mktemp("packages")
    for name in ("numpy", "numpy.libs", "PIL", "pillow.libs", "onnxruntime"):
        source = Path(str(numpy.__file__)).parents[1] / name
        if source.exists():
            (home / name).symlink_to(source)
    return home


def imported(path: Path) -> Iterator[str]:
    """The modules of `scoring` that a file imports at run time, wherever in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in typing_only:
            yield from (str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.Import) and id(node) not in typing_only:
            yield from (alias.name for alias in node.names)


def needed() -> set[str]:
    """Files of `scoring` that the bundle's scripts reach by importing."""
    scripts = Path(__file__).resolve().parents[2] / "model_training" / "packaging" / "entry"
    waiting = [scripts / name for name in (ENTRY, *CODE)]
    found = {PACKAGE / "__init__.py"}
    while waiting:
        for name in imported(waiting.pop()):
            parts = name.split(".")
            if parts[0] != "scoring":
                continue
            candidates = [PACKAGE.joinpath(*parts[1:]).with_suffix(".py") if parts[1:] else PACKAGE / "__init__.py"]
            candidates += [PACKAGE.joinpath(*parts[1:at], "__init__.py") for at in range(1, len(parts) + 1)]
            new = [path for path in candidates if path.is_file() and path not in found]
            found.update(new)
            waiting += new
    return {path.relative_to(PACKAGE).as_posix() for path in found}


def test_the_code_is_what_the_scripts_import_and_no_more() -> None:
    assert needed() == set(SCORING) - {"py.typed"}, "SCORING in companions.py must list what a bundle's code imports"


RUN = """
import json, score
score.init()
answers = [score.run(request) for request in sys.argv[1:]]
ours = sorted(name for name in sys.modules if name.split(".")[0] == "scoring")
homes = sorted({str(sys.modules[name].__file__) for name in ours})
print(json.dumps({"answers": answers, "modules": ours, "homes": homes}))
"""


def test_it_runs_with_nothing_else_installed(bundle: Path, packages: Path) -> None:
    request = json.dumps({"data": [base64.b64encode(png()).decode()]})
    said = python(RUN, request, "[]", path=(bundle, packages))
    assert [box["label"] for box in said["answers"][0][0]["boxes"]] == ["red-cap"]
    error = said["answers"][1]["error"]
    assert error["code"] == "bad_request" and "expected a JSON object" in error["message"]
    assert all(home.startswith(str(bundle / "code" / "scoring")) for home in said["homes"])
    # all of it is imported by init: nothing is left that could be missing, or be cached, later on
    modules = {
        name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in SCORING if name != "py.typed"
    }
    assert set(said["modules"]) == {"scoring" if name == "__init__" else f"scoring.{name}" for name in modules}


def test_no_file_is_left_in_a_verified_folder(bundle: Path, packages: Path) -> None:
    python(RUN, json.dumps({"data": []}), path=(bundle, packages))
    load_bundle(bundle)


@pytest.mark.parametrize("inside", [".", "bundle", "name/7"])
def test_the_bundle_that_azure_has_mounted(tmp_path: Path, packages: Path, inside: str) -> None:
    mount = tmp_path / "mount"
    model = bundle_in(mount / inside if inside != "." else mount, name="Mounted")
    code = tmp_path / "code"
    code.mkdir()
    (code / "score.py").write_bytes((model / "score.py").read_bytes())
    said = python(
        "import json, score; score.init(); print(json.dumps(score.MODEL.name))",
        path=(code, packages), AZUREML_MODEL_DIR=str(mount),
    )  # fmt: skip
    assert said == "Mounted"
    load_bundle(model)


TRY = """
import json, score
try:
    score.init()
except Exception as error:
    print(json.dumps(f"{type(error).__name__}: {error}"))
"""


def test_no_bundle_or_two_are_said(tmp_path: Path, bundle: Path, packages: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "score.py").write_bytes((bundle / "score.py").read_bytes())
    mount = tmp_path / "mount"
    said = python(TRY, path=(code, packages), AZUREML_MODEL_DIR=str(mount))
    assert "expected a bundle" in said and str(mount) in said
    for name in ("a", "b"):
        bundle_in(mount / name)
    assert "expected one bundle" in python(TRY, path=(code, packages), AZUREML_MODEL_DIR=str(mount))


def test_a_changed_bundle_is_not_loaded(tmp_path: Path, packages: Path) -> None:
    model = bundle_in(tmp_path / "bundle")
    (model / "labels.json").write_text("[]")
    assert "IntegrityError: labels.json" in python(TRY, path=(model, packages))


BATCH = """
import json, logging, score
logging.basicConfig(stream=sys.stderr)
score.init()
rows = score.run(sys.argv[1:])
print(json.dumps({"rows": rows, "types": sorted({type(row).__name__ for row in rows})}))
"""


def test_a_mini_batch_is_answered_with_a_row_for_each_file_that_could_be_scored(
    bundle: Path, packages: Path, tmp_path: Path
) -> None:
    for name, data in (("a.png", png()), ("b.png", b"no image"), ("c.png", png((0, 0, 255)))):
        (tmp_path / name).write_bytes(data)
    files = [tmp_path / name for name in ("a.png", "b.png", "none.png", "c.png")]
    said = python(BATCH, *files, path=(bundle, packages))
    rows = [json.loads(text) for text in said["rows"]]
    assert said["types"] == ["str"] and all("\n" not in text for text in said["rows"])
    assert [row["filename"] for row in rows] == [str(files[0]), str(files[3])]
    assert [[box["label"] for box in row["boxes"]] for row in rows] == [["red-cap"], ["blue cap"]]
    assert list(rows[0]) == ["filename", "sha256", "width", "height", "model", "boxes", "error", "ms"]
    assert rows[0]["model"] == "Caps"


def test_a_registered_bundle_says_its_version_in_rows(packages: Path, tmp_path: Path) -> None:
    model = bundle_in(tmp_path / "bundle")
    release = Release("Caps", 7, sha256_of(model / "manifest.json"), "2026-05-01T10:00:00Z")
    (model / "release.json").write_bytes(release.to_bytes())
    (tmp_path / "a.png").write_bytes(png())
    [row] = python(BATCH, tmp_path / "a.png", path=(model, packages))["rows"]
    assert json.loads(row)["model"] == "Caps:7"


# Below, the scripts run in this process, where `scoring` is the package itself: the same files.


@pytest.fixture
def modules(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.SimpleNamespace]:
    import importlib

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(bundle / "code"))
    names = [name.removesuffix(".py") for name in CODE]
    loaded = {name: importlib.import_module(name) for name in names}
    yield types.SimpleNamespace(**loaded, model=loaded["cva_bundle"].load(bundle))
    for name in names:
        sys.modules.pop(name)


class Request:
    """What the inference server's request has."""

    def __init__(self, body: bytes, kind: str = "image/png", **changes: Any) -> None:
        self.method = changes.get("method", "POST")
        self.headers = {"Content-Type": kind, **changes.get("headers", {})}
        self.stream = io.BytesIO(body)
        self.args = types.SimpleNamespace(getlist=lambda name: changes.get("threshold", []))


def test_the_tables_are_the_servers(modules: types.SimpleNamespace) -> None:
    """The bundle cannot import the server; the two must agree on every type, status and limit."""
    from scoring.server import http
    from scoring.server.routes import score
    from scoring.server.settings import ServeSettings

    settings = ServeSettings()
    ours = modules.cva_http
    assert score.RAW == ours.RAW
    assert http._IMAGE_STATUS == ours.IMAGE_STATUS
    assert {code: http._CODES[code] for code in ours.CODES} == ours.CODES
    assert (settings.max_body, settings.max_images) == (ours.MAX_BODY, ours.MAX_IMAGES)


def test_a_body_is_not_read_past_its_limit(modules: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules.cva_http, "MAX_BODY", 1000)
    for headers in ({"Content-Length": "5000"}, {}):
        request = Request(bytes(5000), headers=headers)
        reply = modules.cva_http.reply(modules.model, request)
        assert reply.status == 413 and b"at most 1000 bytes" in reply.body


def test_too_many_images(modules: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules.cva_http, "MAX_IMAGES", 2)
    body = json.dumps({"data": [""] * 3}).encode()
    reply = modules.cva_http.reply(modules.model, Request(body, "application/json"))
    assert reply.status == 413 and b"max_images" in reply.body


def test_a_fault_of_our_own_says_nothing_of_its_reasons(
    modules: types.SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def score(self, image: bytes, threshold: float | None) -> None:
            raise RuntimeError("secret reason")

    reply = modules.cva_http.reply(Broken(), Request(png()), "r-1")
    assert reply.status == 500
    assert set(json.loads(reply.body)) == {"message", "request_id"} and b"secret" not in reply.body
    assert "secret reason" in caplog.text


def test_threads_get_their_own_answers(modules: types.SimpleNamespace) -> None:
    colours = {"red-cap": (255, 0, 0), "green, cap": (0, 255, 0), "blue cap": (0, 0, 255)}
    wrong: list[str] = []

    def ask(label: str) -> None:
        for _ in range(20):
            reply = modules.cva_http.reply(modules.model, Request(png(colours[label])))
            found = [box["label"] for box in json.loads(reply.body)[0]["boxes"]]
            if found != [label]:
                wrong.append(f"{label}: {found}")

    threads = [threading.Thread(target=ask, args=(label,)) for label in colours]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_mlflow_leaves_no_file(bundle: Path) -> None:
    code = (
        "import json, sys, warnings\nwarnings.simplefilter('ignore')\nimport mlflow.pyfunc, pandas\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "print(json.dumps(model.predict(pandas.DataFrame({'image': [sys.argv[2]]}))))"
    )
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle), base64.b64encode(png()).decode()],
        cwd=bundle.parent, env=surroundings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])[0]["boxes"][0]["label"] == "red-cap"
    load_bundle(bundle)
