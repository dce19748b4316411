"""Data source, index, skillset and indexer of one container of pictures, as the JSON that Azure AI Search takes.

Pure: knows nothing about HTTP or the environment. Every property that is ours is always stated, null where unused, so
that what the service answers can be compared with it and an option that was taken back is taken back there too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from scoring.errors import UsageError
from scoring.search.uris import require_tls

Definition = dict[str, Any]
Kind = Literal["datasources", "indexes", "skillsets", "indexers"]
KINDS: tuple[Kind, ...] = ("datasources", "indexes", "skillsets", "indexers")  # each refers to those before it alone

LABEL_FIELD = "amllabel"
KEY_PLACEHOLDER = "<CVA_SKILL_KEY>"
USER_IDENTITY = "#Microsoft.Azure.Search.DataUserAssignedIdentity"

_NAME = re.compile(r"[a-z0-9](-?[a-z0-9])+")
_CONTAINER = re.compile(r"(?=.{3,63}$)[a-z0-9](-?[a-z0-9])*")
_GROUP = r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/;\s]{1,90}/providers"
_STORAGE = re.compile(rf"{_GROUP}/Microsoft\.Storage/storageAccounts/[a-z0-9]{{3,24}}", re.IGNORECASE)
_IDENTITY = re.compile(rf"{_GROUP}/Microsoft\.ManagedIdentity/userAssignedIdentities/[\w-]{{3,128}}", re.IGNORECASE)
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_EXTENSION = re.compile(r"\.[a-z0-9]{1,10}")
# Search refuses a skill that sets one of these
_RESERVED = {"accept", "accept-charset", "accept-encoding", "content-length", "content-type", "cookie", "host"}
_RESERVED |= {"te", "upgrade", "via"}


@dataclass(frozen=True)
class Plan:
    """What to search: pictures of one container, found by one skill.

    Raises: UsageError for what Search would refuse.
    """

    name: str  # of the index; the other three are called after it
    storage: str  # resource id of the storage account
    container: str
    skill_uri: str  # https://HOST/skill
    folder: str = ""  # of the container; empty for all of it
    identity: str = ""  # the search service's own, or the resource id of a user-assigned one
    skill_key: str = field(default=KEY_PLACEHOLDER, repr=False)
    skill_key_header: str = "x-api-key"
    skill_audience: str = ""  # api://APP: the skill is called with the identity's token, and no key is stored
    per_image: bool = False  # one record a picture, not one a document
    per_page: bool = False  # a PDF's pages as pictures, not the pictures inside it
    extensions: str = ".jpg,.jpeg,.png,.gif,.bmp,.tif,.tiff,.pdf"
    image_side: int = 1024  # pixels; Search makes larger pictures smaller before it sends them
    batch_size: int = 8  # records a request
    parallel: int = 2  # requests at once
    timeout: int = 60  # seconds a request; more than the skill's own budget
    every: int = 0  # minutes between runs; 0: only when asked
    soft_delete: bool = False  # pictures deleted softly leave the index

    def __post_init__(self) -> None:
        _require(_NAME.fullmatch(self.name) and len(self.name) <= 118, "--name", "a-z, 0-9 and single dashes, 2 to 118")
        _require(_STORAGE.fullmatch(self.storage), "--storage-resource-id", _example("Storage/storageAccounts"))
        _require(_CONTAINER.fullmatch(self.container), "--container", "3 to 63 of a-z, 0-9 and single dashes")
        identity = not self.identity or _IDENTITY.fullmatch(self.identity)
        _require(identity, "--identity", f"system, or {_example('ManagedIdentity/userAssignedIdentities')}")
        header = _HEADER.fullmatch(self.skill_key_header) and self.skill_key_header.lower() not in _RESERVED
        _require(header, "--skill-key-header", "a header that a skill may set, such as x-api-key")
        _require(all(_EXTENSION.fullmatch(each) for each in self.extensions.split(",")), "--extensions", ".jpg,.png")
        _between(self.image_side, 50, 10_000, "--image-side")
        _between(self.batch_size, 1, 1000, "--batch-size")
        _between(self.parallel, 1, 10, "--parallel")
        _between(self.timeout, 1, 230, "--timeout")
        _require(self.every == 0 or 5 <= self.every <= 1440, "--every", "5 to 1440 minutes, or 0")
        require_tls(self.skill_uri, "--skill-uri")


def names(name: str) -> dict[Kind, str]:
    return {
        "datasources": f"{name}-pictures",
        "indexes": name,
        "skillsets": f"{name}-skills",
        "indexers": f"{name}-run",
    }


def definitions(plan: Plan) -> dict[Kind, Definition]:
    """All four, in the order in which they must be created."""
    makers = {"datasources": _data_source, "indexes": _index, "skillsets": _skillset, "indexers": _indexer}
    return {kind: makers[kind](plan) for kind in KINDS}


def duration(seconds: int) -> str:
    """ISO 8601 as the service itself writes it: 60 seconds are PT1M, 90 are PT1M30S."""
    parts = [(seconds // 86400, "D"), (seconds // 3600 % 24, "H"), (seconds // 60 % 60, "M"), (seconds % 60, "S")]
    days = f"{parts[0][0]}D" if parts[0][0] else ""
    time = "".join(f"{number}{unit}" for number, unit in parts[1:] if number)
    return f"P{days}T{time}" if time else f"P{days}" if days else "PT0S"


def _data_source(plan: Plan) -> Definition:
    """The description repeats where the pictures are: the service never gives the connection string back."""
    where = f"{plan.container}/{plan.folder}" if plan.folder else plan.container
    deleted = {"@odata.type": "#Microsoft.Azure.Search.NativeBlobSoftDeleteDeletionDetectionPolicy"}
    return {
        "name": names(plan.name)["datasources"],
        "description": f"Pictures of {where} in {plan.storage}",
        "type": "azureblob",
        "credentials": {"connectionString": f"ResourceId={plan.storage};"},
        "container": {"name": plan.container, "query": plan.folder or None},
        "identity": _identity(plan),
        "dataDeletionDetectionPolicy": deleted if plan.soft_delete else None,
    }


def _index(plan: Plan) -> Definition:
    count = "Collection(Edm.Int32)" if plan.per_image else "Edm.Int32"
    box = {
        "name": "box",
        "type": "Edm.ComplexType",
        "fields": [_field(side, "Edm.Double") for side in ("topX", "topY", "bottomX", "bottomY")],
    }
    objects = {
        "name": "objects",
        "type": "Collection(Edm.ComplexType)",
        "fields": [
            _field("label", "Edm.String", "searchable filterable facetable"),
            _field("score", "Edm.Double", "filterable"),
            _field("page", "Edm.Int32", "filterable"),
            box,
        ],
    }
    return {
        "name": plan.name,
        "fields": [
            _field("id", "Edm.String", key=True),
            _field("metadata_storage_path", "Edm.String"),
            _field("metadata_storage_name", "Edm.String", "searchable filterable sortable"),
            _field("metadata_storage_last_modified", "Edm.DateTimeOffset", "filterable sortable"),
            _field(LABEL_FIELD, "Collection(Edm.String)", "searchable filterable facetable"),
            _field("objectCount", count, "filterable facetable" if plan.per_image else "filterable sortable facetable"),
            objects,
        ],
    }


def _skillset(plan: Plan) -> Definition:
    identity = _identity(plan) if plan.skill_audience else None
    skill = {
        "@odata.type": "#Microsoft.Skills.Custom.WebApiSkill",
        "name": "find-objects",
        "description": "Objects in pictures: label, score and box of each, and the distinct labels",
        "context": _context(plan),
        "uri": plan.skill_uri,
        "httpMethod": "POST",
        "httpHeaders": {} if plan.skill_audience else {plan.skill_key_header: _key(plan)},
        "authResourceId": plan.skill_audience or None,
        "authIdentity": identity,
        "timeout": duration(plan.timeout),
        "batchSize": plan.batch_size,
        "degreeOfParallelism": plan.parallel,
        "inputs": [_input(plan)],
        "outputs": [{"name": name, "targetName": name} for name in ("objects", "objectCount", LABEL_FIELD)],
    }
    return {"name": names(plan.name)["skillsets"], "description": f"Finds objects for {plan.name}", "skills": [skill]}


def _indexer(plan: Plan) -> Definition:
    called = names(plan.name)
    stored = ("metadata_storage_path", "metadata_storage_name", "metadata_storage_last_modified")
    key = {"name": "base64Encode", "parameters": None}  # a path has characters that a key may not have
    context = _context(plan)
    # a wildcard flattens: of all pictures of a document where each is a record, of the document itself otherwise
    labels = f"{context}/{LABEL_FIELD}/*" if plan.per_image else f"{context}/{LABEL_FIELD}"
    outputs = {labels: LABEL_FIELD, f"{context}/objectCount": "objectCount", f"{context}/objects/*": "objects"}
    return {
        "name": called["indexers"],
        "description": f"Pictures of {plan.container} to {plan.name}",
        "dataSourceName": called["datasources"],
        "skillsetName": called["skillsets"],
        "targetIndexName": called["indexes"],
        "schedule": {"interval": duration(plan.every * 60)} if plan.every else None,
        "disabled": False,
        # one picture that cannot be read must not stop the others; `cva search status` lists what failed
        "parameters": {"maxFailedItems": -1, "maxFailedItemsPerBatch": -1, "configuration": _configuration(plan)},
        "fieldMappings": [
            {"sourceFieldName": "metadata_storage_path", "targetFieldName": "id", "mappingFunction": key},
            *({"sourceFieldName": name, "targetFieldName": name} for name in stored),
        ],
        "outputFieldMappings": [{"sourceFieldName": path, "targetFieldName": name} for path, name in outputs.items()],
    }


def _configuration(plan: Plan) -> Definition:
    return {
        "parsingMode": "default",  # what images need: one blob, one document
        "dataToExtract": "contentAndMetadata",  # the same
        "imageAction": "generateNormalizedImagePerPage" if plan.per_page else "generateNormalizedImages",
        "normalizedImageMaxWidth": plan.image_side,
        "normalizedImageMaxHeight": plan.image_side,
        "indexedFileNameExtensions": plan.extensions,
        "failOnUnsupportedContentType": False,
        "failOnUnprocessableDocument": False,
    }


def _context(plan: Plan) -> str:
    return "/document/normalized_images/*" if plan.per_image else "/document"


def _input(plan: Plan) -> Definition:
    if plan.per_image:
        return {"name": "image", "source": "/document/normalized_images/*"}
    return {"name": "pages", "source": "/document/normalized_images/*/data"}


def _key(plan: Plan) -> str:
    return f"Bearer {plan.skill_key}" if plan.skill_key_header.lower() == "authorization" else plan.skill_key


def _identity(plan: Plan) -> Definition | None:
    return {"@odata.type": USER_IDENTITY, "userAssignedIdentity": plan.identity} if plan.identity else None


def _field(name: str, type_: str, is_: str = "", *, key: bool = False) -> Definition:
    """A simple field with every attribute stated: the service's defaults switch most of them on."""
    attributes: Mapping[str, bool] = {
        each: each in is_.split() for each in ("searchable", "filterable", "sortable", "facetable")
    }
    return {"name": name, "type": type_, "key": key, "retrievable": True, **attributes}


def _require(good: object, option: str, expected: str) -> None:
    if not good:
        raise UsageError(f"{option} is not what Search takes", hint=f"expected {expected}")


def _between(value: int, least: int, most: int, option: str) -> None:
    _require(least <= value <= most, option, f"{least} to {most}, found {value}")


def _example(kind: str) -> str:
    return f"/subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.{kind}/NAME"
