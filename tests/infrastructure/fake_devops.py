"""What devops.sh asks of Azure DevOps, answered from a tenant: pipelines, environments, checks, permissions, policies.

Refuses bodies that the service would refuse. Knows nothing of Azure; the fake `az` hands its calls on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Answer = Callable[[re.Match[str], Any], Any]
APPROVAL, VALIDATION = "8c6f20a7-a545-4486-9777-f762fafe0d4d", "0609b952-1397-4640-95ec-e00a01b2c241"
NEW: dict[str, Any] = {
    "repository": {"id": "repo-id", "defaultBranch": "refs/heads/main"},
    "pipelines": [],
    "environments": [],
    "checks": [],
    "allowed": {},
    "files": [],
    "policies": [],
}


class Refused(Exception):
    """What the real one would print after ERROR: before it ends with 1."""


class DevOps:
    def __init__(self, tenant: dict[str, Any]) -> None:
        self.tenant = tenant

    def routes(self, base: str, project: str) -> list[tuple[str, str, Answer]]:
        own, v, preview = f"{base}{project}/_apis/", r"api-version=7\.1", r"api-version=7\.1-preview\.1"
        checks = own + r"pipelines/checks/configurations\?"
        allowed = own + rf"pipelines/pipelinePermissions/(\w+/[\w-]+)\?{preview}"
        rows: list[tuple[str, str, Answer]] = [
            (base + rf"_apis/connectionData\?{preview}", "get", lambda f, b: {"authenticatedUser": {"id": "me-there"}}),
            (own + rf"git/repositories/([^?]+)\?{v}", "get", self.repository),
            (own + rf"pipelines\?{v}", "get", lambda f, b: {"value": self.tenant["pipelines"]}),
            (own + rf"pipelines\?{v}", "post", self.make_pipeline),
            (own + rf"distributedtask/environments\?name=([\w-]+)&{v}", "get", self.environments),
            (own + rf"distributedtask/environments\?{v}", "post", lambda f, b: self.add("environments", b)),
            (checks + rf"resourceType=environment&resourceId=(\d+)&{preview}", "get", self.checks),
            (checks + preview, "post", self.make_check),
            (allowed, "get", self.permissions),
            (allowed, "patch", self.permit),
            (own + rf"distributedtask/securefiles\?{preview}", "get", lambda f, b: {"value": self.tenant["files"]}),
            (own + rf"distributedtask/securefiles\?name=([\w.-]+)&{preview}", "post", self.make_file),
            (own + rf"policy/configurations\?policyType={VALIDATION}&{v}", "get", self.policies),
            (own + rf"policy/configurations\?{v}", "post", self.make_policy),
        ]
        return rows

    def repository(self, found: re.Match[str], body: Any) -> Any:
        if found[1] != "caps%20line":
            raise Refused("TF401019: The Git repository does not exist or you do not have permissions.")
        return self.tenant["repository"]

    def add(self, kind: str, made: dict[str, Any]) -> dict[str, Any]:
        self.tenant[kind].append({"id": len(self.tenant[kind]) + 1, **made})
        return dict(self.tenant[kind][-1])

    def make_pipeline(self, found: re.Match[str], body: Any) -> Any:
        configuration = body["configuration"]
        assert configuration["type"] == "yaml"
        assert configuration["repository"] == {"id": "repo-id", "type": "azureReposGit"}
        return self.add("pipelines", {"name": body["name"], "path": configuration["path"]})

    def environments(self, found: re.Match[str], body: Any) -> Any:
        """The service looks for names that begin so."""
        return {"value": [each for each in self.tenant["environments"] if each["name"].startswith(found[1])]}

    def checks(self, found: re.Match[str], body: Any) -> Any:
        return {"value": [each for each in self.tenant["checks"] if each["resource"]["id"] == found[1]]}

    def make_check(self, found: re.Match[str], body: Any) -> Any:
        assert body["type"] == {"id": APPROVAL, "name": "Approval"} and 1 <= body["timeout"] <= 43200
        assert [set(each) for each in body["settings"]["approvers"]] == [{"id"}]
        named = {str(each["id"]): each["name"] for each in self.tenant["environments"]}
        assert named[body["resource"]["id"]] == body["resource"]["name"]
        return self.add("checks", body)

    def permissions(self, found: re.Match[str], body: Any) -> Any:
        allowed = self.tenant.get("allowed", {}).get(found[1], [])
        every = self.tenant["permits"].get(found[1].partition("/")[2], {})
        return {"pipelines": [{"id": each, "authorized": True} for each in allowed], **every}

    def permit(self, found: re.Match[str], body: Any) -> None:
        """Some pipelines, or every one of the project."""
        if "allPipelines" in body:
            self.tenant["permits"][found[1].partition("/")[2]] = body
            return
        there = {each["id"] for each in self.tenant["pipelines"]}
        for each in body["pipelines"]:
            assert each["id"] in there and each["authorized"] is True
            self.tenant["allowed"].setdefault(found[1], []).append(each["id"])

    def make_file(self, found: re.Match[str], body: Any) -> Any:
        assert isinstance(body, bytes)  # as it is, no JSON
        return self.add("files", {"name": found[1], "content": body})

    def policies(self, found: re.Match[str], body: Any) -> Any:
        return {"value": self.tenant["policies"]}

    def make_policy(self, found: re.Match[str], body: Any) -> Any:
        assert body["type"] == {"id": VALIDATION} and body["isBlocking"] is True
        assert body["settings"]["buildDefinitionId"] in {each["id"] for each in self.tenant["pipelines"]}
        scope = {"repositoryId": "repo-id", "refName": "refs/heads/main", "matchKind": "Exact"}
        assert body["settings"]["scope"] == [scope]
        return self.add("policies", body)
