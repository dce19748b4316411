"""What the search service refuses, as its documentation says it: shapes, names, attributes, references.

The shapes are in shapes.json, which says where they come from. Every refusal is a sentence, as the service gives one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema

SHAPES = json.loads(Path(__file__).with_name("shapes.json").read_text())
ROOTS = {
    "datasources": "SearchIndexerDataSourceConnection",
    "indexes": "SearchIndex",
    "skillsets": "SearchIndexerSkillset",
    "indexers": "SearchIndexer",
}
NAME = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{0,126}[a-z0-9]")
FIELD = re.compile(r"(?!azureSearch)[A-Za-z][A-Za-z0-9_]{0,127}")
PROHIBITED = {"accept", "accept-charset", "accept-encoding", "content-length", "content-type", "cookie", "host"}
PROHIBITED |= {"te", "upgrade", "via"}
BLOB_FIELDS = {  # what the blob indexer gives every document
    "metadata_storage_path": "Edm.String",
    "metadata_storage_name": "Edm.String",
    "metadata_storage_last_modified": "Edm.DateTimeOffset",
}
IMAGE = {  # a normalized image, as its page lists it
    "data": "Edm.String",
    "width": "Edm.Int32",
    "height": "Edm.Int32",
    "originalWidth": "Edm.Int32",
    "originalHeight": "Edm.Int32",
    "rotationFromOriginal": "Edm.Int32",
    "contentOffset": "Edm.Int32",
    "pageNumber": "Edm.Int32",
}


def refusals(kind: str, name: str, body: Any, present: Any, all_of: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Why this definition is refused; empty where it is taken."""
    schema = {**SHAPES, "$ref": f"#/$defs/{ROOTS[kind]}"}
    wrong = [
        f"{'/'.join(map(str, e.path))}: {e.message}" for e in jsonschema.Draft202012Validator(schema).iter_errors(body)
    ]
    if wrong:
        return wrong
    if body["name"] != name:
        return [f"the body is named {body['name']}, the address {name}"]
    if not NAME.fullmatch(name):
        return [f"{name} is not a name"]
    checks = {"datasources": _data_source, "indexes": _index, "skillsets": _skillset, "indexers": _indexer}
    return list(checks[kind](body, present, all_of))


def fields_of(index: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in index["fields"]}


def _data_source(body: Any, present: Any, all_of: Any) -> Iterator[str]:
    if body["type"] != "azureblob":
        yield "this service reads blobs alone"
    text = body["credentials"].get("connectionString")
    if not (present and text in (None, "<unchanged>")) and not re.fullmatch(
        r"ResourceId=/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Storage/storageAccounts/[a-z0-9]+/?;",
        text or "",
    ):
        yield "the connection string is not ResourceId=...;"


def _index(body: Any, present: Any, all_of: Any) -> Iterator[str]:
    keys = [each for each in body["fields"] if each.get("key")]
    if len(keys) != 1 or keys[0]["type"] != "Edm.String" or not keys[0].get("retrievable", True):
        yield "exactly one retrievable key of type Edm.String"
    yield from _fields(body["fields"], many=False)
    for name, field in fields_of(present).items() if present else ():
        ours = fields_of(body).get(name)
        if ours is None:
            yield f"existing field '{name}' cannot be deleted"
        elif _frozen(ours) != _frozen(field):
            yield f"existing field '{name}' cannot be changed"


def _frozen(field: Any) -> Any:
    """A field without what may change later."""
    rest = {key: value for key, value in field.items() if key not in ("retrievable", "synonymMaps")}
    return {**rest, "fields": [_frozen(each) for each in field.get("fields") or ()]}


def _fields(fields: Any, *, many: bool) -> Iterator[str]:
    """`many`: inside a collection of complex values."""
    attributes = ("key", "retrievable", "searchable", "filterable", "sortable", "facetable")
    for field in fields:
        name, type_ = field["name"], field["type"]
        collection = type_.startswith("Collection(")
        if not FIELD.fullmatch(name):
            yield f"'{name}' is not a field's name"
        if "Edm.ComplexType" in type_:
            if any(field.get(each) is not None for each in attributes) or not field.get("fields"):
                yield f"complex field '{name}' has fields and no attributes"
            yield from _fields(field.get("fields") or (), many=many or collection)
            continue
        if field.get("fields"):
            yield f"simple field '{name}' has no fields"
        if field.get("searchable") and "Edm.String" not in type_:
            yield f"'{name}' is not text and cannot be searchable"
        if field.get("sortable") and (collection or many):
            yield f"'{name}' has many values and cannot be sortable"


