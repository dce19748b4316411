"""What must be shut: TLS, HTTPS, public access, local accounts and keys; and that no secret leaves by an output.

A switch whose default is open must be written out. What a parameter leaves open is judged by the values it can have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.infrastructure.bicep import tree
from tests.infrastructure.bicep.instances import Instance
from tests.infrastructure.bicep.paths import at_path
from tests.infrastructure.bicep.symbols import expressions, roots
from tests.infrastructure.bicep.values import Text, Truth, Value, each_of, is_secret, render

SECRET_NAME = re.compile(r"(password|secret|token|connectionString|(account|access|api|shared)Key)$", re.I)
# Hosts that differ between Azure's clouds: environment() knows them.
HOSTS = re.compile(r"\b(core|database)\.windows\.net|\.vault\.azure\.net|management\.azure\.com|login\.microsoft")


@dataclass(frozen=True)
class Switch:
    type: str
    path: str
    safe: tuple[str, ...]
    written: bool = True  # it must be there: the default is open, or has been


TRUE, FALSE, TLS, STORAGE_TLS = ("true",), ("false",), ("1.2", "1.3"), ("TLS1_2", "TLS1_3")
SWITCHES = (
    Switch("Microsoft.Storage/storageAccounts", "properties.allowBlobPublicAccess", FALSE),
    Switch("Microsoft.Storage/storageAccounts", "properties.allowSharedKeyAccess", FALSE),
    Switch("Microsoft.Storage/storageAccounts", "properties.minimumTlsVersion", STORAGE_TLS),
    Switch("Microsoft.Storage/storageAccounts", "properties.supportsHttpsTrafficOnly", TRUE),
    Switch("Microsoft.Storage/storageAccounts", "properties.allowCrossTenantReplication", FALSE, False),
    Switch("Microsoft.Storage/storageAccounts/blobServices/containers", "properties.publicAccess", ("None",), False),
    Switch("Microsoft.KeyVault/vaults", "properties.enableRbacAuthorization", TRUE),
    Switch("Microsoft.KeyVault/vaults", "properties.enableSoftDelete", TRUE, False),
    Switch("Microsoft.KeyVault/vaults", "properties.enablePurgeProtection", TRUE),
    Switch("Microsoft.ContainerRegistry/registries", "properties.adminUserEnabled", FALSE),
    Switch("Microsoft.ContainerRegistry/registries", "properties.anonymousPullEnabled", FALSE, False),
    Switch("Microsoft.Web/sites", "properties.httpsOnly", TRUE),
    Switch("Microsoft.Web/sites", "properties.siteConfig.minTlsVersion", TLS),
    Switch("Microsoft.Web/sites", "properties.siteConfig.scmMinTlsVersion", TLS),
    Switch("Microsoft.Web/sites", "properties.siteConfig.ftpsState", ("Disabled", "FtpsOnly")),
    Switch("Microsoft.Web/sites", "properties.siteConfig.remoteDebuggingEnabled", FALSE, False),
    Switch("Microsoft.Web/sites/basicPublishingCredentialsPolicies", "properties.allow", FALSE),
    Switch("Microsoft.Devices/IotHubs", "properties.disableLocalAuth", TRUE),
    Switch("Microsoft.Devices/IotHubs", "properties.minTlsVersion", TLS, False),
    Switch(
        "Microsoft.Devices/IotHubs",
        "properties.routing.endpoints.storageContainers[].authenticationType",
        ("identityBased",),
        False,
    ),
    Switch("Microsoft.MachineLearningServices/workspaces/computes", "properties.disableLocalAuth", TRUE),
    Switch(
        "Microsoft.MachineLearningServices/workspaces/computes",
        "properties.properties.remoteLoginPortPublicAccess",
        ("Disabled",),
    ),
    Switch(
        "Microsoft.MachineLearningServices/workspaces/datastores", "properties.credentials.credentialsType", ("None",)
    ),
    Switch("Microsoft.MachineLearningServices/workspaces/datastores", "properties.protocol", ("https",), False),
)


def check_secure(instance: Instance) -> None:
    for each in instance.file.declarations:
        if isinstance(each, tree.Resource) and not each.existing:
            _switches(instance, each)
        elif isinstance(each, tree.Output) and is_secret(instance.evaluate(each.value)):
            instance.report(each.at, "secret", f"output '{each.name}' holds a secret, for every reader of deployments")
        elif isinstance(each, tree.Parameter):
            _parameter(instance, each)
    for declaration, root in roots(instance.file) if instance.caller is None else ():
        if not isinstance(declaration, tree.Parameter):
            _location(instance, root)
    for expression in expressions(instance.file) if instance.caller is None else ():
        if isinstance(expression, tree.String):
            _address(instance, expression)


def _switches(instance: Instance, resource: tree.Resource) -> None:
    kind = resource.target.partition("@")[0].lower()
    body = instance.body(resource)
    for switch in SWITCHES:
        if switch.type.lower() != kind:
            continue
        found = list(at_path(body, switch.path, resource.at))
        wanted = " or ".join(switch.safe)
        if not found and switch.written:
            instance.report(resource.at, "insecure", f"'{switch.path}' must be written out and be {wanted}")
        for at, value in found:
            for one in each_of(value):
                if _known(one) and render(one) not in switch.safe:
                    instance.report(at, "insecure", f"'{switch.path}' is {render(one)} and must be {wanted}")
    for at, value in at_path(body, "properties.siteConfig.appSettings[].value", resource.at):
        if is_secret(value):
            instance.report(at, "secret", "an app setting holds a secret; let it refer to a key vault")
    for at, value in at_path(body, "location", resource.at):
        if isinstance(value, Text) and value.literal not in (None, "global"):
            instance.report(at, "location", f"the region '{value.literal}' is written in; take it as a parameter")


def _known(value: Value) -> bool:
    if isinstance(value, Text):
        return value.literal is not None
    return isinstance(value, Truth) and value.value is not None


def _parameter(instance: Instance, parameter: tree.Parameter) -> None:
    secure = any(each.name == "secure" for each in parameter.decorators)
    if SECRET_NAME.search(parameter.name) and parameter.type.kind in ("string", "object") and not secure:
        instance.report(parameter.at, "secret", f"'{parameter.name}' is a secret by its name and needs @secure()")
    default = parameter.default
    if secure and isinstance(default, tree.String) and default.literal:
        instance.report(parameter.at, "secret", f"the default of '{parameter.name}' stands in the file for all to read")


def _location(instance: Instance, root: tree.Expression) -> None:
    for each in root.walk():
        if isinstance(each, tree.Member) and each.name == "location" and isinstance(each.object, tree.Call):
            instance.report(each.at, "location", "a region is a parameter's default, so that another can be given")


def _address(instance: Instance, text: tree.String) -> None:
    first = text.parts[0] if text.parts and isinstance(text.parts[0], str) else ""
    if first.startswith("http://"):
        instance.report(text.at, "insecure", f"'{first}' is plain HTTP")
    for part in text.parts:
        if isinstance(part, str) and (host := HOSTS.search(part)):
            instance.report(text.at, "host", f"'{host[0]}' differs between Azure's clouds; use environment()")
