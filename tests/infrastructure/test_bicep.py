"""infrastructure/ by the check of Bicep: nothing is wrong. And the check itself: a small right tree, one slip a time.

Each row of SLIPS names the rule that must speak; the sample is silent as it stands, so a rule that always speaks fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_azure.published_types import BESIDE, VARIABLE, folder
from tests.infrastructure.bicep.azure_types import Library, UnknownTypeError
from tests.infrastructure.bicep.read import read
from tests.infrastructure.bicep.testing import PROJECT, SAMPLE, check, copy, findings_after

MAIN, STORAGE = "infrastructure/main.bicep", "infrastructure/modules/storage.bicep"
ACCESS, REGISTRY = "infrastructure/modules/access.bicep", "infrastructure/modules/registry.bicep"
IDENTITY, GIVEN = "infrastructure/modules/identity.bicep", "infrastructure/main.parameters.test.json"

PRINCIPAL = "principalId: identity.outputs.principalId"
OF_ACCOUNT, BY_NAME = "storageAccountName: storage.outputs.name\n", "storageAccountName: 'st${baseName}${suffix}'\n"

SLIPS = [
    # syntax
    ("syntax", STORAGE, "kind: 'StorageV2'", 'kind: "StorageV2"'),
    ("syntax", STORAGE, "kind: 'StorageV2'", "kind: 'StorageV2' tags: {}"),
    ("syntax", MAIN, "for (person, index) in readers", "for person, index in readers"),
    ("syntax", MAIN, "skuName == 'Standard_ZRS'", "skuName = 'Standard_ZRS'"),
    ("syntax", GIVEN, '{ "value": 30 }', '{ "value": 30 },'),
    ("dollar", MAIN, "'${baseName}-id'", "'{baseName}-id'"),
    # symbols
    ("undefined", STORAGE, "days: keepDays", "days: keptDays"),
    ("undefined", REGISTRY, "'${identityResourceId}': {}", "'${identityId}': {}"),
    ("unused", STORAGE, "days: keepDays", "days: 7"),
    ("unused", MAIN, "roleId: storageBlobDataReader\n    }\n  }\n]", "roleId: person\n    }\n  }\n]\nvar spare = 1"),
    ("unused", MAIN, "'modules/registry.bicep'", "'modules/identity.bicep'"),
    ("duplicate", MAIN, "module storage ", "module identity "),
    ("duplicate", STORAGE, "accessTier: 'Hot'", "accessTier: 'Hot'\n    accessTier: 'Cool'"),
    ("unknown-function", MAIN, "uniqueString(", "uniquestring("),
    ("arguments", MAIN, "!empty(archivePassword)", "!empty(archivePassword, 1)"),
    ("cycle", MAIN, "var suffix = uniqueString(resourceGroup().id, baseName)", "var suffix = '${suffix}x'"),
    # types of expressions
    ("wrong-type", MAIN, "!empty(archivePassword)", "archivePassword"),
    ("wrong-type", MAIN, "param keepDays int = 7", "param keepDays int = '7'"),
    ("wrong-type", MAIN, "output storageName string", "output storageName int"),
    ("wrong-type", MAIN, "in readers:", "in baseName:"),
    ("wrong-type", MAIN, "dependsOn: [identityReads]", "dependsOn: ['identityReads']"),
    ("wrong-type", STORAGE, "made[0].id", "made.id"),
    ("unknown-type", STORAGE, "param keepDays int", "param keepDays integer"),
    ("unknown-property", MAIN, "resourceGroup().location", "resourceGroup().region"),
    ("unknown-property", STORAGE, "primaryEndpoints.blob", "primaryEndpoint.blob"),
    ("never", MAIN, "skuName == 'Standard_ZRS'", "skuName == 'Standard_GRS'"),
    # Azure's types
    ("unknown-type", STORAGE, "blobServices@2025-06-01", "blobServices@2025-06-02"),
    ("unknown-type", STORAGE, "'Microsoft.Storage/storageAccounts@", "'Microsoft.Storage/storageAccount@"),
    ("unknown-type", STORAGE, "'Microsoft.Storage/storageAccounts@", "'Microsoft.Storages/storageAccounts@"),
    ("unknown-property", STORAGE, "accessTier", "accesTier"),
    ("unknown-value", STORAGE, "'Hot'", "'Warm'"),
    ("wrong-type", STORAGE, "enabled: true", "enabled: 'true'"),
    ("wrong-type", STORAGE, "sku: { name: skuName }", "sku: skuName"),
    ("missing", STORAGE, "  kind: 'StorageV2'\n", ""),
    ("read-only", STORAGE, "accessTier: 'Hot'", "provisioningState: 'Succeeded'"),
    ("range", MAIN, "@maxValue(365)", "@maxValue(400)"),
    ("length", MAIN, "@maxLength(8)", "@maxLength(12)"),
    # children, scopes, what exists
    ("parent", STORAGE, "  parent: account\n", ""),
    ("parent", STORAGE, "parent: blobs", "parent: account"),
    ("existing", ACCESS, "  name: storageAccountName\n", "  name: storageAccountName\n  kind: 'StorageV2'\n"),
    ("scope", ACCESS, "scope: account", "scope: resourceGroup()"),
    ("scope", MAIN, "targetScope = 'resourceGroup'", "targetScope = 'subscription'"),
    ("known-late", MAIN, "if (withRegistry && wanted)", "if (storage.outputs.name != '' && wanted && withRegistry)"),
    ("conditional", MAIN, "withRegistry ? registry.outputs.host : ''", "registry.outputs.host"),
    # modules
    ("no-module", MAIN, "'modules/storage.bicep'", "'modules/storages.bicep'"),
    ("unknown-parameter", MAIN, "skuName: skuName", "sku: skuName"),
    ("missing-parameter", MAIN, "    skuName: skuName\n", ""),
    ("wrong-type", MAIN, "['incoming', 'outgoing']", "'incoming'"),
    ("not-allowed", MAIN, "skuName: skuName", "skuName: 'Premium_LRS'"),
    ("unknown-output", MAIN, "storage.outputs.blobEndpoint", "storage.outputs.endpoint"),
    ("unknown-property", MAIN, "dependsOn: [identityReads]", "dependOn: [identityReads]"),
    # order
    ("order", MAIN, "  dependsOn: [identityReads]\n", ""),
    ("order", MAIN, "dependsOn: [identityReads]", "dependsOn: [identityReads, identity]"),
    ("order", MAIN, f"{OF_ACCOUNT}      roleId", f"{BY_NAME}      roleId"),
    # decorators and descriptions
    ("decorator", MAIN, "@secure()", "@secret()"),
    ("decorator", MAIN, "@secure()", "@secure(true)"),
    ("decorator", MAIN, "@minValue(1)", "@minLength(1)"),
    ("decorator", MAIN, "@minValue(1)", "@minValue(366)"),
    ("not-allowed", MAIN, "param skuName string = 'Standard_LRS'", "param skuName string = 'Standard_GRS'"),
    ("range", MAIN, "param keepDays int = 7", "param keepDays int = 0"),
    ("description", MAIN, "@description('Optional. Region.')\n", ""),
    ("description", MAIN, "Optional. Region.", "Region."),
    ("description", MAIN, "Optional. Region.", "Required. Region."),
    ("description", MAIN, "; needed where there is one", ""),
    # what must be shut
    ("insecure", STORAGE, "allowBlobPublicAccess: false", "allowBlobPublicAccess: true"),
    ("insecure", STORAGE, "    allowSharedKeyAccess: false\n", ""),
    ("insecure", STORAGE, "'TLS1_2'", "'TLS1_1'"),
    ("insecure", REGISTRY, "adminUserEnabled: false", "adminUserEnabled: true"),
    ("secret", STORAGE, "string = account.name", "string = account.listKeys().keys[0].value"),
    ("secret", MAIN, "string = storage.outputs.name", "string = archivePassword"),
    ("secret", MAIN, "@secure()\n", ""),
    ("secret", MAIN, "param archivePassword string = ''", "param archivePassword string = 'sesame'"),
    ("secret", MAIN, "name: '${baseName}-id'", "name: archivePassword"),
    ("location", MAIN, "keepDays: keepDays", "keepDays: resourceGroup().location == '' ? 1 : 2"),
    ("host", MAIN, "storage.outputs.blobEndpoint", "'https://x.blob.core.windows.net'"),
    # roles
    ("role-scope", ACCESS, "  scope: account\n", ""),
    ("role-principal", ACCESS, "    principalType: principalType\n", ""),
    ("role-principal", MAIN, PRINCIPAL, "principalId: storage.outputs.name"),
    ("role-principal", MAIN, PRINCIPAL, f"{PRINCIPAL}\n    principalType: 'User'"),
    ("role-assignment-name", ACCESS, "guid(account.id, principalId, roleId)", "guid(account.id, roleId)"),
    ("role-assignment-name", ACCESS, "guid(account.id, principalId, roleId)", "roleId"),
    ("role-unknown", MAIN, "2a2b9908-6ea1", "2a2b9909-6ea1"),
    ("role-misplaced", MAIN, "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "7f951dda-4ed3-4680-a7ca-43fe172d538d"),
    ("role-name", MAIN, "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "ba92f5b4-2d11-453d-a403-e96b0029c9fe"),
    ("role-privileged", MAIN, "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"),
    ("reference", MAIN, "identity.outputs.resourceId", "identity.outputs.principalId"),
    # names
    ("not-unique", MAIN, "'st${baseName}${suffix}'", "'st${baseName}'"),
    ("not-unique", MAIN, "uniqueString(resourceGroup().id, baseName)", "uniqueString(baseName)"),
    ("pattern", MAIN, "'cr${baseName}${suffix}'", "'cr-${baseName}${suffix}'"),
    ("duplicate-name", MAIN, "'identity-reads'", "'storage'"),
    ("duplicate-name", MAIN, "'person-${index}-reads'", "'person-reads'"),
    ("wrong-name", MAIN, f"{OF_ACCOUNT}    roleId", f"{BY_NAME.replace(chr(39) + 'st', chr(39) + 'cr')}    roleId"),
    # what goes together
    ("together", REGISTRY, "type: 'UserAssigned'", "type: 'SystemAssigned'"),
    ("together", REGISTRY, "    userAssignedIdentities: {\n      '${identityResourceId}': {}\n    }\n", ""),
    ("together", REGISTRY, "registry.properties.loginServer", "registry.identity.principalId"),
    # parameters files
    ("unknown-parameter", GIVEN, "keepDays", "keptDays"),
    ("wrong-type", GIVEN, "30", '"30"'),
    ("range", GIVEN, "30", "400"),
    ("not-allowed", GIVEN, "Standard_ZRS", "Standard_GRS"),
    ("parameters", GIVEN, '{ "value": 30 }', "30"),
    ("parameters", GIVEN, "deploymentParameters", "deploymentTemplate"),
    ("missing-parameter", MAIN, "param keepDays int = 7", "param keepDays int = 7\nparam x string"),
]  # fmt: skip


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sample")
    copy(SAMPLE, root)
    return root


def test_our_own_infrastructure_has_no_finding() -> None:
    assert [str(each) for each in check(PROJECT)] == []


def test_a_module_is_read_on_one_page() -> None:
    """One that only puts others together may be longer."""
    for path in (PROJECT / "infrastructure" / "modules").glob("*.bicep"):
        text = path.read_text(encoding="utf-8")
        own = "\nresource " in text
        assert len(text.splitlines()) <= (80 if own else 130), path.name


def test_the_sample_has_no_finding() -> None:
    assert [str(each) for each in check(SAMPLE)] == []


@pytest.mark.parametrize(
    ("rule", "file", "find", "replace"), SLIPS, ids=[f"{row[0]}-{n}" for n, row in enumerate(SLIPS)]
)
def test_a_slip_is_found_by_its_rule(rule: str, file: str, find: str, replace: str, sample: Path) -> None:
    found = findings_after(sample, file, find, replace)
    assert rule in {each.rule for each in found}, [str(each) for each in found]


def test_a_right_edit_stays_silent(sample: Path) -> None:
    """What a Bicep author may well write, and what the check must not hold against them."""
    edits = [
        (MAIN, "'person-${index}-reads'", "'${person}-reads'"),
        (MAIN, "withRegistry ? registry.outputs.host : ''", "registry.?outputs.?host ?? ''"),
        (MAIN, "dependsOn: [identityReads]", "dependsOn: [\n    identityReads\n  ]"),
        (STORAGE, "sku: { name: skuName }", "sku: {\n    name: skuName // as given\n  }"),
        (STORAGE, "  parent: account\n  name: 'default'", "  name: '${account.name}/default'"),
        (ACCESS, "name: guid(account.id, principalId, roleId)", "name: guid(account.id, principalId, roleId, 'more')"),
        (MAIN, "['incoming', 'outgoing']", "concat(['incoming'], ['outgoing'])"),
    ]
    for file, find, replace in edits:
        assert [str(each) for each in findings_after(sample, file, find, replace)] == [], replace


def test_what_is_not_understood_is_a_finding(sample: Path) -> None:
    found = findings_after(sample, MAIN, "var suffix", "type t = 'a' | 'b'\nvar suffix")
    assert {each.rule for each in found} == {"not-understood"}


def test_the_place_of_a_finding_is_where_the_value_was_written(sample: Path) -> None:
    found = findings_after(sample, MAIN, "'st${baseName}${suffix}'", "'st-${baseName}${suffix}'")
    line = (sample / MAIN).read_text(encoding="utf-8").splitlines().index("    name: 'st${baseName}${suffix}'") + 1
    assert {(each.place.path, each.place.line) for each in found if each.rule == "pattern"} == {(MAIN, line)}


def test_text_is_read_with_its_escapes_and_gaps() -> None:
    file = read("x.bicep", "var a = 'it\\'s ${b} ${c}\\u{21} \\${d}'\nvar e = '''\nplain ${f}'''\n")
    first, second = (each.value for each in file.declarations)  # type: ignore[attr-defined]
    assert [part if isinstance(part, str) else part.name for part in first.parts] == ["it's ", "b", " ", "c", "! ${d}"]
    assert second.literal is not None


def test_the_definitions_are_found_by_the_variable_or_beside_the_project(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert PROJECT.parent / "shared" / "data" / "azure-resource-types" == BESIDE
    if BESIDE.is_dir():
        assert folder() == BESIDE
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert folder() == tmp_path
    with pytest.raises(UnknownTypeError, match=r"no definitions of the provider 'microsoft\.storage'"):
        Library(tmp_path).resource("Microsoft.Storage/storageAccounts@2025-06-01")
