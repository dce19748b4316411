"""Applying the definitions to a search service over real HTTP: what is sent, when, and what is said of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from scoring.errors import ConflictError, CvaError, NotFoundError, OfflineError, UnavailableError, UsageError
from scoring.search.client import Credential, SearchClient
from scoring.search.definitions import KINDS, Plan, definitions
from scoring.search.setup import Change, apply
from tests.scoring.search.fake_service import KEY, TOKEN, FakeService
from tests.scoring.search.test_definitions import IDENTITY, PLANS, STORAGE, plan


def client(service: FakeService, key: str = KEY, **options: Any) -> SearchClient:
    waits: list[float] = options.pop("waits", [])
    return SearchClient(service.url, Credential("api-key", key), sleep=waits.append, **options)


def applied(service: FakeService, wanted: Plan, *, force: bool = False) -> list[Change]:
    return list(apply(client(service), definitions(wanted), force=force))


def states(changes: list[Change]) -> list[str]:
    return [each.state for each in changes]


@pytest.mark.parametrize("hides_headers", [False, True])
@pytest.mark.parametrize("changes", PLANS, ids=lambda each: ",".join(each) or "default")
def test_twice_changes_nothing(service: FakeService, changes: dict[str, Any], hides_headers: bool) -> None:
    service.hides_headers = hides_headers
    first = applied(service, plan(**changes))
    assert states(first) == ["created"] * 4
    assert service.puts == [f"/{each.kind}('{each.name}')" for each in first]
    assert [each.kind for each in first] == list(KINDS)
    before = copy.deepcopy(service.resources)
    assert states(applied(service, plan(**changes))) == ["unchanged"] * 4
    assert len(service.puts) == 4
    assert service.resources == before


def test_only_what_differs_is_sent_and_named(service: FakeService) -> None:
    applied(service, plan())
    changed = applied(service, plan(batch_size=4, every=60))
    assert states(changed) == ["unchanged", "unchanged", "updated", "updated"]
    assert [each.differing for each in changed[2:]] == [("skills[0].batchSize",), ("schedule",)]
    assert service.resources["skillsets"]["caps-skills"]["skills"][0]["batchSize"] == 4
    back = applied(service, plan())
    assert [each.differing for each in back[2:]] == [("skills[0].batchSize",), ("schedule",)]
    assert service.resources["indexers"]["caps-run"]["schedule"] is None


def test_another_storage_account_is_seen_although_the_service_hides_the_connection(service: FakeService) -> None:
    applied(service, plan())
    other = STORAGE.replace("pics", "others")
    assert states(applied(service, plan(storage=other)))[0] == "updated"
    sent = service.resources["datasources"]["caps-pictures"]["credentials"]["connectionString"]
    assert sent == f"ResourceId={other};"


def test_a_new_key_is_seen_where_the_service_shows_keys_and_forced_where_it_hides_them(service: FakeService) -> None:
    applied(service, plan(skill_key="one"))
    assert states(applied(service, plan(skill_key="two")))[2] == "updated"
    service.hides_headers = True
    assert states(applied(service, plan(skill_key="three"))) == ["unchanged"] * 4
    assert states(applied(service, plan(skill_key="three"), force=True)) == ["updated"] * 4
    assert service.resources["skillsets"]["caps-skills"]["skills"][0]["httpHeaders"] == {"x-api-key": "three"}


def test_from_a_key_to_a_token_leaves_no_key_behind(service: FakeService) -> None:
    applied(service, plan(skill_key="one"))
    assert states(applied(service, plan(skill_audience="api://skill")))[2] == "updated"
    assert service.resources["skillsets"]["caps-skills"]["skills"][0]["httpHeaders"] == {}


def test_an_identity_is_taken_back(service: FakeService) -> None:
    own = {"identity": IDENTITY, "skill_audience": "api://skill"}
    applied(service, plan(**own))
    changed = applied(service, plan(skill_audience="api://skill"))
    assert [each.differing for each in changed] == [("identity",), (), ("skills[0].authIdentity",), ()]
    assert service.resources["datasources"]["caps-pictures"]["identity"] is None
    assert service.resources["skillsets"]["caps-skills"]["skills"][0]["authIdentity"] is None
    assert states(applied(service, plan(skill_audience="api://skill"))) == ["unchanged"] * 4


def test_what_people_added_to_the_index_stays(service: FakeService) -> None:
    applied(service, plan())
    index = service.resources["indexes"]["caps"]
    mine = {"name": "note", "type": "Edm.String", "searchable": True}
    index["fields"].insert(0, mine)
    index["suggesters"] = [{"name": "s", "searchMode": "analyzingInfixMatching", "sourceFields": ["note"]}]
    assert states(applied(service, plan())) == ["unchanged"] * 4
    assert states(applied(service, plan(), force=True)) == ["updated"] * 4
    stored = service.resources["indexes"]["caps"]
    assert mine in stored["fields"]
    assert stored["suggesters"][0]["name"] == "s"


def test_a_field_that_cannot_be_changed_is_told_in_the_services_words(service: FakeService) -> None:
    applied(service, plan())
    with pytest.raises(CvaError, match=r"PUT /indexes\('caps'\): 400 existing field 'objectCount' cannot be changed"):
        applied(service, plan(per_image=True))


def test_somebody_elses_change_in_between_is_not_lost(service: FakeService) -> None:
    applied(service, plan())
    with pytest.raises(ConflictError) as caught:
        client(service).put("indexers", "caps-run", definitions(plan(every=60))["indexers"], etag='"old"')
    assert "412" in caught.value.message
    assert service.resources["indexers"]["caps-run"]["schedule"] is None


def test_what_is_replaced_is_what_was_read(service: FakeService) -> None:
    applied(service, plan())
    tag = service.resources["indexers"]["caps-run"]["@odata.etag"]
    applied(service, plan(every=60))
    assert [headers.get("if-match") for method, _, headers in service.requests if method == "PUT"] == [None] * 4 + [tag]


def test_a_header_that_somebody_added_to_the_skill_goes(service: FakeService) -> None:
    applied(service, plan())
    skill = service.resources["skillsets"]["caps-skills"]["skills"][0]
    skill["httpHeaders"] = {**skill["httpHeaders"], "x-other": "1"}
    assert applied(service, plan())[2].differing == ("skills[0].httpHeaders",)
    assert set(service.resources["skillsets"]["caps-skills"]["skills"][0]["httpHeaders"]) == {"x-api-key"}


def test_a_busy_service_is_asked_again_as_late_as_it_says(service: FakeService) -> None:
    service.failing = [(503, {"Retry-After": "7"}, b""), (429, {"Retry-After": "9999"}, b""), (429, {}, b"busy")]
    waits: list[float] = []
    changes = list(apply(client(service, waits=waits), definitions(plan())))
    assert (states(changes), waits) == (["created"] * 4, [7, 30, 8])


def test_a_service_that_stays_busy_is_given_up(service: FakeService) -> None:
    service.failing = [(503, {}, b"")] * 5
    with pytest.raises(UnavailableError, match="503"):
        client(service).get("indexes", "caps")
    assert len(service.requests) == 5


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, CvaError),
        (401, UsageError),
        (403, UsageError),
        (404, NotFoundError),
        (409, ConflictError),
        (500, CvaError),
    ],
)
def test_errors_have_the_services_own_message_and_never_a_key(
    service: FakeService, status: int, error: type[CvaError]
) -> None:
    text = f'{{"error":{{"code":"","message":"no: {KEY} and the-skill-key\\nin two lines"}}}}'
    service.failing = [(status, {}, text.encode())]
    with pytest.raises(error) as caught:
        client(service, secrets=("the-skill-key",)).run("caps-run")
    assert caught.value.message == f"POST /indexers('caps-run')/search.run: {status} no: *** and *** in two lines"
    assert caught.value.hint


def test_an_error_without_a_message_still_says_its_status(service: FakeService) -> None:
    service.failing = [(502, {}, b"<html>")]
    with pytest.raises(CvaError, match="502"):
        client(service).get("indexes", "caps")


def test_a_wrong_key_is_refused(service: FakeService) -> None:
    with pytest.raises(UsageError, match="403") as caught:
        client(service, key="wrong").get("indexes", "caps")
    assert "CVA_SEARCH_KEY" in caught.value.hint


def test_a_redirect_takes_no_key_elsewhere(service: FakeService) -> None:
    service.failing = [(307, {"Location": f"{service.url}/indexes('other')"}, b"")]
    with pytest.raises(CvaError, match="307"):
        client(service).get("indexes", "caps")
    assert len(service.requests) == 1


def test_a_service_that_is_not_there_is_offline() -> None:
    with pytest.raises(OfflineError, match="cannot be reached"):
        SearchClient("http://127.0.0.1:9", Credential("api-key", KEY)).get("indexes", "caps")


def test_an_answer_that_is_not_json_is_told(service: FakeService) -> None:
    service.failing = [(200, {}, b"<html>")]
    with pytest.raises(CvaError, match="expected JSON"):
        client(service).get("indexes", "caps")


@pytest.mark.parametrize(
    "url", ["http://caps.search.windows.net", "https://caps.search.windows.net/indexes", "caps", "https://k@x"]
)
def test_keys_go_over_tls_alone(url: str) -> None:
    with pytest.raises(UsageError, match="--service"):
        SearchClient(url, Credential("api-key", KEY))


@pytest.mark.parametrize(
    ("environment", "header"),
    [
        ({"CVA_SEARCH_KEY": f" {KEY}\n"}, ("api-key", KEY)),
        ({"CVA_SEARCH_TOKEN": TOKEN}, ("Authorization", f"Bearer {TOKEN}")),
    ],
)
def test_a_credential_comes_from_the_environment(environment: dict[str, str], header: tuple[str, str]) -> None:
    credential = Credential.of(environment)
    assert (credential.header, credential.value) == header
    assert KEY not in repr(credential) and TOKEN not in repr(credential)


@pytest.mark.parametrize("environment", [{}, {"CVA_SEARCH_KEY": " "}, {"CVA_SEARCH_KEY": "a\r\nHost: b"}])
def test_no_credential_or_a_broken_one_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        Credential.of(environment)
    assert "Host: b" not in str(caught.value)


def test_a_token_is_taken_by_the_service(service: FakeService) -> None:
    bearer = SearchClient(service.url, Credential.of({"CVA_SEARCH_TOKEN": TOKEN}))
    assert bearer.get("indexes", "caps") is None
