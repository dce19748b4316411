"""An `az` that keeps a tenant: every call is written down and answered from a table; what it makes is there afterwards.

Knows the commands that bootstrap.sh and devops.sh use and their options, and refuses any other; evaluates --query with
jmespath and prints as `--output tsv` does, as the real one does. It answers on a loopback port; the `az` on the PATH is
a few lines of bash that ask there, as starting Python for each of forty calls would take seconds.
"""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jmespath

from tests.infrastructure.fake_devops import DevOps, Refused

Options = dict[str, Any]
COMMON = {"--query", "--output", "--only-show-errors"}
FLAGS = {"--wait", "--include-inherited", "--include-groups", "--only-show-errors"}
READS = re.compile(r"(account|[a-z -]+ (list|show|exists)) --|rest --method get ")
DEVOPS = "https://dev.azure.com/org/"
PROJECT = "caps%20line"
AZ = r"""#!/bin/bash
exec 3<>"/dev/tcp/127.0.0.1/{port}"
printf '%s\0' "$#" "$@" >&3
read -r code <&3
if [[ $code == 0 ]]; then cat <&3; else cat <&3 >&2; fi
exit "$code"
"""


class FakeAz:
    """One tenant. `calls` are all so far; `faults` those that the real one would not understand."""

    def __init__(self, tenant: dict[str, Any], folder: Path = Path()) -> None:
        self.tenant = tenant
        self.folder = folder  # where paths in commands start
        self.calls: list[str] = []
        self.faults: list[str] = []

    def run(self, arguments: list[str]) -> tuple[int, str]:
        """Exit code, and what is printed."""
        self.calls.append(" ".join(arguments))
        try:
            command, options = parse(arguments)
            known, needed, answer = self.commands()[command]
            assert set(options) <= {*known.split(), *COMMON} and set(needed.split()) <= set(options)
            if command == self.tenant["refuse"]:
                raise Refused(
                    "Resource does not exist or one of its queried reference-property objects are not present."
                )
            value = answer(options)
        except Refused as refused:
            return 1, f"ERROR: {refused}\n"
        except (AssertionError, KeyError, IndexError, TypeError, ValueError) as error:
            self.faults.append(f"{self.calls[-1]}: {error!r}")
            return 2, f"the fake az does not know this: {self.faults[-1]}\n"
        if "--query" in options:
            value = jmespath.search(options["--query"], value)
        if options.get("--output") == "none":
            return 0, ""
        return 0, tsv(value) if options.get("--output") == "tsv" else json.dumps(value) + "\n"

    @contextmanager
    def on_path(self, folder: Path) -> Iterator[None]:
        """While it lasts, `folder/az` is this one."""
        fake = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                code, text = fake.run([self.word() for _ in range(int(self.word()))])
                self.wfile.write(f"{code}\n{text}".encode())

            def word(self) -> str:
                return b"".join(iter(lambda: self.rfile.read(1), b"\0")).decode()

        with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
            (folder / "az").write_text(AZ.replace("{port}", str(server.server_address[1])))
            (folder / "az").chmod(0o755)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()

    def commands(self) -> dict[str, tuple[str, str, Callable[[Options], Any]]]:
        """Words of a command: its options, those of them that it needs, what it answers."""
        return {
            "account show": ("--subscription", "", self.account),
            "ad signed-in-user show": ("", "", lambda o: {"id": "me"}),
            "ad sp show": ("--id", "--id", lambda o: {"id": "me"}),
            "ad sp list": ("--filter", "--filter", lambda o: self.named("principals", "appId", o)),
            "ad sp create": ("--id", "--id", self.make_principal),
            "ad app list": ("--filter", "--filter", lambda o: self.named("apps", "displayName", o)),
            "ad app create": ("--display-name --sign-in-audience", "--display-name", self.make_app),
            "ad app federated-credential list": ("--id", "--id", lambda o: self.app(o)["credentials"]),
            "ad app federated-credential create": ("--id --parameters", "--id --parameters", self.make_credential),
            "group exists": ("--name --subscription", "--name", lambda o: o["--name"] in self.tenant["groups"]),
            "group create": ("--name --location --subscription", "--name --location", self.make_group),
            "deployment group create": (
                "--resource-group --subscription --name --template-file --parameters",
                "--resource-group --name --template-file --parameters",
                self.deploy,
            ),
            "provider list": ("--subscription", "", self.providers),
            "provider register": ("--namespace --subscription --wait", "--namespace", self.register),
            "role assignment list": (
                "--assignee --role --scope --include-inherited --include-groups",
                "--assignee --scope",
                self.roles,
            ),
            "role assignment create": (
                "--assignee-object-id --assignee-principal-type --role --scope --condition --condition-version",
                "--assignee-object-id --assignee-principal-type --role --scope",
                self.give_role,
            ),
            "role assignment delete": ("--ids", "--ids", self.take_role),
            "rest": ("--method --url --resource --body --headers", "--method --url", self.rest),
        }

    def account(self, o: Options) -> Any:
        account = self.tenant["account"]
        if not self.tenant["logged_in"]:
            raise Refused("Please run 'az login' to setup account.")
        if o.get("--subscription", account["id"]) != account["id"]:
            raise Refused(f"Subscription '{o['--subscription']}' not found.")
        return account

    def named(self, kind: str, key: str, o: Options) -> Any:
        found = re.fullmatch(f"{key} eq '([^']*)'", o["--filter"])
        assert found, o
        return [each for each in self.tenant[kind] if each[key] == found[1]]

    def app(self, o: Options) -> Any:
        return next(each for each in self.tenant["apps"] if each["appId"] == o["--id"])

    def make_app(self, o: Options) -> Any:
        app = {"appId": f"app-{len(self.tenant['apps'])}", "displayName": o["--display-name"], "credentials": []}
        self.tenant["apps"].append(app)
        return app

    def make_principal(self, o: Options) -> Any:
        principal = {"id": f"principal-of-{self.app(o)['appId']}", "appId": o["--id"]}
        self.tenant["principals"].append(principal)
        return principal

    def make_credential(self, o: Options) -> None:
        self.app(o)["credentials"].append(json.loads(o["--parameters"]))

    def make_group(self, o: Options) -> None:
        self.tenant["groups"][o["--name"]] = o["--location"]

    def deploy(self, o: Options) -> Any:
        """Keeps the values of every file that is named, the later over the earlier."""
        if o["--resource-group"] not in self.tenant["groups"]:
            raise Refused("ResourceGroupNotFound")
        files = [path for path in (each.removeprefix("@") for each in o["--parameters"]) if path.endswith(".json")]
        given = [json.loads((self.folder / path).read_text())["parameters"] for path in files]
        values = {name: each["value"] for parameters in given for name, each in parameters.items()}
        self.tenant.setdefault("deployments", {})[o["--name"]] = values
        return {"properties": {"outputs": {"name": {"type": "String", "value": "the-workspace"}}}}

    def providers(self, o: Options) -> Any:
        return [{"namespace": each, "registrationState": "Registered"} for each in self.tenant["providers"]] + [
            {"namespace": "Microsoft.Web", "registrationState": "NotRegistered"}
        ]

    def register(self, o: Options) -> None:
        self.tenant["providers"].append(o["--namespace"])

    def roles(self, o: Options) -> Any:
        """What is assigned at the scope, and above it when that is asked for; a role by its name."""
        scopes = [o["--scope"]]
        if "--include-inherited" in o:
            scopes.append(re.sub("/resourceGroups/.*", "", o["--scope"]))
        return [
            each
            for each in self.tenant["roles"]
            if each["principalId"] == o["--assignee"]
            and each["scope"] in scopes
            and o.get("--role") in (None, each["roleDefinitionName"])
        ]

    def give_role(self, o: Options) -> None:
        if o["--scope"].rpartition("/")[2] not in self.tenant["groups"]:
            raise Refused("ResourceGroupNotFound")
        self.tenant["roles"].append(
            {
                "id": f"{o['--scope']}/role-{len(self.tenant['roles'])}",
                "principalId": o["--assignee-object-id"],
                "roleDefinitionName": o["--role"],
                "scope": o["--scope"],
                "condition": o.get("--condition"),
            }
        )

    def take_role(self, o: Options) -> None:
        self.tenant["roles"] = [each for each in self.tenant["roles"] if each["id"] != o["--ids"]]

    def rest(self, o: Options) -> Any:
        """Azure DevOps wants a token of its own, which --resource asks for; Graph is known to the real one."""
        assert ("--resource" in o) == o["--url"].startswith(DEVOPS)
        for pattern, method, answer in self.routes():
            found = re.fullmatch(pattern, o["--url"])
            if found and method == o["--method"]:
                return answer(found, self.body(o))
        raise AssertionError("no such route")

    def body(self, o: Options) -> Any:
        """JSON, or a file's bytes where the command says that it is no JSON."""
        given = o.get("--body", "null")
        if not given.startswith("@"):
            return json.loads(given)
        assert o["--headers"] == "Content-Type=application/octet-stream"
        return (self.folder / given[1:]).read_bytes()

    def routes(self) -> list[tuple[str, str, Callable[[re.Match[str], Any], Any]]]:
        endpoints = r"_apis/serviceendpoint/endpoints"
        rights = (
            r"_apis/permissions/49b48001-ca20-4adc-8111-5b60c903a50c/4\?tokens=endpoints/project-id&api-version=7.1"
        )
        graph = r"https://graph.microsoft.com/v1.0/"
        directory = r"me/transitiveMemberOf/microsoft.graph.directoryRole\?\$select=displayName"
        return [
            (DEVOPS + r"_apis/projects/([^?]+)\?api-version=7.1", "get", self.project),
            (DEVOPS + rights, "get", lambda found, body: {"value": [self.tenant["creator"]]}),
            (DEVOPS + PROJECT + "/" + endpoints + r"\?endpointNames=([^&]+)&.*", "get", self.connections),
            (DEVOPS + endpoints + r"\?api-version=7.1", "post", self.make_connection),
            (graph + "policies/authorizationPolicy", "get", lambda found, body: self.tenant["policy"]),
            (graph + directory, "get", lambda found, body: {"value": self.tenant["directory"]}),
            *DevOps(self.tenant).routes(DEVOPS, PROJECT),
        ]

    def project(self, found: re.Match[str], body: Any) -> Any:
        if found[1] not in self.tenant["projects"]:
            raise Refused("VS800075: The project does not exist, or you do not have permission to access it.")
        return {"id": "project-id"}

    def connections(self, found: re.Match[str], body: Any) -> Any:
        return {"value": [each for each in self.tenant["connections"] if each["name"] == found[1]]}

    def make_connection(self, found: re.Match[str], body: Any) -> Any:
        """Issuer and subject are the service's to give, after the connection is there."""
        assert body["serviceEndpointProjectReferences"][0]["projectReference"]["id"] == "project-id"
        given = body["authorization"]["parameters"]
        given["workloadIdentityFederationIssuer"] = f"https://login.microsoftonline.com/{given['tenantid']}/v2.0"
        given["workloadIdentityFederationSubject"] = f"/eid1/c/pub/t/T/a/A/sc/ORG/{body['name']}"
        self.tenant["connections"].append({"id": f"connection-{len(self.tenant['connections'])}", **body})
        return self.tenant["connections"][-1]


def parse(arguments: list[str]) -> tuple[str, Options]:
    """The command's words, and its options."""
    words: list[str] = []
    rest = list(arguments)
    while rest and not rest[0].startswith("-"):
        words.append(rest.pop(0))
    options: Options = {}
    while rest:
        name = rest.pop(0)
        assert name.startswith("--") and name not in options, name
        if name == "--parameters" and words[0] == "deployment":  # the one that takes several
            options[name] = [
                rest.pop(0) for _ in range(next((n for n, x in enumerate(rest) if x[:2] == "--"), len(rest)))
            ]
            continue
        options[name] = True if name in FLAGS else rest.pop(0)
    return " ".join(words), options


def tsv(value: Any) -> str:
    """As knack prints it: a list is a line each, a list in a list has tabs, and nothing is nothing."""
    if value is None:
        return ""
    rows = value if isinstance(value, list) else [value]
    return "".join("\t".join(map(_cell, row if isinstance(row, list) else [row])) + "\n" for row in rows)


def _cell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
