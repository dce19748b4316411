"""`cva search` as a person types it, with pictures that go through the real skill into an index (row 57)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from model_training.cli.main import main
from tests.scoring.search.fake_service import KEY, FakeService
from tests.scoring.search.serving import serving
from tests.scoring.search.test_definitions import STORAGE
from tests.scoring.search.test_setup import client
from tests.scoring.server.running import Running

COLOURS = {
    "blue.png": "#0000ff",
    "green.jpg": "#00c000",
    "red.png": "#ff0000",
    "pink.png": "#ff00ff",
    "black.png": "#000",
}


@pytest.fixture
def skill(tiny_bundle: Callable[..., Path]) -> Iterator[Running]:
    with serving(tiny_bundle(), keys=(b"the-skill-key",)) as served:
        yield served


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVA_SEARCH_KEY", KEY)
    monkeypatch.setenv("CVA_SKILL_KEY", "the-skill-key")


def file(*colours: str, format: str = "PNG") -> bytes:
    """A picture, or several as the pages of one file."""
    first, *more = [Image.new("RGB", (60, 60), colour) for colour in colours]
    buffer = io.BytesIO()
    first.save(buffer, format, **({"save_all": True, "append_images": more} if more else {}))
    return buffer.getvalue()


def setup(service: str, skill: str, *options: str) -> list[str]:
    required = ["--name", "caps", "--service", service, "--skill-uri", f"{skill}/skill"]
    return ["search", "setup", *required, "--storage-resource-id", STORAGE, "--container", "caps", *options]


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert main(list(arguments)) == code
    printed = capsys.readouterr()
    assert KEY not in printed.out + printed.err
    assert "the-skill-key" not in printed.out + printed.err
    return json.loads(printed.out.strip().splitlines()[-1])


def query(service: FakeService, *options: str) -> tuple[str, ...]:
    return ("search", "query", "--name", "caps", "--service", service.url, *options)


def status(service: FakeService) -> tuple[str, ...]:
    return ("search", "status", "--name", "caps", "--service", service.url)


def found(answered: Any) -> list[str]:
    return [each["metadata_storage_name"] for each in answered["documents"]]


@pytest.mark.parametrize("how", [[], ["--per-image"], ["--batch-size", "1"]], ids=["document", "image", "one by one"])
def test_five_pictures_are_found_by_what_is_seen_in_them(
    service: FakeService, skill: Running, capsys: pytest.CaptureFixture[str], how: list[str]
) -> None:
    service.blobs = {name: file(colour) for name, colour in COLOURS.items()} | {"notes.txt": b"no picture"}
    made = answer(capsys, *setup(service.url, skill.url, "--apply", "--run", *how))
    assert [(each["name"], each["state"]) for each in made["changes"]] == [
        (name, "created") for name in ("caps-pictures", "caps", "caps-skills", "caps-run")
    ]
    assert made["started"]
    shown = answer(capsys, *status(service))
    assert (shown["status"], shown["documents"], shown["failed"]) == ("success", 5, 0)
    assert found(answer(capsys, *query(service, "--label", "red-cap"))) == ["pink.png", "red.png"]
    assert found(answer(capsys, *query(service, "--label", "green, cap"))) == ["green.jpg"]
    assert found(answer(capsys, *query(service, "--label", "red-cap", "--label", "blue cap"))) == ["pink.png"]
    assert found(answer(capsys, *query(service, "--label", "green, cap", "--score", "0.7"))) == ["green.jpg"]
    assert found(answer(capsys, *query(service, "--label", "green, cap", "--score", "0.9"), code=1)) == []
    assert answer(capsys, *query(service, "--label", "cap"), code=1)["count"] == 0  # word for word
    assert answer(capsys, *query(service, "--label", "x' or 'a' eq 'a"), code=1)["count"] == 0


def test_what_the_index_holds_of_a_document_of_two_pages(
    service: FakeService, skill: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    service.blobs = {"pages.tiff": file("#ff0000", "#0000ff", format="TIFF")}
    answer(capsys, *setup(service.url, skill.url, "--apply", "--run"))
    [document] = service.documents.values()
    assert (document["amllabel"], document["objectCount"]) == (["red-cap", "blue cap"], 2)
    assert [(each["label"], each["page"]) for each in document["objects"]] == [("red-cap", 1), ("blue cap", 2)]
    assert document["objects"][1]["box"] == {"topX": 0.0, "topY": 0.0, "bottomX": 0.5, "bottomY": 0.5}


def test_labels_are_counted_and_searched_by_word(
    service: FakeService, skill: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    service.blobs = {name: file(colour) for name, colour in COLOURS.items()}
    answer(capsys, *setup(service.url, skill.url, "--apply", "--run"))
    counted = client(service).search("caps", {"search": "*", "facets": ["amllabel"], "top": 0})
    assert {each["value"]: each["count"] for each in counted["@search.facets"]["amllabel"]} == {
        "red-cap": 2,
        "blue cap": 2,
        "green, cap": 1,
    }
    assert client(service).search("caps", {"search": "green"})["@odata.count"] == 1


def test_a_picture_that_fails_is_told_and_the_others_are_found(
    service: FakeService, skill: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    service.blobs = {"red.png": file("#ff0000"), "huge.png": file("#ff0000")}
    answer(capsys, *setup(service.url, skill.url, "--apply"))
    definition = service.resources["skillsets"]["caps-skills"]["skills"][0]
    definition["httpHeaders"] = {"x-api-key": "an-old-key"}
    client(service).run("caps-run")
    shown = answer(capsys, *status(service), code=1)
    assert (shown["failed"], len(shown["errors"])) == (2, 2)
    assert shown["errors"][0].endswith("the skill answered 401")
    repaired = answer(capsys, *setup(service.url, skill.url, "--apply", "--run"))
    assert [each["state"] for each in repaired["changes"]] == ["unchanged", "unchanged", "updated", "unchanged"]
    assert answer(capsys, *status(service))["failed"] == 0


def test_an_indexer_that_never_ran(service: FakeService, skill: Running, capsys: pytest.CaptureFixture[str]) -> None:
    answer(capsys, *setup(service.url, skill.url, "--apply"))
    assert answer(capsys, *status(service))["status"] == "never run"


def test_a_dry_run_sends_nothing_and_shows_all_four(
    service: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CVA_SEARCH_KEY")
    shown = answer(capsys, *setup(service.url, "https://skill.example", "--dry-run"))
    assert list(shown) == ["datasources", "indexes", "skillsets", "indexers"]
    assert shown["skillsets"]["skills"][0]["httpHeaders"] == {"x-api-key": "<CVA_SKILL_KEY>"}
    assert service.requests == []


def test_a_dry_run_writes_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = "https://caps.search.windows.net"
    out = tmp_path / "new" / "search"
    told = answer(capsys, *setup(url, "https://skill.example", "--dry-run", "--out", str(out)))
    shown = answer(capsys, *setup(url, "https://skill.example", "--dry-run"))
    assert [Path(each).name for each in told["files"]] == [f"{kind}.json" for kind in shown]
    assert {kind: json.loads((out / f"{kind}.json").read_text()) for kind in shown} == shown


@pytest.mark.parametrize(
    "options",
    [
        ["--dry-run", "--run"],
        ["--dry-run", "--force"],
        ["--apply", "--out", "x"],
        ["--apply", "--batch-size", "0"],
        ["--apply", "--identity", "me"],
    ],
)
def test_arguments_that_do_not_fit(service: FakeService, options: list[str]) -> None:
    assert main(setup(service.url, "https://skill.example", *options)) == 2
    assert service.requests == []


def test_setup_says_dry_run_or_apply(service: FakeService) -> None:
    with pytest.raises(SystemExit) as caught:
        main(setup(service.url, "https://skill.example"))
    assert caught.value.code == 2


def test_a_key_as_an_argument_is_not_taken_for_something_else(service: FakeService) -> None:
    with pytest.raises(SystemExit) as caught:
        main(setup(service.url, "https://skill.example", "--dry-run", "--skill-key", "geheim"))
    assert caught.value.code == 2


def test_a_dry_run_judges_the_services_address_too() -> None:
    assert main(setup("http://caps.search.windows.net", "https://skill.example", "--dry-run")) == 2


@pytest.mark.parametrize("name", ["CVA_SEARCH_KEY", "CVA_SKILL_KEY"])
def test_nothing_is_sent_without_both_keys(
    service: FakeService, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(name)
    assert main(setup(service.url, "https://skill.example", "--apply")) == 2
    assert name in capsys.readouterr().err
    assert service.requests == []


def test_with_a_token_for_the_skill_no_key_is_needed(
    service: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CVA_SKILL_KEY")
    answer(capsys, *setup(service.url, "https://skill.example", "--apply", "--skill-audience", "api://skill"))
    assert service.resources["skillsets"]["caps-skills"]["skills"][0]["httpHeaders"] == {}


@pytest.mark.parametrize("options", [["--top", "0"], ["--top", "1001"], ["--score", "2"]])
def test_a_query_that_does_not_fit(service: FakeService, options: list[str]) -> None:
    assert main(list(query(service, "--label", "a", *options))) == 2


def test_a_query_of_an_index_that_is_not_there(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(query(service, "--label", "a"))) == 1
    assert "cva search setup --apply" in capsys.readouterr().err
