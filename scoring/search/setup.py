"""Make a search service equal to the definitions: each is read first and sent only where it differs.

What people added to the index (fields, suggesters, a semantic configuration) stays; the other three are ours alone.
What the service hides (keys, connection strings) cannot be compared and counts as equal: `force` sends it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from scoring.search.definitions import KINDS, Definition, Kind

HIDDEN = (None, "", "<redacted>", "<unchanged>")
SECRETS = (("credentials", "connectionString"), ("httpHeaders",))  # where the service may hide what it holds
NO_IDENTITY = {"@odata.type": "#Microsoft.Azure.Search.DataNoneIdentity"}

State = Literal["created", "updated", "unchanged"]
Step = str | int


class Service(Protocol):
    def get(self, kind: str, name: str) -> dict[str, Any] | None: ...

    def put(self, kind: str, name: str, body: Mapping[str, Any], *, etag: str = "") -> bool: ...


@dataclass(frozen=True)
class Change:
    """One resource; `differing` names the properties that were not as they should be."""

    kind: Kind
    name: str
    state: State
    differing: tuple[str, ...] = ()


def apply(service: Service, wanted: Mapping[Kind, Definition], *, force: bool = False) -> Iterator[Change]:
    """One change a resource, in the order in which they refer to each other; stops at the first that fails."""
    for kind in KINDS:
        yield _apply_one(service, kind, wanted[kind], force)


def _apply_one(service: Service, kind: Kind, wanted: Definition, force: bool) -> Change:
    name = wanted["name"]
    present = service.get(kind, name)
    if present is None:
        service.put(kind, name, wanted)
        return Change(kind, name, "created")
    differing = tuple(_shown(path) for path in differences(wanted, _comparable(kind, wanted, present)))
    if not differing and not force:
        return Change(kind, name, "unchanged")
    service.put(kind, name, _merged(kind, wanted, present), etag=str(present.get("@odata.etag") or ""))
    return Change(kind, name, "updated", differing)


def differences(wanted: Any, present: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """The properties of `wanted` that `present` does not have; properties that only `present` has do not count."""
    if isinstance(wanted, dict) and isinstance(present, dict):
        for key in wanted:
            yield from differences(wanted[key], present.get(key), (*path, key))
        if path[-1:] == ("httpHeaders",) and set(present) - set(wanted):
            yield path  # every name in it is ours
    elif isinstance(wanted, list) and isinstance(present, list) and len(wanted) == len(present):
        for index, (ours, theirs) in enumerate(zip(wanted, present, strict=True)):
            yield from differences(ours, theirs, (*path, index))
    elif wanted != present and not (_is_hidden(path, present) or _is_nothing(wanted, present)):
        yield path


def _is_hidden(path: Sequence[Step], present: object) -> bool:
    secret = any(tuple(path[-len(each) :]) == each or tuple(path[-2:-1]) == each for each in SECRETS)
    return secret and present in HIDDEN


def _is_nothing(wanted: object, present: object) -> bool:
    return (wanted is None and present == NO_IDENTITY) or (wanted == {} and present is None)


def _comparable(kind: Kind, wanted: Definition, present: Definition) -> Definition:
    """An index's fields in our order, so that a field that somebody added does not count."""
    if kind != "indexes":
        return present
    fields = {each["name"]: each for each in present.get("fields", [])}
    return {**present, "fields": [fields.get(each["name"]) for each in wanted["fields"]]}


def _merged(kind: Kind, wanted: Definition, present: Definition) -> Definition:
    if kind == "indexes":
        ours = {each["name"] for each in wanted["fields"]}
        added = [each for each in present.get("fields", []) if each["name"] not in ours]
        kept = {key: value for key, value in present.items() if not key.startswith("@odata.")}
        return {**kept, **wanted, "fields": [*wanted["fields"], *added]}
    return _cleared(kind, wanted, present)


def _cleared(kind: Kind, wanted: Definition, present: Definition) -> Definition:
    """The service keeps an identity that is merely left out: taking one back has to be said."""
    if kind != "skillsets":
        return _without_identity(wanted, present, "identity")
    theirs = {each.get("name"): each for each in present.get("skills", [])}
    skills = [_without_identity(ours, theirs.get(ours["name"], {}), "authIdentity") for ours in wanted["skills"]]
    return {**wanted, "skills": skills}


def _without_identity(ours: Definition, theirs: Definition, key: str) -> Definition:
    taken_back = key in ours and ours[key] is None and theirs.get(key) not in (None, NO_IDENTITY)
    return {**ours, key: NO_IDENTITY} if taken_back else ours


def _shown(path: Sequence[Step]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "all of it"
