"""Pipeline endpoints of a local workspace: named, with immutable published versions, one of them the default.

    endpoints/<name>/<version>/job.yml, version.json      never changed
    endpoints/<name>/endpoint.json                        the default version

Knows nothing about what a submission does (`submissions.py`).
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_training.workspaces import files
from model_training.workspaces.base import TRAINING, Endpoint, PublishedPipeline, Run, check_kind
from model_training.workspaces.names import check_name, now
from scoring.errors import NotFoundError
from scoring.files import sync_folder

if TYPE_CHECKING:
    from model_training.workspaces.local.workspace import LocalWorkspace

_INCOMING = ".incoming-"


class LocalEndpoints:
    def __init__(self, workspace: LocalWorkspace) -> None:
        self._workspace = workspace
        self._folder = workspace.layout.endpoints

    def publish(
        self,
        name: str,
        template: str,
        *,
        description: str = "",
        git_commit: str = "",
        set_default: bool = True,
        properties: Mapping[str, str] | None = None,
        kind: str = TRAINING,
    ) -> PublishedPipeline:
        """Add a version; the first one is the default in any case. Raises: UsageError for a template with faults."""
        from model_training.jobs.load import parse_job

        check_name(name, "endpoint")
        check_kind(kind)
        if kind == TRAINING:
            parse_job(template, f"the template of {name}")
        facts: dict[str, Any] = {"description": description, "git_commit": git_commit, "created_at": now()}
        facts["kind"] = kind
        with self._workspace.layout.lock.hold():
            version = max(self._numbers(name), default=0) + 1
            self._add(name, version, template, facts | {"properties": dict(properties or {})})
            if set_default or version == 1:
                self._choose(name, version)
        return self.version(name, version)

    def get(self, name: str) -> Endpoint:
        default = self._default(name)
        described = self.version(name, default).description
        return Endpoint(name, default, tuple(self._numbers(name)), described)

    def list(self) -> Sequence[Endpoint]:
        return [self.get(name) for name in self._names()]

    def version(self, name: str, version: int | None = None) -> PublishedPipeline:
        """One published version, the default one when none is named."""
        number = self._default(name) if version is None else version
        self._require(name, number)
        folder = self._folder / name / str(number)
        facts = files.read_json(folder / "version.json", "a published version")
        return PublishedPipeline(
            endpoint=name,
            version=number,
            description=facts["description"],
            template=(folder / "job.yml").read_text(encoding="utf-8"),
            git_commit=facts["git_commit"],
            created_at=facts["created_at"],
            properties=facts["properties"],
            kind=facts.get("kind", TRAINING),
        )

    def set_default(self, name: str, version: int) -> Endpoint:
        """One reversible write."""
        with self._workspace.layout.lock.hold():
            self._default(name)
            self._require(name, version)
            self._choose(name, version)
        return self.get(name)

    def rest_url(self, name: str) -> str:
        """The path that `cva endpoint serve` answers."""
        from model_training.workspaces.local.endpoint_api import submit_path

        self._default(name)
        return f"{submit_path(name)} while `cva endpoint serve` runs"

    def submit(
        self,
        name: str,
        *,
        experiment: str,
        dataset_name: str,
        model_name: str,
        cluster: str,
        version: int | None = None,
        **options: Any,
    ) -> Run:
        """Check everything, then start the pipeline in a process of its own and return at once.

        `options` are those of `submissions.Submission`: register, budget_minutes, new.
        Raises: NotFoundError (endpoint, version, dataset, cluster), UsageError (names); nothing is spent then.
        """
        from model_training.workspaces.local.submissions import Submission, create, start

        asked = Submission(experiment, dataset_name, model_name, cluster, **options)
        run = create(self._workspace, self.version(name, version), asked)
        return start(self._workspace, run)

    def _names(self) -> Sequence[str]:
        return sorted(path.parent.name for path in self._folder.glob("*/endpoint.json"))

    def _numbers(self, name: str) -> Sequence[int]:
        return sorted(int(path.parent.name) for path in (self._folder / name).glob("[1-9]*/version.json"))

    def _default(self, name: str) -> int:
        if name not in self._names():
            known = ", ".join(self._names()) or "none yet"
            raise NotFoundError(
                f"there is no endpoint {name!r}; endpoints: {known}", hint="publish one: cva endpoint publish"
            )
        return int(files.read_json(self._folder / name / "endpoint.json", "an endpoint")["default_version"])

    def _require(self, name: str, version: int) -> None:
        numbers = self._numbers(name)
        if version not in numbers:
            raise NotFoundError(
                f"endpoint {name!r} has no version {version}; versions: {', '.join(map(str, numbers))}",
                hint=f"see `cva endpoint show {name}`",
            )

    def _add(self, name: str, version: int, template: str, facts: Mapping[str, Any]) -> None:
        stage = self._folder / name / f"{_INCOMING}{secrets.token_hex(4)}"
        try:
            files.write_text(stage / "job.yml", template)
            files.write_json(stage / "version.json", facts)
            stage.rename(self._folder / name / str(version))
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        sync_folder(self._folder / name)

    def _choose(self, name: str, version: int) -> None:
        files.write_json(self._path(name), {"default_version": version})

    def _path(self, name: str) -> Path:
        return self._folder / name / "endpoint.json"
