"""POST /skill over real HTTP, as Search sends it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.scorer import Scored
from tests.scoring.search.serving import serving
from tests.scoring.server.running import Running

GOLDEN = Path(__file__).resolve().parents[2] / "contracts" / "skill"
KEYS = (b"first-key", b"second-key")
RED, GREEN = "red-cap", "green, cap"  # what the tiny model finds in the two pictures of the golden files


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from tests.scoring.conftest import make_bundle

    with serving(make_bundle(tmp_path_factory.mktemp("model") / "bundle"), keys=KEYS) as served:
        yield served


@pytest.fixture
def post(server: Running) -> Callable[..., Any]:
    return lambda body, path="/skill": server.post(path, body, x_api_key="first-key", content_type="application/json")


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def picture(index: int = 0) -> str:
    data: str = golden("request_file")["values"][index]["data"]["image"]["data"]
    return data


def batch(*data: Any) -> dict[str, Any]:
    return {"values": [{"recordId": str(index), "data": each} for index, each in enumerate(data)]}


@pytest.mark.parametrize("path", ["/skill", "/api/extraction"])
@pytest.mark.parametrize("name", ["file", "normalized_image", "base64", "images_single", "images_list", "pages"])
def test_every_request_shape_finds_the_same_objects(post: Callable[..., Any], name: str, path: str) -> None:
    answer = post(golden(f"request_{name}"), path)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert (answer.headers["x-model-name"], answer.headers["x-model-version"]) == ("Caps", "1")
    assert [record["recordId"] for record in answer.json["values"]] == ["0", "1"]
    assert [record["data"]["amllabel"] for record in answer.json["values"]] == [[RED], [GREEN]]
    assert all(record["errors"] is None for record in answer.json["values"])


def test_an_answer_says_where_and_how_sure(post: Callable[..., Any]) -> None:
    [record] = post(batch({"image": picture()})).json["values"]
    [found] = record["data"]["objects"]
    assert (found["label"], found["score"], record["data"]["objectCount"]) == (RED, 1.0, 1)
    assert found["box"] == {"topX": 0.5, "topY": 0.5, "bottomX": 1.0, "bottomY": 1.0}


def test_the_documented_sample_of_text_inputs_is_answered_record_by_record(post: Callable[..., Any]) -> None:
    """The batch of the Custom Web API skill's page has inputs that are no pictures: four errors, not a failure."""
    answer = post(golden("request_text_inputs"))
    assert answer.status == 200
    assert [record["recordId"] for record in answer.json["values"]] == ["0", "1", "2", "3"]
    for record in answer.json["values"]:
        assert (record["data"], record["errors"]) == ({}, [{"message": "'image' is missing"}])


def test_the_aml_skills_bare_object(post: Callable[..., Any]) -> None:
    answer = post(golden("request_bare"))
    assert (answer.status, answer.json["amllabel"], answer.json["objectCount"]) == (200, [RED], 1)
    refused = post({"text": "no picture"})  # as in the AML skill's sample
    assert (refused.status, refused.json["error"]["code"]) == (400, "bad_request")
    assert post({"image": base64.b64encode(b"no picture").decode()}).json["error"]["code"] == "not_an_image"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("request_*.json")), ids=lambda path: path.stem)
def test_requests_and_answers_are_as_the_interface_documents_them(server: Running, path: Path) -> None:
    body = json.loads(path.read_text())
    answer = server.post("/skill", body, x_api_key="first-key")
    document = server.get("/openapi.json").json
    for name, value in (("SkillRequest", body), ("SkillAnswer", answer.json)):
        if name == "SkillAnswer" or "values" in body:  # the bare object is the AML skill's, and documented in words
            schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
            jsonschema.Draft202012Validator(schema).validate(value)


def test_one_object_that_is_late_is_504_and_a_batch_is_answered(tiny_bundle: Callable[..., Path]) -> None:
    with serving(tiny_bundle(), skill_seconds=0.0) as served:
        late = served.post("/skill", golden("request_bare"))
        assert (late.status, late.json["error"]["code"]) == (504, "deadline_passed")
        [first, second] = served.post("/skill", golden("request_file")).json["values"]
        assert first["errors"] == second["errors"] == [{"message": "'image': not finished within 0 s"}]


def test_a_bad_record_never_fails_the_batch(post: Callable[..., Any]) -> None:
    no_picture = base64.b64encode(b"not a picture").decode()
    answer = post(batch({"image": picture()}, None, {}, {"image": "?"}, {"image": no_picture}, {"image": picture(1)}))
    assert answer.status == 200
    found = [record["data"].get("amllabel") for record in answer.json["values"]]
    assert found == [[RED], None, None, None, None, [GREEN]]
    assert all((record["errors"] is None) == bool(record["data"]) for record in answer.json["values"])


def test_ids_go_back_as_they_came(post: Callable[..., Any]) -> None:
    ids = ["é", 7, "\ud800", "a b"]
    body = {"values": [{"recordId": each, "data": {"image": picture()}} for each in ids]}
    assert [record["recordId"] for record in post(body).json["values"]] == ids


