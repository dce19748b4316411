"""No secret, key or token in the repository, in an output of Bicep or in the arguments of a command that we ship.

Every file that git tracks is searched for the shapes that secrets have; outputs are read by the check of Bicep,
commands by the words that would hold one. What runs is held to it where it runs: `tests/fake_azure/secrecy.py` looks
for every secret that the fake gave out in logs, folders, records, blobs and the argument lists of all processes.
"""

from __future__ import annotations

import fnmatch
import re
import subprocess
from pathlib import Path

import pytest

from tests.infrastructure.bicep.check import check
from tests.infrastructure.bicep.testing import SAMPLE, copy, findings_after, library

ROOT = Path(__file__).resolve().parents[1]
SHAPES = {
    "account key": re.compile(r"AccountKey\s*=\s*[A-Za-z0-9+/]{20,}={0,2}"),
    "shared access signature": re.compile(r"SharedAccess(?:Signature|Key)\s*=\s*\S{12,}"),
    "signature of an address": re.compile(r"[?&]sig=[A-Za-z0-9%+/]{20,}"),
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/]{20,}"),
    "token": re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    "value of a key": re.compile(
        r"(?i)(?<![a-z])(?:api_?key|access_?key|account_?key|client_?secret|password|secret_?key)"
        r"[\"']?\s*[:=]\s*[\"']?(?=[A-Za-z0-9+/_-]*[0-9])(?=[A-Za-z0-9+/_-]*[A-Za-z])[A-Za-z0-9+/_-]{32,}={0,2}"
    ),
    "connection string": re.compile(r"DefaultEndpointsProtocol=https?;AccountName=[^;\s]+;AccountKey=[A-Za-z0-9+/]{8}"),
}
ALLOWED: dict[str, str] = {}  # file -> why a secret's shape may stand there; nothing so far
SEEDED = {
    "account key": "AccountKey=" + "aB3/" * 21 + "==",
    "shared access signature": "SharedAccessSignature=" + "sv2024sig" * 3,
    "signature of an address": "https://a.blob.core.windows.net/c/b?sv=2024-11-04&sig=" + "aB3%2F" * 8,
    "private key": "-----BEGIN " + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0B" * 2,
    "token": ".".join(["eyJ" + "hbGciOiJS", "eyJ" + "zdWIiOiIx", "c2lnbmF0dXJl"]),
    "value of a key": 'client_secret: "' + "q8Z7" * 10 + '"',
    "connection string": "DefaultEndpointsProtocol=https;AccountName=a;" + "AccountKey=" + "aB3/" * 21,
}


def found_in(text: str) -> list[str]:
    return [name for name, shape in SHAPES.items() if shape.search(text)]


def tracked() -> list[str]:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True)
    return [path for path in done.stdout.decode().split("\0") if path and (ROOT / path).is_file()]


def test_no_file_that_git_tracks_holds_a_secret() -> None:
    files = tracked()
    assert len(files) > 300, "this is no checkout of the project"
    wrong = {
        path: found for path in files if (found := found_in((ROOT / path).read_bytes().decode("utf-8", "replace")))
    }
    assert wrong.keys() == ALLOWED.keys(), wrong


@pytest.mark.parametrize("kind", SHAPES)
def test_each_shape_is_found_where_it_is(kind: str) -> None:
    assert kind in found_in(f"before\n{SEEDED[kind]}\nafter")


@pytest.mark.parametrize(
    "text",
    [
        "AccountKey=<key of the account>",
        "password: $(ADMIN_PASSWORD)",
        "https://a.blob.core.windows.net/c?sig=<hidden>",
        "Authorization: Bearer $TOKEN",
        "secret_key = load_key(path)",
    ],
)
def test_a_placeholder_is_no_secret(text: str) -> None:
    assert found_in(text) == []


# outputs of Bicep -----------------------------------------------------------------------------------------------------

