"""Faults that a test asks for happen once, where they were asked for, in Azure's shapes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from tests.fake_azure.azure import FakeAzure

ARM = "https://management.azure.com"
SUBSCRIPTIONS = f"{ARM}/subscriptions?api-version=2022-12-01"
Header = Callable[..., dict[str, str]]


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "TooManyRequests"), (503, "ServerUnavailable"), (409, "Conflict"), (401, "ExpiredAuthenticationToken")],
)
def test_a_status_as_often_as_asked_for(
    azure: FakeAzure, http: requests.Session, header: Header, status: int, code: str
) -> None:
    azure.fail_next("GET", r"/subscriptions\?", status, headers={"Retry-After": "1"}, times=2)
    answers = [http.get(SUBSCRIPTIONS, headers=header()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert answers[0].json()["error"]["code"] == code
    assert answers[0].headers["Retry-After"] == "1"
    azure.assert_clean()


def test_another_method_or_path_is_left_alone(azure: FakeAzure, http: requests.Session, header: Header) -> None:
    azure.fail_next("POST", "/subscriptions", 500)
    azure.fail_next("GET", "/elsewhere", 500)
    assert http.get(SUBSCRIPTIONS, headers=header()).status_code == 200
    with pytest.raises(AssertionError, match="did not happen"):
        azure.assert_clean()


def test_the_code_and_message_may_be_given(azure: FakeAzure, http: requests.Session, header: Header) -> None:
    azure.fail_next("", "subscriptions", 400, code="QuotaExceeded", message="no more cores")
    assert http.get(SUBSCRIPTIONS, headers=header()).json()["error"] == {
        "code": "QuotaExceeded",
        "message": "no more cores",
    }


@pytest.mark.parametrize("what", ["drop", "drop-answer"])
def test_a_dropped_connection(azure: FakeAzure, http: requests.Session, header: Header, what: str) -> None:
    http.get(SUBSCRIPTIONS, headers=header())
    azure.fail_next("GET", "subscriptions", what)
    with pytest.raises(requests.exceptions.ConnectionError):
        http.get(SUBSCRIPTIONS, headers=header())
    assert azure.requests[1].status == (0 if what == "drop" else 200)  # handled or not
    assert http.get(SUBSCRIPTIONS, headers=header()).status_code == 200


def test_a_dropped_connection_in_the_middle_of_a_body(azure: FakeAzure, http: requests.Session) -> None:
    azure.fail_next("POST", "/x", "drop")
    with pytest.raises(requests.exceptions.ConnectionError):
        http.post(f"{ARM}/x", data=b"0123456789")
    assert azure.requests[0].size == 5


def test_an_answer_that_is_cut(azure: FakeAzure, http: requests.Session, header: Header) -> None:
    azure.fail_next("GET", "subscriptions", "cut-answer")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        http.get(SUBSCRIPTIONS, headers=header())


def test_an_unknown_fault_is_a_mistake(azure: FakeAzure) -> None:
    with pytest.raises(AssertionError, match="expected a status"):
        azure.fail_next("GET", "x", "vanish")
