"""A device's right to read one container: from the environment or a file, never an argument, never in a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scoring.errors import UsageError

SAS, TOKEN, TOKEN_FILE = "CVA_REGISTRY_SAS", "CVA_REGISTRY_TOKEN", "CVA_REGISTRY_TOKEN_FILE"
BLOB_VERSION = "2023-11-03"  # Azure's blob service takes bearer tokens only with a version


@dataclass(frozen=True)
class Credential:
    """A query to append (SAS) or a bearer token; never printed."""

    query: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @staticmethod
    def of(environ: Mapping[str, str]) -> Credential:
        """CVA_REGISTRY_SAS, else CVA_REGISTRY_TOKEN_FILE, else CVA_REGISTRY_TOKEN. Raises: UsageError."""
        query = environ.get(SAS, "").strip().lstrip("?")
        token = "" if query else _token_file(environ) or environ.get(TOKEN, "").strip()
        for name, value in ((SAS, query), (TOKEN, token)):
            if not (value.isascii() and value.isprintable() and " " not in value and "#" not in value):
                raise UsageError(f"{name} holds characters that a request cannot carry", hint="set it again")
        return Credential(query, token)

    def headers(self) -> dict[str, str]:
        signed = {"x-ms-version": BLOB_VERSION} if self.query or self.token else {}
        return signed | ({"Authorization": f"Bearer {self.token}"} if self.token else {})


def _token_file(environ: Mapping[str, str]) -> str:
    if not environ.get(TOKEN_FILE):
        return ""
    path = Path(environ[TOKEN_FILE])
    try:
        return path.read_text().strip()
    except OSError as error:
        raise UsageError(f"cannot read the token file {path}: {error.strerror}", hint=f"see {TOKEN_FILE}") from error
