"""The MLTable file: what is written is what the contract says, what is read leads to rows or to a clear refusal."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from model_training.data.mltable import read_mltable, write_mltable
from scoring.errors import DataError, NotFoundError


@pytest.mark.parametrize("name", ["train.jsonl", "it's, mine: #1.jsonl"])
def test_written_as_the_contract_says_and_read_again(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("", encoding="utf-8")
    write_mltable(tmp_path, name)
    value = yaml.safe_load((tmp_path / "MLTable").read_text(encoding="utf-8"))
    assert value["paths"] == [{"file": f"./{name}"}]
    assert value["transformations"] == [
        {"read_json_lines": {"encoding": "utf8", "invalid_lines": "error", "include_path_column": False}},
        {"convert_column_types": [{"columns": "image_url", "column_type": "stream_info"}]},
    ]
    assert read_mltable(tmp_path) == read_mltable(tmp_path / "MLTable") == [tmp_path / name]


def test_a_bare_file_of_rows_stands_for_itself(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("", encoding="utf-8")
    assert read_mltable(tmp_path / "a.jsonl") == [tmp_path / "a.jsonl"]


def test_patterns_and_several_files(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "c.jsonl"):
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "MLTable").write_text(
        "paths: [{pattern: './[ab].jsonl'}, {file: c.jsonl}]\ntransformations: [read_json_lines]", encoding="utf-8"
    )
    assert [file.name for file in read_mltable(tmp_path)] == ["a.jsonl", "b.jsonl", "c.jsonl"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("paths: [", "expected YAML"),
        ("- a", "expected a mapping"),
        ("transformations: [read_json_lines]", "paths: a list of files"),
        ("paths: [{file: a.jsonl}]\ntransformations: [{read_delimited: {}}]", "the transformation read_json_lines"),
        ("paths: [{folder: .}]\ntransformations: [read_json_lines]", "to be a local file or pattern"),
        ("paths: [{file: 'azureml://datastores/D/paths/a'}]\ntransformations: [read_json_lines]", "a local file"),
        ("paths: [!!python/object/apply:os.system [ls]]", "expected YAML"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "MLTable").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        read_mltable(tmp_path)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="found neither"):
        read_mltable(tmp_path)
    (tmp_path / "MLTable").write_text("paths: [{file: a.jsonl}]\ntransformations: [read_json_lines]", encoding="utf-8")
    with pytest.raises(NotFoundError, match=r"a\.jsonl"):
        read_mltable(tmp_path)
