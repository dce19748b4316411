"""Entra, the id tokens of DevOps and the managed identity's endpoints: what they give, and what they refuse."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
import requests

from tests.fake_azure.azure import FakeAzure
from tests.fake_azure.login import JWT_BEARER
from tests.fake_azure.tokens import Tokens

LOGIN = "https://login.microsoftonline.com"
METADATA = "http://169.254.169.254/metadata/identity/oauth2/token"


def token_address(azure: FakeAzure, tenant: str = "") -> str:
    return f"{LOGIN}/{tenant or azure.state.tenant}/oauth2/v2.0/token"


def form(azure: FakeAzure, **changed: str) -> dict[str, str]:
    """What a service connection sends, with changes."""
    whole = {
        "grant_type": "client_credentials",
        "client_id": azure.state.client_id,
        "client_assertion_type": JWT_BEARER,
        "client_assertion": azure.tokens.federated(azure.state.subject),
        "scope": "https://management.azure.com/.default",
    }
    return {**whole, **changed}


def run(environment: Mapping[str, str], script: str) -> Any:
    """What the script prints last, as JSON: the real libraries, in a process of their own."""
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_federated_token_buys_an_access_token(azure: FakeAzure, http: requests.Session) -> None:
    answer = http.post(token_address(azure), data=form(azure)).json()
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["aud"] == "https://management.azure.com"
    assert claims["appid"] == azure.state.client_id
    assert claims["tid"] == azure.state.tenant
    assert claims["iss"] == f"https://sts.windows.net/{azure.state.tenant}/"
    assert claims["oid"] != azure.state.client_id
    assert answer["expires_in"] == azure.tokens.lifetime
    assert 3500 < claims["exp"] - time.time() < 3700


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"grant_type": "password"}, 70003),
        ({"client_id": "somebody-else"}, 700016),
        ({"client_assertion": ""}, 7000218),
        ({"client_assertion_type": "secret"}, 7000218),
        ({"client_assertion": "not.a.token"}, 50027),
        ({"scope": "https://example.com/.default"}, 500011),
        ({"scope": "https://management.azure.com"}, 1002012),
    ],
)
def test_what_entra_refuses(azure: FakeAzure, http: requests.Session, changed: dict[str, str], number: int) -> None:
    answer = http.post(token_address(azure), data=form(azure, **changed))
    assert answer.status_code in (400, 401)
    assert answer.json()["error_codes"] == [number]
    assert f"AADSTS{number}:" in answer.json()["error_description"]


def test_a_federated_token_of_somebody_else_of_another_connection_or_too_old(
    azure: FakeAzure, http: requests.Session
) -> None:
    tokens, subject = azure.tokens, azure.state.subject
    refused = {
        50027: Tokens(azure.state.tenant).federated(subject),
        700213: tokens.federated("sc://fake-organization/fake-project/another-connection"),
        700024: tokens.federated(subject, seconds=-1),
        700212: tokens.access("https://management.azure.com", object_id="o", client_id=azure.state.client_id),
    }
    for number, assertion in refused.items():
        answer = http.post(token_address(azure), data=form(azure, client_assertion=assertion))
        assert (answer.status_code, answer.json()["error_codes"]) == (401, [number])
    issuer = tokens.federated(subject, issuer="https://token.actions.example.com")
    assert http.post(token_address(azure), data=form(azure, client_assertion=issuer)).json()["error_codes"] == [700213]


def test_discovery_knows_one_tenant(azure: FakeAzure, http: requests.Session) -> None:
    known = http.get(f"{LOGIN}/{azure.state.tenant}/v2.0/.well-known/openid-configuration").json()
    assert known["token_endpoint"] == token_address(azure)
    unknown = http.get(f"{LOGIN}/another/v2.0/.well-known/openid-configuration")
    assert (unknown.status_code, unknown.json()["error_codes"]) == (400, [90002])
    assert http.post(token_address(azure, "another"), data=form(azure)).json()["error_codes"] == [90002]


def test_id_tokens_of_devops(azure: FakeAzure, http: requests.Session) -> None:
    environment = azure.in_pipeline()
    address = environment["SYSTEM_OIDCREQUESTURI"]
    query = {"api-version": "7.1", "serviceConnectionId": azure.state.service_connection}
    right = {"Authorization": f"Bearer {azure.state.system_access_token}"}
    assert http.post(address, params=query, headers=right).json()["oidcToken"].count(".") == 2
    assert http.post(address, params=query).status_code == 401
    assert http.post(address, params=query, headers={"Authorization": "Bearer other"}).status_code == 401
    assert http.post(address, params={**query, "serviceConnectionId": "other"}, headers=right).status_code == 404
    assert http.post(address, params={**query, "api-version": ""}, headers=right).status_code == 400


def test_the_endpoint_of_a_cluster(azure: FakeAzure, http: requests.Session) -> None:
    http.proxies = {}
    environment = azure.on_cluster()
    address, secret = environment["MSI_ENDPOINT"], {"secret": environment["MSI_SECRET"]}
    client = environment["DEFAULT_IDENTITY_CLIENT_ID"]
    query = {"api-version": "2017-09-01", "resource": "https://storage.azure.com", "clientid": client}
    answer = http.get(address, params=query, headers=secret).json()
    assert azure.tokens.claims(answer["access_token"], ("https://storage.azure.com",))["appid"] == client
    assert int(answer["expires_on"]) - time.time() > 3500
    assert http.get(address, params=query).status_code == 401
    assert http.get(address, params={**query, "api-version": "1"}, headers=secret).status_code == 400
    assert http.get(address, params={**query, "clientid": ""}, headers=secret).status_code == 400
    assert http.get(address, params={**query, "clientid": "other"}, headers=secret).status_code == 400
    assert http.get(address, params={**query, "resource": "https://x"}, headers=secret).status_code == 400
    old = {"resource": "https://management.azure.com/", "client_id": client}  # as SDK v1 asks
    metadata = {"Metadata": "true"}
    assert http.post(address, data=old, headers={**metadata, **secret}).json()["token_type"] == "Bearer"
    assert http.post(address, data=old, headers=secret).status_code == 400
    refused = http.post(address, data=old, headers=metadata)
    assert (refused.status_code, "Invalid secret token header" in refused.text) == (401, True)


def test_the_metadata_address(azure: FakeAzure, http: requests.Session) -> None:
    query = {"api-version": "2018-02-01", "resource": "https://management.azure.com"}
    query["client_id"] = azure.state.managed_client_id
    metadata = {"Metadata": "true"}
    assert http.get(METADATA, params=query, headers=metadata).status_code == 404  # not on every machine
    azure.on_machine()
    assert http.get(METADATA, params=query, headers=metadata).json()["resource"] == query["resource"]
    assert http.get(METADATA, params=query).status_code == 400
    del query["api-version"]
    assert http.get(METADATA, params=query, headers=metadata).status_code == 400
    assert azure.refused == []


def test_the_real_libraries_log_in_as_a_service_connection_does(azure: FakeAzure) -> None:
    """azure-cli-core by a federated token; then its profile, and the SDKs' own credentials that stand on it."""
    script = """
import json
from azure.cli.core._profile import Profile
from azureml.core.authentication import AzureCliAuthentication
from azure.mgmt.resource import SubscriptionClient
credential, subscription, tenant = Profile().get_login_credentials()
names = [s.display_name for s in SubscriptionClient(credential).subscriptions.list()]
header = AzureCliAuthentication().get_authentication_header()
print(json.dumps([subscription, tenant, names, sorted(header)]))
"""
    found = run(azure.signed_in(), script)
    state = azure.state
    assert found == [state.subscription, state.tenant, ["Fake subscription"], ["Authorization"]]
    azure.assert_clean()


