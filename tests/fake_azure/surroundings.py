"""Environments for subprocesses: where the proxy is, whom to trust, an own home, and each way of having an identity."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fake_azure.azure import FakeAzure

ROOT = Path(__file__).resolve().parents[2]
# Nothing of the developer's own Azure, proxy or trust reaches a test.
_FOREIGN = re.compile(
    r"AZURE|AZUREML|ARM_|MSI_|IDENTITY_|IMDS_|SYSTEM_|BUILD_|AGENT_|DEFAULT_IDENTITY|APPLICATIONINSIGHTS|OTEL_|.*_PROXY$"
    r"|(SSL_CERT|REQUESTS_CA|CURL_CA|NODE_EXTRA)|servicePrincipal|idToken|tenantId|HOME$|XDG_",
    re.IGNORECASE,
)
SIGN_IN_SECONDS = 240  # a federated token lives ten minutes: sign in anew well before


def base(azure: FakeAzure) -> dict[str, str]:
    """Plain HTTP goes through the proxy too: nothing leaks. Certificates are verified against our authority only."""
    kept = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
    bundle = str(azure.authority.bundle)
    trust = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"), bundle)
    proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), azure.address)
    config = _config_folder(azure.home / ".azure")
    return {
        **kept,
        **trust,
        **proxies,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "HOME": str(azure.home),
        "AZURE_CONFIG_DIR": str(config),
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        "AZURE_CORE_SURVEY_MESSAGE": "false",
        "AZURE_CORE_NO_COLOR": "true",
        "AZURE_CORE_ENCRYPT_TOKEN_CACHE": "false",
        "AZURE_CORE_DISPLAY_REGION_IDENTIFIED": "false",
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    }


def _config_folder(folder: Path) -> Path:
    """Of an az that has looked for its newest version today, which no setting keeps it from."""
    folder.mkdir(parents=True, exist_ok=True)
    installed = {"local": version("azure-cli-core")}
    looked = {"versions": {"azure-cli": installed, "core": installed}, "update_time": f"{datetime.now()}"}
    (folder / "versionCheck.json").write_text(json.dumps(looked))
    return folder


def in_pipeline(azure: FakeAzure) -> dict[str, str]:
    """The variables of a DevOps task that is given its access token; AzureCLI@2 adds the service connection's own."""
    state = azure.state
    collection = "https://dev.azure.com/fake-organization/"
    plan = "fake-project/_apis/distributedtask/hubs/build/plans/11111111-0000/jobs/22222222-0000/oidctoken"
    return {
        **base(azure),
        "TF_BUILD": "True",
        "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": collection,
        "SYSTEM_OIDCREQUESTURI": collection + plan,
        "SYSTEM_ACCESSTOKEN": state.system_access_token,
        "AZURESUBSCRIPTION_CLIENT_ID": state.client_id,
        "AZURESUBSCRIPTION_TENANT_ID": state.tenant,
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": state.service_connection,
    }


def on_cluster(azure: FakeAzure) -> dict[str, str]:
    """What a compute cluster with a user-assigned identity gives its jobs."""
    return {
        **base(azure),
        "MSI_ENDPOINT": f"{azure.address}/msi/token",
        "MSI_SECRET": azure.state.identity_secret,
        "DEFAULT_IDENTITY_CLIENT_ID": azure.state.managed_client_id,
        "AZUREML_RUN_ID": "a-run-of-the-test",
    }


def with_metadata_service(azure: FakeAzure) -> dict[str, str]:
    """On a virtual machine: 169.254.169.254 answers (through the proxy, as nothing else can listen there)."""
    azure.state.metadata_service = True
    return base(azure)


def signed_in(azure: FakeAzure) -> dict[str, str]:
    """The az profile after `az login --federated-token`, made once and copied into this test's home."""
    environment = base(azure)
    template = azure.folder / "signed-in"
    stamp = template / "azureProfile.json"
    if not stamp.is_file() or time.time() - stamp.stat().st_mtime > SIGN_IN_SECONDS:
        shutil.rmtree(template, ignore_errors=True)
        _config_folder(template)
        before = len(azure.requests)
        sign_in({**environment, "AZURE_CONFIG_DIR": str(template)}, azure)
        azure.requests.clear(before)  # so that it is the same for the first test as for the others
    shutil.copytree(template, environment["AZURE_CONFIG_DIR"], dirs_exist_ok=True)
    return environment


def sign_in(environment: dict[str, str], azure: FakeAzure) -> None:
    """Logs the real azure-cli-core in with a federated token, which travels by environment, as in the task."""
    state = azure.state
    identity = {
        "servicePrincipalId": state.client_id,
        "tenantId": state.tenant,
        "idToken": azure.tokens.federated(state.subject),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.fake_azure.sign_in"]
    done = subprocess.run(
        command, env={**environment, **identity}, cwd=azure.home, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"the login failed:\n{done.stdout}{done.stderr}"
