"""What goes to Azure with a published step: what git tracks, the job, the pins, and nothing that lies beside them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from model_training import publishing
from model_training.publishing import stage, step_code
from model_training.settings import Settings
from model_training.workspaces.azureml.step_environment import environment_version
from scoring.errors import NotFoundError, UsageError

ROOT = Path(__file__).resolve().parents[1]
JOB = "type: automl\n"


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository of the same layout, with things that must stay at home."""
    root = tmp_path / "checkout"
    tracked = ("model_training/step.py", "scoring/a.py", "scoring/page/x.html", "requirements/step.txt", "tests/t.py")
    for path in tracked:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / ".gitignore").write_text("*.key\n")
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", "-A")
    (root / "scoring/release.key").write_text("secret")
    (root / "model_training/new.py").write_text("not added yet")
    (root / "notes.txt").write_text("mine")
    return root


def staged_files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_only_what_git_tracks_is_staged(checkout: Path, tmp_path: Path) -> None:
    staged = stage(tmp_path / "staged", JOB, checkout)
    expected = ["job.yml", "model_training/step.py", "requirements/step.txt", "scoring/a.py", "scoring/page/x.html"]
    assert staged_files(staged.folder) == expected
    assert (staged.folder / "job.yml").read_text() == JOB
    assert publishing.untracked(checkout) == ["model_training/new.py"]
    assert (staged.files, staged.bytes) == (5, sum((staged.folder / path).stat().st_size for path in expected))


def test_the_hash_says_what_was_staged(checkout: Path, tmp_path: Path) -> None:
    first = stage(tmp_path / "1", JOB, checkout).sha256
    assert stage(tmp_path / "2", JOB, checkout).sha256 == first
    assert stage(tmp_path / "3", JOB + "# other\n", checkout).sha256 != first
    (checkout / "scoring/a.py").write_text("changed")
    assert stage(tmp_path / "4", JOB, checkout).sha256 != first


def test_a_file_that_was_deleted_is_left_out(checkout: Path, tmp_path: Path) -> None:
    (checkout / "scoring/a.py").unlink()
    assert "scoring/a.py" not in staged_files(stage(tmp_path / "staged", JOB, checkout).folder)


def test_data_in_the_code_is_refused(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "scoring/weights.bin").write_bytes(bytes(3 << 20))
    git(checkout, "add", "-A")
    monkeypatch.setattr(publishing, "MAX_BYTES", 2 << 20)
    with pytest.raises(UsageError, match=r"found 3\.0 MiB \(the largest: scoring/weights\.bin\)"):
        stage(tmp_path / "staged", JOB, checkout)


def test_without_a_checkout_nothing_is_published(tmp_path: Path) -> None:
    (tmp_path / "installed").mkdir()
    with pytest.raises(NotFoundError, match="no git checkout"):
        stage(tmp_path / "staged", JOB, tmp_path / "installed")


def test_this_checkout_can_be_staged(tmp_path: Path) -> None:
    staged = stage(tmp_path / "staged", JOB, ROOT)
    files = staged_files(staged.folder)
    assert {"model_training/step.py", "model_training/pipeline.py", "scoring/detector.py"} <= set(files)
    assert all(path.startswith(("model_training/", "scoring/")) for path in files if path not in publishing_files())
    assert staged.bytes < 4 << 20


def publishing_files() -> tuple[str, str]:
    return (publishing.JOB, publishing.REQUIREMENTS)


def test_the_clone_of_the_settings_is_published_and_not_where_the_code_is_installed(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(source=checkout / "variable_template.yml")
    assert publishing.checkout(settings) == checkout
    assert publishing.checkout(Settings(source=tmp_path / "variable_template.yml")) == ROOT
    monkeypatch.setattr(publishing, "__file__", str(tmp_path / "site-packages/model_training/publishing.py"))
    code = publishing.Stager(settings)(JOB, kind="training", git_commit="abc")
    assert (code.folder / "scoring/a.py").read_text() == "scoring/a.py"
    assert len(code.sha256) == 64
    with pytest.raises(NotFoundError, match="a clone of this repository"):
        publishing.checkout(Settings(source=tmp_path / "variable_template.yml"))


def test_the_step_is_said_with_the_settings(checkout: Path, tmp_path: Path) -> None:
    settings = Settings(aml_cpu_cluster_name="small", aml_env_name="env", azureml_sdk="v2")
    staged = stage(tmp_path / "staged", JOB, checkout)
    code = step_code(staged, settings, arguments=["--git-commit", "abc"])
    assert (code.script, code.compute, code.environment) == ("model_training/step.py", "small", "env")
    environment = f"env:{environment_version('3.11', staged.folder / 'requirements/step.txt')}"
    made_of = ["--environment", environment, "--source-sha256", staged.sha256]
    assert list(code.arguments) == ["--sdk", "v2", *made_of, "--git-commit", "abc"]
    assert code.requirements.is_file()
    with pytest.raises(UsageError, match="batch-scoring"):
        step_code(stage(tmp_path / "other", JOB, checkout), settings, kind="serving")