def test_a_thousand_records_in_one_request(post: Callable[..., Any]) -> None:
    pictures = [picture(index % 2) for index in range(1000)]
    answer = post(batch(*({"image": {"$type": "file", "data": each}} for each in pictures)))
    assert answer.status == 200
    values = answer.json["values"]
    assert [record["recordId"] for record in values] == [str(index) for index in range(1000)]
    assert [record["data"]["amllabel"] for record in values] == [[RED], [GREEN]] * 500


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (batch(*[{}] * 1001), "expected at most 1000 records a request, found 1001"),
        ({"values": [{"recordId": "0"}] * 1001}, "expected at most 1000 records a request, found 1001"),
        (batch(*[{"pages": [picture()] * 11}] * 91), "expected at most 1000 images a request, found 1001"),
    ],
    ids=["records", "of one id", "images"],
)
def test_more_than_a_thousand_is_413(post: Callable[..., Any], body: Any, message: str) -> None:
    answer = post(body)
    assert (answer.status, answer.json["error"]["message"]) == (413, message)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        ({"values": {}}, 400),
        ({"values": [{"data": {"image": ""}}]}, 400),  # a record without an id
        ({"values": [{"recordId": "0", "data": {}}, {"recordId": None, "data": {}}]}, 400),
    ],
)
def test_a_request_without_records_and_ids_is_400(post: Callable[..., Any], body: Any, status: int) -> None:
    answer = post(body)
    assert (answer.status, answer.json["error"]["code"]) == (status, "bad_request")
    assert answer.json["request_id"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([picture(), "?", "aGk="]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["values", "recordId", "data", "image", "pages", "$type", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(body=st.binary(max_size=40) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_whatever_is_sent_is_answered_or_refused(server: Running, body: bytes) -> None:
    answer = server.post("/skill", body, x_api_key="first-key", content_type="application/json")
    assert answer.status in (200, 400)
    assert answer.json if answer.status == 200 else answer.json["error"]["message"]


def test_only_json_is_taken(server: Running) -> None:
    answer = server.post("/skill", b"\xff\xd8", x_api_key="first-key", content_type="image/jpeg")
    assert (answer.status, answer.json["error"]["code"]) == (415, "unsupported_media_type")
    charset = server.post("/skill", batch(), x_api_key="first-key", content_type="application/json; charset=utf-8")
    assert charset.json == {"values": []}


@pytest.mark.parametrize(
    "header",
    [
        {"x_api_key": "second-key"},
        {"Ocp_Apim_Subscription_Key": "first-key"},
        {"Authorization": "Bearer first-key"},
    ],
)
@pytest.mark.parametrize("path", ["/skill", "/api/extraction"])
def test_a_key_in_any_of_three_headers(server: Running, header: dict[str, str], path: str) -> None:
    assert server.post(path, batch(), **header).status == 200


@pytest.mark.parametrize("header", [{}, {"x_api_key": "third-key"}, {"Authorization": "Basic first-key"}])
def test_a_wrong_or_missing_key_is_401(server: Running, header: dict[str, str]) -> None:
    for path in ("/skill", "/api/extraction"):
        answer = server.post(path, golden("request_file"), **header)
        assert (answer.status, answer.json["error"]["code"]) == (401, "unauthorized")


def test_a_body_over_the_limit_is_413(tiny_bundle: Callable[..., Path]) -> None:
    with serving(tiny_bundle(), max_body=1000) as served:
        assert served.post("/skill", batch()).status == 200
        assert served.post("/skill", batch({"image": "A" * 2000})).status == 413


def test_while_loading_search_is_told_to_try_again() -> None:
    with serving(None) as served:
        answer = served.post("/skill", batch({"image": picture()}))
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1


def test_a_full_queue_tells_search_to_try_again(tiny_bundle: Callable[..., Path]) -> None:
    with serving(tiny_bundle(), queue=0) as served:
        answer = served.post("/skill", batch({"image": picture()}))
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) >= 1


def test_finished_records_are_answered_when_the_time_is_over(
    tiny_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second picture takes until the answer is there; nothing waits for it."""
    from scoring.server import service

    score, answered = service.score_image, threading.Event()
    slow = base64.b64decode(picture(1))

    def stuck(detector: Any, image: bytes, **options: Any) -> Scored:
        if image == slow:
            answered.wait(timeout=30)
        return score(detector, image, **options)

    monkeypatch.setattr(service, "score_image", stuck)
    with serving(tiny_bundle(), skill_seconds=1.0, workers=1) as served:
        first, second, third = served.post(
            "/skill", batch({"image": picture()}, {"image": picture(1)}, {"image": picture()})
        ).json["values"]
        answered.set()
    assert (first["data"]["amllabel"], first["errors"]) == ([RED], None)
    for late in (second, third):
        assert (late["data"], late["errors"]) == ({}, [{"message": "'image': not finished within 1 s"}])
