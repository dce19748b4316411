"""XML from anywhere: hostile files are refused before they cost anything, and lines are right."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_training.data import xml_lines
from model_training.data.xml_lines import XmlFault, read_xml

BOMB = "<!DOCTYPE a [<!ENTITY b 'lol'>" + "".join(
    f"<!ENTITY b{at} '{f'&b{at - 1 if at else str()};' * 10}'>" for at in range(9)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB + "]><a>&b8;</a>", "declares an entity"),
        ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "declares an entity"),
        ("<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://127.0.0.1/x'>%x;]><a/>", "declares an entity"),
        ("<a>&x;</a>", "not XML: undefined entity"),
        ("<a>" * 100, "at most 32 elements within each other"),
        ("<a><b></a>", "not XML: mismatched tag"),
        ("", "not XML: no element found"),
        ("<?xml version='1.0' encoding='nonsense'?><a/>", "not XML"),
        ("<a>" + "x" * 2000 + "</a>", "at most 1000 bytes"),
    ],
)
def test_what_is_hostile_or_broken_is_refused(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if len(text) > 1500:
        monkeypatch.setattr(xml_lines, "MAX_BYTES", 1000 if "1000" in words else 10**6)
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    with pytest.raises(XmlFault, match=words):
        read_xml(tmp_path / "a.xml")


def test_elements_know_their_lines_and_text(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<a>\n<b>x &amp; y</b>\n\n<b><c> 1 </c></b></a>", encoding="utf-8")
    root = read_xml(tmp_path / "a.xml")
    assert [(node.line, node.text) for node in root.all("b")] == [(2, "x & y"), (4, "")]
    assert root.text_at("b") == "x & y"
    assert list(root.all("b"))[1].text_at("c") == " 1 "
    assert root.child("b/c") is None


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=60).map(lambda tail: b"<a>" + tail) | st.text("<>/a&;!-[]'x ", max_size=40).map(str.encode))
def test_any_bytes_give_a_tree_or_a_fault(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.xml"
    file.write_bytes(data)
    try:
        assert read_xml(file).name
    except XmlFault as fault:
        assert fault.reason
