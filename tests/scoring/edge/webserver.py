"""A real web server over TLS on this machine, with a certificate authority of its own, that can fail as told."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Behaviour:
    """What the server does with the next requests; `seen` is what it was asked."""

    root: Path
    faults: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # status and headers, one a request
    drop_after: int = 0  # bytes of a body after which the line breaks, as long as `drops` lasts
    drops: int = 0
    ranges: bool = True
    sas: str = ""
    token: str = ""
    key: str = ""  # asked for as x-api-key, by /metadata alone, as a server with keys does
    trickle: float = 0.0  # seconds between two bytes
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)  # the status of each
    change: Callable[[str, bytes], bytes] = lambda path, data: data

    def refuses(self, path: str, query: str, headers: dict[str, str]) -> int:
        if self.key and path == "/metadata" and headers.get("x-api-key") != self.key:
            return 401
        if self.sas and query != self.sas:
            return 403
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return 401
        return 0


def tag_of(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:16]}"'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def do_GET(self) -> None:
        self.close_connection = True
        told, parts = self.behaviour, urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        told.seen.append((self.path, headers))
        status, extra = told.faults.pop(0) if told.faults else (told.refuses(parts.path, parts.query, headers), {})
        if status:
            self._answer(status, b"", extra)
            return
        path = told.root / unquote(parts.path).lstrip("/")
        if not path.is_file() or ".." in parts.path:
            self._answer(404, b"", {})
            return
        self._file(told.change(unquote(parts.path).lstrip("/"), path.read_bytes()), headers)

    def _file(self, data: bytes, headers: dict[str, str]) -> None:
        told, status = self.behaviour, 200
        extra = {"ETag": tag_of(data), **told.headers}
        if headers.get("if-none-match") == extra["ETag"]:
            self._answer(304, b"", extra)
            return
        if told.ranges and "range" in headers:
            start = int(headers["range"].removeprefix("bytes=").rstrip("-"))
            extra["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            data, status = data[start:], 206
        self._answer(status, data, extra)

    def _answer(self, status: int, data: bytes, extra: dict[str, str]) -> None:
        told = self.behaviour
        told.answered.append(status)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **extra}.items():
            self.send_header(name, value)
        self.end_headers()
        if told.drops and len(data) > told.drop_after:
            told.drops -= 1
            data = data[: told.drop_after]
        for each in range(len(data) if told.trickle else 0):
            self.wfile.write(data[each : each + 1])
            time.sleep(told.trickle)
        self.wfile.write(b"" if told.trickle else data)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that does not trust the certificate hangs up: nothing to say."""


@contextmanager
def serve(root: Path, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, Behaviour]]:
    """The address and what to tell the server."""
    behaviour = Behaviour(root)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"behaviour": behaviour}))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}", behaviour
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def authority(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A new authority's certificate (to trust) and a server's context with a certificate of it for 127.0.0.1."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def build(name: str, issuer: str, public: Any) -> Any:
        now = datetime.datetime.now(datetime.timezone.utc)
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer)]
        built = x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(public)
        built = built.serial_number(x509.random_serial_number())
        return built.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(1))

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = build("tests", "tests", root_key.public_key())
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = build("server", "tests", key.public_key()).add_extension(address, critical=False)
    pem = serialization.Encoding.PEM
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(root.sign(root_key, hashes.SHA256()).public_bytes(pem))
    (folder / "server.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + leaf.sign(root_key, hashes.SHA256()).public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return folder / "ca.pem", context