def test_the_real_libraries_use_managed_identities(azure: FakeAzure) -> None:
    script = """
import json, os
from azure.identity import ManagedIdentityCredential
from azureml.core.authentication import MsiAuthentication, TokenAuthentication
client = os.environ["DEFAULT_IDENTITY_CLIENT_ID"]
credential = ManagedIdentityCredential(client_id=client)
new = credential.get_token("https://storage.azure.com/.default").token
old = TokenAuthentication(lambda a: credential.get_token(f"{a.rstrip('/')}/.default").token).get_token()
try:
    said = MsiAuthentication(identity_config={"client_id": client}).get_token().token
except Exception as error:
    said = str(error)
print(json.dumps([new, old, said]))
"""
    new, old, said = run(azure.on_cluster(), script)
    assert azure.tokens.claims(new, ("https://storage.azure.com",))
    assert azure.tokens.claims(old, ("https://management.azure.com", "https://management.core.windows.net"))
    assert "401" in said, "a cluster's endpoint refuses MsiAuthentication, which sends no secret"
    azure.assert_clean()


def test_the_real_libraries_use_the_pipelines_own_credential_and_the_metadata_address(azure: FakeAzure) -> None:
    script = """
import json, os
from azure.identity import AzurePipelinesCredential, ManagedIdentityCredential
pipeline = AzurePipelinesCredential(
    tenant_id=os.environ["AZURESUBSCRIPTION_TENANT_ID"],
    client_id=os.environ["AZURESUBSCRIPTION_CLIENT_ID"],
    service_connection_id=os.environ["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"],
    system_access_token=os.environ["SYSTEM_ACCESSTOKEN"],
)
machine = ManagedIdentityCredential(client_id=os.environ["MANAGED"])
scope = "https://ml.azure.com/.default"
print(json.dumps([pipeline.get_token(scope).token, machine.get_token(scope).token]))
"""
    environment = {**azure.on_machine(), **azure.in_pipeline(MANAGED=azure.state.managed_client_id)}
    pipeline, machine = run(environment, script)
    assert azure.tokens.claims(pipeline, ("https://ml.azure.com",))["appid"] == azure.state.client_id
    assert azure.tokens.claims(machine, ("https://ml.azure.com",))["appid"] == azure.state.managed_client_id
    azure.assert_clean()


def test_nothing_of_this_machines_own_reaches_a_subprocess(azure: FakeAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = ("AZURE_CLIENT_SECRET", "MSI_ENDPOINT", "NO_PROXY", "ALL_PROXY", "AZUREML_RUN_ID", "SYSTEM_ACCESSTOKEN")
    for name in foreign:
        monkeypatch.setenv(name, "the developer's own")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    environment = azure.environment()
    assert "the developer's own" not in environment.values()
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["HOME"] == str(azure.home)
    assert environment["HTTPS_PROXY"] == azure.address
    assert environment["REQUESTS_CA_BUNDLE"] == environment["SSL_CERT_FILE"] == str(azure.authority.bundle)
