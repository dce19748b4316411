"""The Open Inference Protocol's routes over real HTTP."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.scoring.server.running import Running

Serve = Callable[..., Running]
Png = Callable[..., bytes]
KEY = "correct horse battery"


def tensor(*images: bytes, **changes: Any) -> dict[str, Any]:
    data = [base64.b64encode(image).decode() for image in images]
    return {"inputs": [{"name": "image", "shape": [len(data)], "datatype": "BYTES", "data": data, **changes}]}


def outputs(answer: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["data"] for each in answer["outputs"]}


@pytest.mark.parametrize("base", ["/v2/models/Caps", "/v2/models/Caps/versions/1"])
def test_the_tensors_say_what_score_says(serve: Serve, png: Png, base: str) -> None:
    server = serve()
    images = [png(), b"not an image", png((10, 10, 200))]
    data = [base64.b64encode(image).decode() for image in images]
    elements = server.post("/score", {"data": data}).json
    answer = server.post(f"{base}/infer", {**tensor(*images), "id": "a"})
    assert answer.status == 200
    found, most = outputs(answer.json), max(len(each["boxes"]) for each in elements)
    assert (answer.json["model_name"], answer.json["model_version"], answer.json["id"]) == ("Caps", "1", "a")
    assert found["num"] == [len(each["boxes"]) for each in elements]
    for number, element in enumerate(elements):
        row = slice(number * most, number * most + len(element["boxes"]))
        assert found["labels"][row] == [each["label"] for each in element["boxes"]]
        assert found["scores"][row] == [each["score"] for each in element["boxes"]]
        assert found["boxes"][row.start * 4 : row.stop * 4] == [
            side for each in element["boxes"] for side in each["box"].values()
        ]
        assert found["errors"][number] == element.get("error", {}).get("message", "")
    assert found["errors"][1]


def test_metadata_describes_what_infer_takes_and_gives(serve: Serve, png: Png) -> None:
    server = serve()
    described = server.get("/v2/models/Caps").json
    assert (described["name"], described["versions"], described["platform"]) == ("Caps", ["1"], "onnxruntime_onnx")
    assert [each["name"] for each in described["inputs"]] == ["image"]
    sent = server.post("/v2/models/Caps/infer", tensor(png())).json["outputs"]
    assert [(each["name"], each["datatype"]) for each in sent] == [
        (each["name"], each["datatype"]) for each in described["outputs"]
    ]
    assert set(server.get("/v2").json) == {"name", "version", "extensions"}
    assert server.get("/v2/models/Caps/ready").json == {"name": "Caps", "ready": True}
    assert server.get("/v2/models/Caps/versions/1/ready").status == 200


def test_health_without_a_model_and_without_a_key(serve: Serve) -> None:
    empty, locked = serve(model=None), serve(keys=(KEY.encode(),))
    assert (empty.get("/v2/health/live").status, empty.get("/v2/health/live").json) == (200, {"live": True})
    not_ready = empty.get("/v2/health/ready")
    assert (not_ready.status, not_ready.json, not_ready.headers["retry-after"]) == (503, {"ready": False}, "2")
    assert locked.get("/v2/health/ready").json == {"ready": True}
    for path in ("/v2", "/v2/models/Caps", "/v2/models/Caps/ready"):
        assert locked.get(path).status == 401
    assert locked.post("/v2/models/Caps/infer", tensor(b"")).status == 401
    assert locked.get("/v2/models/Caps", x_api_key=KEY).status == 200


@pytest.mark.parametrize("path", ["/v2/models/Other", "/v2/models/Caps/versions/2", "/v2/models/caps/ready"])
def test_another_model_is_not_found(serve: Serve, path: str) -> None:
    answer = serve().get(path)
    assert answer.status == 404
    assert "Caps:1" in answer.json["error"]


def test_errors_are_the_protocols_texts(serve: Serve, png: Png) -> None:
    server = serve()
    for body, words in [
        (tensor(png(), datatype="FP32"), "BYTES"),
        (tensor(png(), shape=[2]), "shape"),
        ({"inputs": []}, "one tensor"),
        (tensor(png(), parameters={"binary_data_size": 9}), "binary"),
    ]:
        answer = server.post("/v2/models/Caps/infer", body)
        assert answer.status == 400
        assert words in answer.json["error"]
    wrong = server.post("/v2/models/Caps/infer", png(), content_type="image/png")
    assert (wrong.status, type(wrong.json["error"])) == (415, str)
    missing = server.post("/v2/models/Other/infer", tensor(png()))
    assert missing.status == 404


def test_the_binary_extension_is_refused(serve: Serve, png: Png) -> None:
    answer = serve().post("/v2/models/Caps/infer", tensor(png()), inference_header_content_length="10")
    assert answer.status == 400
    assert "binary_data=False" in answer.json["error"]


def test_limits_and_no_model(serve: Serve, png: Png) -> None:
    assert serve(max_images=1).post("/v2/models/Caps/infer", tensor(png(), png())).status == 413
    assert serve(max_body=50).post("/v2/models/Caps/infer", tensor(png())).status == 413
    waiting = serve(model=None).post("/v2/models/Caps/infer", tensor(png()))
    assert (waiting.status, "retry-after" in waiting.headers, type(waiting.json["error"])) == (503, True, str)


def test_a_threshold_of_ones_own(serve: Serve, png: Png) -> None:
    server, square = serve(), png(size=(40, 40))
    found = [
        outputs(server.post(f"/v2/models/Caps/infer?threshold={each}", tensor(square)).json)["num"]
        for each in (0, 0.65, 1)
    ]
    assert found == [[3], [1], [0]]