ACCOUNT = "infrastructure/modules/storage.bicep"
LEAKS = {
    "a list of keys": ("account.listKeys().keys[0].value", ACCOUNT),
    "a key in a connection string": (
        "'DefaultEndpointsProtocol=https;AccountKey=${account.listKeys().keys[0].value}'",
        ACCOUNT,
    ),
    "a secure parameter": ("archivePassword", "infrastructure/main.bicep"),
}


def secrets_in_outputs(root: Path) -> list[str]:
    return [str(each) for each in check(root, library()) if each.rule == "secret"]


def test_no_output_of_bicep_holds_a_secret() -> None:
    outputs = [path for path in (ROOT / "infrastructure").rglob("*.bicep") if "\noutput " in path.read_text()]
    assert len(outputs) > 10, "there is nothing to look at"
    assert secrets_in_outputs(ROOT) == []


@pytest.mark.parametrize("leak", LEAKS)
def test_an_output_that_holds_one_is_found(tmp_path: Path, leak: str) -> None:
    value, file = LEAKS[leak]
    copy(SAMPLE, tmp_path)
    last = (tmp_path / file).read_text().rstrip().splitlines()[-1]
    found = findings_after(tmp_path, file, last, f"{last}\noutput leaked string = {value}")
    assert any(each.rule == "secret" and "output 'leaked' holds a secret" in each.message for each in found), found


# arguments of commands ------------------------------------------------------------------------------------------------

# An option whose value is a secret, and a variable of a pipeline or a shell that is one by its name, as an argument.
OPTION = re.compile(
    r"(?<![\w-])--?(?:password|passwd|client-secret|secret|token|access-token|federated-token|account-key|sas-token"
    r"|connection-string|api-key|private-key)(?:[= ]|$)",
    re.IGNORECASE,
)
NAMED = re.compile(
    r"\$[({]?(?:System\.AccessToken|SYSTEM_ACCESSTOKEN|idToken|servicePrincipalKey"
    r"|\w*(?:PASSWORD|SECRET|TOKEN|SAS|APIKEY|API_KEY|ACCOUNT_KEY|CONNECTION_STRING))\b(?![_.]FILE)",
    re.IGNORECASE,
)
SHIPPED = (".pipelines/*", "infrastructure/*.sh", "Makefile", "docs/*.md", "README.md", "infrastructure/README.md")
QUIET = re.compile(r"^\s*(#|export |[A-Z_]+: )|<<<|^\s*\w+=\$\(")  # a comment, the environment, stdin, an assignment


def told_in_arguments(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not QUIET.search(line)]
    return [line.strip() for line in lines if OPTION.search(line) or NAMED.search(line)]


def test_no_command_that_we_ship_is_given_a_secret_as_an_argument() -> None:
    files = [path for path in tracked() if any(fnmatch.fnmatch(path, pattern) for pattern in SHIPPED)]
    assert len(files) > 20
    told = {path: found for path in files if (found := told_in_arguments((ROOT / path).read_text(encoding="utf-8")))}
    assert told == {}


@pytest.mark.parametrize(
    "line",
    [
        "az login --service-principal --federated-token $idToken",
        'az storage blob upload --account-key "$KEY"',
        "arguments: --property token=$(System.AccessToken)",
        'curl -H "Authorization: Bearer $SYSTEM_ACCESSTOKEN" https://x',
        "docker login --password $(REGISTRY_PASSWORD)",
        "cva endpoint publish --sas-token abc",
        "sign --with ${SIGNING_SECRET}",
    ],
)
def test_an_argument_that_is_one_is_found(line: str) -> None:
    assert told_in_arguments(f"echo before\n  {line}\n") == [line]


@pytest.mark.parametrize(
    "line",
    [
        "CVA_SIGNING_KEY_FILE: $(signing_key.secureFilePath)",
        'install -m 600 "$CVA_SIGNING_KEY_FILE" "$private/signing.key"',
        "  SYSTEM_ACCESSTOKEN: $(System.AccessToken)",
        "az storage blob upload --auth-mode login",
        "# --password is never used",
    ],
)
def test_an_argument_that_is_none_is_left_alone(line: str) -> None:
    assert told_in_arguments(line) == []
