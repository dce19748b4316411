"""Whose identity is used, with the real libraries in processes of their own, and what is said when there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from model_training.workspaces.azureml.credentials import log_in_hint, on_cluster
from tests.fake_azure.azure import FakeAzure

START = """
import json
from model_training.workspaces.azureml.credentials import *
from scoring.errors import CvaError
def said(call):
    try:
        call()
    except CvaError as error:
        return [type(error).__name__, error.message, error.hint]
    return ["nothing"]
"""


def run(environment: Mapping[str, str], script: str) -> Any:
    """What the script prints last, as JSON."""
    command = [sys.executable, "-W", "ignore", "-c", START + script]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), False),
        (("AZUREML_RUN_ID", "DEFAULT_IDENTITY_CLIENT_ID"), True),
        (("AZUREML_RUN_ID", "MSI_ENDPOINT", "MSI_SECRET"), True),
        (("AZUREML_RUN_ID", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"), True),
        (("DEFAULT_IDENTITY_CLIENT_ID", "MSI_ENDPOINT", "MSI_SECRET"), False),  # a compute instance's terminal
        (("MSI_ENDPOINT",), False),  # Cloud Shell: a person's own login
        (("IDENTITY_ENDPOINT",), False),
        (("AZURE_CLIENT_ID", "AZUREML_RUN_ID"), False),
    ],
)
def test_what_a_cluster_is_known_by(names: tuple[str, ...], expected: bool) -> None:
    assert on_cluster(dict.fromkeys(names, "x")) is expected


def test_the_az_profile_serves_both_generations(azure: FakeAzure) -> None:
    script = """
token = token_credential().get_token("https://storage.azure.com/.default").token
named = token_credential("50b5c419-0000-4000-8000-000000000001").get_token("https://ml.azure.com/.default").token
old = v1_authentication().get_token().token
print(json.dumps([token, named, old, logged_in_subscription()]))
"""
    token, named, old, subscription = run(azure.signed_in(), script)
    assert azure.tokens.claims(token, ("https://storage.azure.com",))["appid"] == azure.state.client_id
    assert azure.tokens.claims(named, ("https://ml.azure.com",))
    assert azure.tokens.claims(old, ("https://management.azure.com", "https://management.core.windows.net"))
    assert subscription == azure.state.subscription
    azure.assert_clean()


def test_a_cluster_uses_its_managed_identity(azure: FakeAzure) -> None:
    """Even where somebody is logged in, too. An endpoint that is not there yet is no identity that is refused."""
    script = """
credential = token_credential()
get = lambda: credential.get_token("https://storage.azure.com/.default").token
refused, later, token = said(get), said(get), get()
old = v1_authentication().get_token()
print(json.dumps([token, old, said(logged_in_subscription), refused, later]))
"""
    environment = {**azure.signed_in(), **azure.on_cluster()}
    azure.fail_next("GET", "/msi/token.*storage", 400)
    azure.fail_next("GET", "/msi/token.*storage", 404)
    token, old, said, refused, later = run(environment, script)
    assert (refused[0], later[0]) == ("UsageError", "UnavailableError")
    assert "client id 5c1ab0fe" in refused[2] and "try again" in later[2]
    for each in (token, old):
        assert azure.tokens.claims(each, None)["appid"] == azure.state.managed_client_id
    assert said[0] == "UsageError"
    assert "SUBSCRIPTION_ID" in said[2]


def test_nobody_is_logged_in(azure: FakeAzure) -> None:
    script = """
print(json.dumps([said(token_credential), said(v1_authentication), said(logged_in_subscription),
                  said(lambda: token_credential(connection="my-connection"))]))
"""
    *three, named = run(azure.environment(), script)
    for kind, message, hint in three:
        assert (kind, message) == ("UsageError", "not logged in to Azure")
        assert "`az login`" in hint
        assert "azureSubscription: aml-workspace-connection" in hint
    assert "my-connection" in named[2]
    assert len(azure.requests) == 0


def test_a_login_that_does_not_see_the_subscription(azure: FakeAzure) -> None:
    script = 'print(json.dumps(said(lambda: token_credential("11111111-0000-4000-8000-000000000001"))))'
    kind, message, hint = run(azure.signed_in(), script)
    assert kind == "UsageError"
    assert "does not see the subscription 11111111" in message
    assert "SUBSCRIPTION_ID" in hint


def test_a_refused_or_unreachable_login_is_said(azure: FakeAzure) -> None:
    script = """
get = lambda audience: said(lambda: token_credential().get_token(f"https://{audience}/.default"))
print(json.dumps([get("ml.azure.com"), get("example.com")]))
"""
    environment = azure.signed_in()
    azure.fail_next("POST", "/oauth2/v2.0/token", "drop", times=100)
    offline, _ = run(environment, script)
    assert offline[0] == "OfflineError"
    azure.faults.clear()
    _, refused = run(environment, script)
    assert refused[0] == "UsageError"
    assert "AADSTS500011" in refused[1]


def test_a_federated_token_that_has_grown_too_old(azure: FakeAzure) -> None:
    """What happens in a task that waits: the id token lives ten minutes, and a new audience needs it."""
    environment = azure.signed_in()
    entries = Path(environment["AZURE_CONFIG_DIR"], "service_principal_entries.json")
    entry = json.loads(entries.read_text())
    entry[0]["client_assertion"] = azure.tokens.federated(azure.state.subject, seconds=-1)
    entries.write_text(json.dumps(entry))
    script = 'print(json.dumps(said(lambda: token_credential().get_token("https://ml.azure.com/.default"))))'
    kind, message, hint = run(environment, script)
    assert kind == "UsageError"
    assert "federated token has expired" in message
    assert "AzureCLI@2" in hint


def test_a_cluster_whose_identity_is_another(azure: FakeAzure) -> None:
    another = "0000aaaa-0000-4000-8000-000000000000"
    environment = azure.on_cluster(DEFAULT_IDENTITY_CLIENT_ID=another)
    script = 'print(json.dumps(said(lambda: token_credential().get_token("https://ml.azure.com/.default"))))'
    kind, _, hint = run(environment, script)
    assert kind == "UsageError"
    assert f"client id {another}" in hint


def test_the_az_command_is_used_where_azure_cli_core_is_not(azure: FakeAzure, tmp_path: Path) -> None:
    """`az` here is a script that answers as the real one does, with a token of the real login."""
    token = azure.tokens.access("https://storage.azure.com", object_id="o", client_id="c")
    answer = {"accessToken": token, "expires_on": 4102444800, "subscription": "s", "tenant": "t"}
    az = tmp_path / "az"
    az.write_text(f"#!/bin/sh\ncase \"$*\" in *show*) echo some-id;; *) echo '{json.dumps(answer)}';; esac\n")
    az.chmod(0o755)
    script = """
import importlib.util
there = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "azure.cli" else there(name, *rest)
got = said(token_credential)
if got == ["nothing"]:
    got = [token_credential().get_token("https://storage.azure.com/.default").token, logged_in_subscription()]
print(json.dumps(got))
"""
    environment = azure.environment()
    assert run({**environment, "PATH": f"{tmp_path}:/bin:/usr/bin"}, script) == [token, "some-id"]
    without = run({**environment, "PATH": "/nowhere"}, script)
    assert without[0] == "UsageError"
    assert "azure-v1" in without[2]


def test_the_hint_names_the_service_connection() -> None:
    assert "aml-workspace-connection" in log_in_hint()
