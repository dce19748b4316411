"""What the search service does with good definitions: blobs through the skill into documents, and documents found.

The skill is called over real HTTP, in batches, with the skillset's headers. Knows the enrichment paths that have
images or a document for context, and the filters that `cva search query` writes.
"""

from __future__ import annotations

import base64
import io
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image

from tests.scoring.search.fake_rules import fields_of, seconds

Document = dict[str, Any]
_LABEL = re.compile(r"amllabel/any\((\w+): \1 eq '((?:[^']|'')*)'\)")
_OBJECT = re.compile(r"objects/any\((\w+): \1/label eq '((?:[^']|'')*)' and \1/score ge ([\d.]+)\)")


def run(
    indexer: Document, skillset: Document, index: Document, blobs: Mapping[str, bytes]
) -> tuple[dict[str, Document], Document]:
    """The documents by key, and the result that the status shows."""
    configuration = indexer["parameters"]["configuration"]
    endings = tuple(configuration["indexedFileNameExtensions"].split(","))
    trees = {name: _crack(name, data, configuration) for name, data in blobs.items() if name.lower().endswith(endings)}
    errors: list[Document] = []
    warnings: list[Document] = []
    for skill in skillset["skills"]:
        _enrich(skill, trees, errors, warnings)
    documents = [_document(indexer, index, tree) for tree in trees.values()]
    failed = {each["key"] for each in errors}
    result = {
        "status": "success",
        "errorMessage": None,
        "startTime": "2026-05-01T10:00:00.000Z",
        "endTime": "2026-05-01T10:00:01.000Z",
        "itemsProcessed": len(trees),
        "itemsFailed": len(failed),
        "errors": errors,
        "warnings": warnings,
    }
    return {each["id"]: each for each in documents if each["metadata_storage_path"] not in failed}, result


def _crack(name: str, data: bytes, configuration: Document) -> Document:
    """A blob as the root of an enrichment tree, its picture normalized to a JPEG that is not larger than asked."""
    most = (configuration["normalizedImageMaxWidth"], configuration["normalizedImageMaxHeight"])
    pictures = []
    for frame in _frames(data):
        shown = frame.convert("RGB")
        shown.thumbnail(most)
        buffer = io.BytesIO()
        shown.save(buffer, "JPEG", quality=95)
        pictures.append(
            {
                "$type": "file",
                "data": base64.b64encode(buffer.getvalue()).decode(),
                "contentType": "image/jpeg",
                "width": shown.width,
                "height": shown.height,
                "originalWidth": frame.width,
                "originalHeight": frame.height,
                "rotationFromOriginal": 0,
                "contentOffset": 0,
                "pageNumber": 0,
            }
        )
    return {
        "metadata_storage_path": f"https://pics.blob.core.windows.net/caps/{name}",
        "metadata_storage_name": name,
        "metadata_storage_last_modified": "2026-05-01T09:00:00Z",
        "normalized_images": pictures,
    }


def _frames(data: bytes) -> Iterator[Image.Image]:
    """Pages of a document, here frames of a TIFF; one for a picture."""
    from PIL import ImageSequence

    with Image.open(io.BytesIO(data)) as image:
        yield from (frame.copy() for frame in ImageSequence.Iterator(image))


def _enrich(skill: Document, trees: Mapping[str, Document], errors: list[Document], warnings: list[Document]) -> None:
    per_image = skill["context"].endswith("normalized_images/*")
    nodes = [(tree, node) for tree in trees.values() for node in (tree["normalized_images"] if per_image else [tree])]
    numbered = list(enumerate(nodes))
    for batch in _batches(numbered, skill["batchSize"]):
        values = [{"recordId": str(number), "data": _inputs(skill, node)} for number, (_, node) in batch]
        answers = {each["recordId"]: each for each in _call(skill, {"values": values})["values"]}
        for number, (tree, node) in batch:
            answer = answers[str(number)]
            key = tree["metadata_storage_path"]
            errors += [{"key": key, "errorMessage": e["message"], "statusCode": 400} for e in answer["errors"] or ()]
            warnings += [{"key": key, "message": w["message"]} for w in answer["warnings"] or ()]
            for output in skill["outputs"]:
                if output["name"] in answer["data"]:
                    node[output["targetName"]] = answer["data"][output["name"]]


def _inputs(skill: Document, node: Document) -> Document:
    """A source that is the context is the node itself; with a wildcard below the context it is a list."""
    values: Document = {}
    for given in skill["inputs"]:
        steps = given["source"].removeprefix(skill["context"]).split("/")[1:]
        found = list(_walk(node, steps))
        values[given["name"]] = found if "*" in steps else found[0]
    return values