def _skillset(body: Any, present: Any, all_of: Any) -> Iterator[str]:
    for skill in body["skills"]:
        uri = urlsplit(skill["uri"])
        if uri.scheme != "https" and uri.hostname != "127.0.0.1":  # the real service: https alone
            yield "the skill's uri is not https"
        if bad := [name for name in skill.get("httpHeaders") or {} if name.lower() in PROHIBITED]:
            yield f"headers {bad} are prohibited"
        if skill.get("httpMethod", "POST") not in ("PUT", "POST"):
            yield "httpMethod is PUT or POST"
        if not 1 <= (skill.get("batchSize") or 1000) <= 1000 or not 1 <= (skill.get("degreeOfParallelism") or 5) <= 10:
            yield "batchSize or degreeOfParallelism out of range"
        if not 1 <= seconds(skill.get("timeout") or "PT30S") <= 230:
            yield "timeout out of range"
        context = skill.get("context") or "/document"
        if context not in ("/document", "/document/normalized_images/*"):
            yield f"there is no {context}"
        for given in skill["inputs"]:
            if not _is_image_path(given.get("source", "")):
                yield f"there is no {given.get('source')}"


def _is_image_path(path: str) -> bool:
    head, _, last = path.partition("/document/normalized_images/*")
    return head == "" and path.startswith("/document/") and (last == "" or last.removeprefix("/") in IMAGE)


def _indexer(body: Any, present: Any, all_of: Any) -> Iterator[str]:
    wanted = {"datasources": body["dataSourceName"], "indexes": body["targetIndexName"]}
    if body.get("skillsetName"):
        wanted["skillsets"] = body["skillsetName"]
    if missing := [f"{kind} '{name}'" for kind, name in wanted.items() if name not in all_of[kind]]:
        yield f"there is no {' and no '.join(missing)}"
        return
    if body.get("schedule") and not 300 <= seconds(body["schedule"]["interval"]) <= 86400:
        yield "interval out of range"
    configuration = (body.get("parameters") or {}).get("configuration") or {}
    images = configuration.get("imageAction", "none") != "none"
    if images and (configuration.get("parsingMode"), configuration.get("dataToExtract")) != (
        "default",
        "contentAndMetadata",
    ):
        yield "images need parsingMode default and dataToExtract contentAndMetadata"
    fields = fields_of(all_of["indexes"][body["targetIndexName"]])
    for mapping in body.get("fieldMappings") or ():
        if mapping["sourceFieldName"] not in BLOB_FIELDS:
            yield f"blobs have no {mapping['sourceFieldName']}"
        yield from _target(mapping, fields)
    produced = set(_produced(all_of["skillsets"][body["skillsetName"]])) if images else set()
    for mapping in body.get("outputFieldMappings") or ():
        if mapping["sourceFieldName"].removesuffix("/*") not in produced:
            yield f"no skill makes {mapping['sourceFieldName']}"
        yield from _target(mapping, fields)


def _target(mapping: Any, fields: Mapping[str, Any]) -> Iterator[str]:
    target = mapping.get("targetFieldName") or mapping["sourceFieldName"]
    if target not in fields:
        yield f"the index has no field '{target}'"
    elif fields[target].get("key") and (mapping.get("mappingFunction") or {}).get("name") != "base64Encode":
        yield "a path is no key without base64Encode"


def _produced(skillset: Any) -> Iterator[str]:
    for skill in skillset["skills"]:
        for output in skill["outputs"]:
            yield f"{skill.get('context') or '/document'}/{output.get('targetName') or output['name']}"


def seconds(duration: str) -> int:
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", duration)
    assert found
    days, hours, minutes, rest = (int(each or 0) for each in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest
