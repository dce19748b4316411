"""MLflow's routes over real HTTP; MLflow's own server says the same about the same bundle."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.scoring.server.running import Running, served

Serve = Callable[..., Running]
Png = Callable[..., bytes]


def bodies(*images: bytes) -> dict[str, Any]:
    """One request in each of MLflow's formats."""
    texts = [base64.b64encode(image).decode() for image in images]
    rows = [{"image": text} for text in texts]
    return {
        "split": {"dataframe_split": {"columns": ["image"], "data": [[text] for text in texts]}},
        "records": {"dataframe_records": rows},
        "column": {"inputs": {"image": texts}},
        "rows": {"inputs": texts},
        "instances": {"instances": rows},
    }


@pytest.mark.parametrize("name", list(bodies()))
def test_the_predictions_are_those_of_score(serve: Serve, png: Png, name: str) -> None:
    server = serve()
    images = (png(), b"not an image", png((10, 10, 200)))
    elements = server.post("/score", {"data": [base64.b64encode(image).decode() for image in images]})
    answer = server.post("/invocations", bodies(*images)[name])
    assert (answer.status, answer.json) == (200, {"predictions": elements.json})
    assert answer.headers["x-model-name"] == "Caps"


def test_ping_and_version(serve: Serve) -> None:
    server, empty = serve(keys=(b"correct horse battery",)), serve(model=None)
    assert (server.get("/ping").status, server.get("/ping").body) == (200, b"\n")
    assert empty.get("/ping").status == 503
    assert server.get("/version").status == 401
    assert server.get("/version", x_api_key="correct horse battery").body.decode() == version("cv-accelerator")


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"inputs":["@"]}', "application/json", 400),
        (b"image\nYWJj", "text/csv", 415),
        (b"", "", 415),
    ],
)
def test_what_is_refused(serve: Serve, content: bytes, kind: str, status: int) -> None:
    answer = serve().post("/invocations", content, content_type=kind)
    assert (answer.status, bool(answer.json["error"]["hint"])) == (status, True)


def test_limits_and_no_model(serve: Serve, png: Png) -> None:
    body = bodies(png(), png())["split"]
    assert serve(max_images=1).post("/invocations", body).status == 413
    assert serve(model=None).post("/invocations", body).status == 503
    assert serve(keys=(b"correct horse battery",)).post("/invocations", body).status == 401


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning")  # mlflow's and its libraries'
def test_mlflows_own_server_gives_the_same_predictions(serve: Serve, png: Png, tiny_bundle: Any) -> None:
    """Its scoring server, asked in process, with the bundle that packaging writes."""
    from mlflow.pyfunc import load_model
    from mlflow.pyfunc.scoring_server import invocations

    from model_training.packaging.companions import write_companions
    from scoring.bundle import write_manifest
    from tests.scoring.conftest import LABELS, manifest

    folder: Path = tiny_bundle("packaged")
    write_companions(folder, labels=LABELS, settings={}, per_label={})
    write_manifest(folder, manifest())
    server, theirs = serve(model=served(folder)), load_model(str(folder))
    images = (png(), png((10, 10, 200)))
    for name in ("split", "records", "column", "instances"):
        body = bodies(*images)[name]
        said = invocations(json.dumps(body), "application/json", theirs, theirs.metadata.get_input_schema())
        assert (said.status, said.mimetype) == (200, "application/json")
        assert json.loads(said.response) == server.post("/invocations", body).json