def _call(skill: Document, body: Document) -> Document:
    """Tries again twice after 502, 503 and 429 alone, as the service does."""
    headers = {"Content-Type": "application/json; charset=utf-8", **(skill.get("httpHeaders") or {})}
    for left in (2, 1, 0):
        request = urllib.request.Request(skill["uri"], json.dumps(body).encode(), headers, method=skill["httpMethod"])
        try:
            with urllib.request.urlopen(request, timeout=seconds(skill["timeout"])) as answer:
                assert answer.headers.get_content_type() == "application/json"
                value: Document = json.loads(answer.read())
                return value
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in (502, 503, 429) or not left:
                    message = f"the skill answered {error.code}"
                    failed = {"data": {}, "errors": [{"message": message}], "warnings": None}
                    return {"values": [{"recordId": each["recordId"], **failed} for each in body["values"]]}
    raise AssertionError


def _document(indexer: Document, index: Document, tree: Document) -> Document:
    document: Document = {name: [] if "Collection(" in f["type"] else None for name, f in fields_of(index).items()}
    for mapping in indexer["fieldMappings"]:
        value = tree[mapping["sourceFieldName"]]
        if (mapping.get("mappingFunction") or {}).get("name") == "base64Encode":
            value = base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")
        document[mapping["targetFieldName"]] = value
    for mapping in indexer["outputFieldMappings"]:
        field = fields_of(index)[mapping["targetFieldName"]]
        values = list(_walk(tree, mapping["sourceFieldName"].split("/")[2:]))
        if "Collection(" in field["type"]:
            # a wildcard makes a flat list of what it finds; without one the value is the list
            document[field["name"]] = values if "*" in mapping["sourceFieldName"] else (values or [[]])[0]
            _must_fit(field, document[field["name"]])
        elif values:
            [document[field["name"]]] = values
            _must_fit(field, values)
    return document


def _walk(node: Any, steps: list[str]) -> Iterator[Any]:
    if not steps:
        yield node
    elif steps[0] == "*":
        for each in node:
            yield from _walk(each, steps[1:])
    elif steps[0] in node:
        yield from _walk(node[steps[0]], steps[1:])


def _must_fit(field: Document, values: list[Any]) -> None:
    """Types of the index's field, down to every part of a complex one."""
    kind = field["type"].removeprefix("Collection(").removesuffix(")")
    types = {"Edm.String": str, "Edm.Int32": int, "Edm.Double": int | float, "Edm.ComplexType": dict}
    for value in values:
        assert isinstance(value, types[kind]), (field["name"], value)
        if kind == "Edm.ComplexType":
            parts = fields_of(field)
            assert set(value) <= set(parts), (field["name"], value)
            for name, part in value.items():
                _must_fit(parts[name], [part])


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def search(index: Document, documents: Mapping[str, Document], query: Document) -> Document:
    """Raises: ValueError for what the service would refuse."""
    fields = fields_of(index)
    found = [each for each in documents.values() if _matches(fields, each, query.get("filter") or "")]
    if query.get("search", "*") != "*":
        found = [each for each in found if _has_words(fields, each, query["search"])]
    if order := query.get("orderby"):
        if not fields[order]["sortable"]:
            raise ValueError(f"'{order}' is not sortable")
        found.sort(key=lambda each: str(each[order]))
    selected = query["select"].split(",") if query.get("select") else list(fields)
    facets = {name: _facet(fields, found, name) for name in query.get("facets") or ()}
    shown = [
        {"@search.score": 1.0, **{name: each[name] for name in selected}} for each in found[: query.get("top", 50)]
    ]
    return {"@odata.count": len(found), **({"@search.facets": facets} if facets else {}), "value": shown}


def _facet(fields: Mapping[str, Any], found: list[Document], name: str) -> list[Document]:
    if not fields[name]["facetable"]:
        raise ValueError(f"'{name}' is not facetable")
    values = [value for each in found for value in sorted(set(each[name]))]
    return [{"value": value, "count": values.count(value)} for value in dict.fromkeys(values)]


def _has_words(fields: Mapping[str, Any], document: Document, text: str) -> bool:
    searchable = [name for name, field in fields.items() if field.get("searchable")]
    words = set(re.findall(r"\w+", json.dumps([document[name] for name in searchable], ensure_ascii=False).lower()))
    return all(word in words for word in re.findall(r"\w+", text.lower()))


def _matches(fields: Mapping[str, Any], document: Document, text: str) -> bool:
    rest = text
    while rest:
        if label := _LABEL.match(rest):
            if not fields["amllabel"]["filterable"]:
                raise ValueError("'amllabel' is not filterable")
            good = label[2].replace("''", "'") in document["amllabel"]
            end = label.end()
        elif found := _OBJECT.match(rest):
            wanted, least, end = found[2].replace("''", "'"), float(found[3]), found.end()
            good = any(each["label"] == wanted and each["score"] >= least for each in document["objects"])
        else:
            raise ValueError(f"the filter is not understood: {rest}")
        if not good:
            return False
        rest = rest[end:].removeprefix(" and ")
    return True
