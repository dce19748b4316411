"""What an index and an indexer say, in words; and whatever else stands there, as an error that names the place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.errors import CvaError
from scoring.search.query import SELECTED, documents_of, last_run, warnings_of

KEYS = ["lastResult", "status", "itemsProcessed", "itemsFailed", "errors", "warnings", "errorMessage", "key", "message"]
KEYS += ["value", *SELECTED]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_whatever_is_answered_is_understood_or_an_error(answer: dict[str, Any]) -> None:
    for read in (last_run, warnings_of, documents_of):
        try:
            read(answer)
        except CvaError as error:
            assert "check --service" in error.hint


@pytest.mark.parametrize("answer", [{"lastResult": 1}, {"lastResult": {"errors": 1}}, {"lastResult": {"errors": [1]}}])
def test_the_place_of_what_is_not_understood_is_named(answer: dict[str, Any]) -> None:
    key = "lastResult" if answer == {"lastResult": 1} else "errors"
    with pytest.raises(CvaError, match=f"as '{key}'"):
        last_run(answer)


@pytest.mark.parametrize("answer", [{}, {"value": None}, {"value": []}])
def test_nothing_found(answer: dict[str, Any]) -> None:
    assert documents_of(answer) == []


def test_a_document_without_labels_has_none() -> None:
    (found,) = documents_of({"value": [{"metadata_storage_name": "a.png", "amllabel": None, "@search.score": 1}]})
    assert set(found) == set(SELECTED) and (found["metadata_storage_name"], found["amllabel"]) == ("a.png", [])
