"""Bicep's functions: how many arguments each takes, of what type, and what it gives. Evaluates nothing."""

from __future__ import annotations

from dataclasses import dataclass

ANY = ""


@dataclass(frozen=True)
class Function:
    fewest: int
    most: int | None  # None: any number
    result: str = ANY
    takes: tuple[str, ...] = ()  # the types of the first arguments, where there is one only


TEXT = ("string", "string", "string")
INT = ("int", "int")

FUNCTIONS = {
    # text
    "base64": Function(1, 1, "string", TEXT),
    "base64ToJson": Function(1, 1, ANY, TEXT),
    "base64ToString": Function(1, 1, "string", TEXT),
    "dataUri": Function(1, 1, "string"),
    "dataUriToString": Function(1, 1, "string", TEXT),
    "endsWith": Function(2, 2, "bool", TEXT),
    "format": Function(1, None, "string", ("string",)),
    "guid": Function(1, None, "string", TEXT),
    "indexOf": Function(2, 2, "int"),
    "lastIndexOf": Function(2, 2, "int"),
    "join": Function(2, 2, "string", ("array", "string")),
    "json": Function(1, 1, ANY, TEXT),
    "newGuid": Function(0, 0, "string"),
    "padLeft": Function(2, 3, "string"),
    "replace": Function(3, 3, "string", TEXT),
    "split": Function(2, 2, "array", ("string",)),
    "startsWith": Function(2, 2, "bool", TEXT),
    "string": Function(1, 1, "string"),
    "substring": Function(2, 3, "string", ("string", "int", "int")),
    "toLower": Function(1, 1, "string", TEXT),
    "toUpper": Function(1, 1, "string", TEXT),
    "trim": Function(1, 1, "string", TEXT),
    "uniqueString": Function(1, None, "string", TEXT),
    "uri": Function(2, 2, "string", TEXT),
    "uriComponent": Function(1, 1, "string", TEXT),
    "uriComponentToString": Function(1, 1, "string", TEXT),
    # lists, objects, numbers
    "any": Function(1, 1),
    "array": Function(1, 1, "array"),
    "bool": Function(1, 1, "bool"),
    "buildUri": Function(1, 1, "string", ("object",)),
    "coalesce": Function(1, None),
    "concat": Function(1, None),
    "contains": Function(2, 2, "bool"),
    "empty": Function(1, 1, "bool"),
    "fail": Function(1, 1, ANY, TEXT),
    "filter": Function(2, 2, "array", ("array",)),
    "first": Function(1, 1),
    "flatten": Function(1, 1, "array", ("array",)),
    "groupBy": Function(2, 2, "object", ("array",)),
    "int": Function(1, 1, "int"),
    "intersection": Function(2, None),
    "items": Function(1, 1, "array", ("object",)),
    "last": Function(1, 1),
    "length": Function(1, 1, "int"),
    "map": Function(2, 2, "array", ("array",)),
    "mapValues": Function(2, 2, "object", ("object",)),
    "max": Function(1, None, "int"),
    "min": Function(1, None, "int"),
    "objectKeys": Function(1, 1, "array", ("object",)),
    "parseUri": Function(1, 1, "object", TEXT),
    "range": Function(2, 2, "array", INT),
    "reduce": Function(3, 3, ANY, ("array",)),
    "shallowMerge": Function(1, 1, "object", ("array",)),
    "skip": Function(2, 2, ANY, (ANY, "int")),
    "sort": Function(2, 2, "array", ("array",)),
    "tail": Function(1, 1),
    "take": Function(2, 2, ANY, (ANY, "int")),
    "toObject": Function(2, 3, "object", ("array",)),
    "tryGet": Function(2, None),
    "tryIndexFromEnd": Function(2, None),
    "union": Function(2, None),
    # addresses, time, files
    "cidrHost": Function(2, 2, "string", ("string", "int")),
    "cidrSubnet": Function(3, 3, "string", ("string", "int", "int")),
    "parseCidr": Function(1, 1, "object", TEXT),
    "dateTimeAdd": Function(2, 3, "string", TEXT),
    "dateTimeFromEpoch": Function(1, 1, "string", INT),
    "dateTimeToEpoch": Function(1, 1, "int", TEXT),
    "utcNow": Function(0, 1, "string", TEXT),
    "loadDirectoryFileInfo": Function(1, 2, "array", TEXT),
    "loadFileAsBase64": Function(1, 1, "string", TEXT),
    "loadJsonContent": Function(1, 3, ANY, TEXT),
    "loadTextContent": Function(1, 2, "string", TEXT),
    "loadYamlContent": Function(1, 3, ANY, TEXT),
    # the deployment and its resources
    "az": Function(0, 0),
    "deployer": Function(0, 0, "object"),
    "deployment": Function(0, 0, "object"),
    "environment": Function(0, 0, "object"),
    "extensionResourceId": Function(3, None, "string", TEXT),
    "managementGroup": Function(0, 1, "object", TEXT),
    "managementGroupResourceId": Function(2, None, "string", TEXT),
    "pickZones": Function(3, 5, "array", TEXT),
    "reference": Function(1, 3, "object", TEXT),
    "resourceGroup": Function(0, 2, "object", TEXT),
    "resourceId": Function(2, None, "string", TEXT),
    "roleDefinitions": Function(1, 1, "object", TEXT),
    "subscription": Function(0, 1, "object", TEXT),
    "subscriptionResourceId": Function(2, None, "string", TEXT),
    "tenant": Function(0, 0, "object"),
    "tenantResourceId": Function(2, None, "string", TEXT),
    "toLogicalZone": Function(3, 3, "string", TEXT),
    "toPhysicalZone": Function(3, 3, "string", TEXT),
}

# Functions that every resource has beside the list* ones.
OF_RESOURCES = ("getSecret",)

SUFFIXES = [
    "acrLoginServer",
    "azureDatalakeAnalyticsCatalogAndJob",
    "azureDatalakeStoreFileSystem",
    "azureFrontDoorEndpointSuffix",
    "keyvaultDns",
    "sqlServerHostname",
    "storage",
]
ADDRESSES = [
    "activeDirectoryDataLake",
    "batch",
    "gallery",
    "graph",
    "graphAudience",
    "media",
    "name",
    "portal",
    "resourceManager",
    "sqlManagement",
    "vmImageAliasDoc",
]

# What the objects of the deployment hold: a name alone is text, a dictionary is an object; None is not described here.
Objects = dict[str, "str | Objects | None"]
OBJECTS: dict[str, Objects] = {
    "resourceGroup": {
        **dict.fromkeys(("id", "name", "type", "location", "managedBy"), "string"),
        "tags": None,
        "properties": {"provisioningState": "string"},
    },
    "subscription": dict.fromkeys(("id", "subscriptionId", "tenantId", "displayName"), "string"),
    "tenant": {**dict.fromkeys(("tenantId", "country", "countryCode", "displayName"), "string")},
    "deployer": dict.fromkeys(("objectId", "tenantId", "userPrincipalName"), "string"),
    "environment": {
        **dict.fromkeys(ADDRESSES, "string"),
        "authentication": {
            **dict.fromkeys(("identityProvider", "loginEndpoint", "tenant"), "string"),
            "audiences": None,
        },
        "suffixes": dict.fromkeys(SUFFIXES, "string"),
    },
}
