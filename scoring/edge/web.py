"""Files of one web folder over HTTPS: credentials, retries, resumed downloads, ceilings. Knows nothing about models.

Verification of certificates is never off. What a server answers is read up to a ceiling, in time, from this origin
alone; a credential is sent to that origin only and stands in no message.
"""

from __future__ import annotations

import email.utils
import http.client
import io
import random
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast
from urllib.parse import SplitResult, quote, urlsplit

from scoring.edge.credential import SAS, TOKEN, TOKEN_FILE, Credential
from scoring.errors import IntegrityError, NotFoundError, OfflineError, UsageError

TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
LONGEST_WAIT = 30.0  # seconds, whatever Retry-After says
GOOD_STRETCH = 1 << 20  # bytes in one go after which a line is given all its attempts again
SLOWEST = 1024  # bytes a second: below that a line holds the device up rather than serves it
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class WebFolder:
    """`root` is https, or http on this very machine. `context` is for tests; SSL_CERT_FILE names a private CA."""

    root: str
    credential: Credential = field(default_factory=Credential)
    context: ssl.SSLContext | None = field(default=None, repr=False)
    timeout: float = 20.0  # seconds, for the connection and for each read
    attempts: int = 4
    patience: float = 60.0  # seconds after which a file must have come at SLOWEST bytes a second
    sleep: Callable[[float], None] = field(default=lambda seconds: time.sleep(seconds), repr=False)

    def __post_init__(self) -> None:
        parts = _split(self.root)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise UsageError(f"expected an https address, found {parts.scheme}:", hint="http is for this machine only")
        if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
            raise UsageError(
                "expected https://HOST/PATH with no name, query or fragment in it",
                hint=f"a SAS belongs into {SAS}, a token into {TOKEN} or the file that {TOKEN_FILE} names",
            )

    def open(self, path: str) -> BinaryIO:
        """The file as a stream that goes on after a dropped connection.

        Raises: NotFoundError (404), OfflineError (cannot be reached, refuses the credential, does not recover),
        IntegrityError (not an answer that can be trusted).
        """
        return cast(BinaryIO, Download(self, path, self.request(path, 0, {})))

    def open_changed(self, path: str, tag: str) -> tuple[BinaryIO, str] | None:
        """The file and the tag of its present content; None where that is still `tag`. Raises as `open`."""
        try:
            answer = self.request(path, 0, {"If-None-Match": tag} if tag else {})
        except NotChanged:
            return None
        return cast(BinaryIO, Download(self, path, answer)), answer.tag

    def request(self, path: str, start: int, conditions: Mapping[str, str]) -> Answer:
        """One answer, asked for again while the server is busy or the line drops. Raises: NotChanged, as `open`."""
        for attempt in range(self.attempts):
            try:
                return Answer.of(self._send(path, start, conditions), start)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code == 304 and "If-None-Match" in conditions:
                        raise NotChanged from None
                    trouble, wait = f"it answered {error.code}", retry_after(error.headers.get("Retry-After"))
                    if error.code not in TRY_AGAIN:
                        raise self._refused(path, error.code) from None
            except (OSError, http.client.HTTPException) as error:
                trouble, wait = self._words(error), None
            if attempt + 1 < self.attempts:
                self.sleep(min(LONGEST_WAIT, (0.5 * 2**attempt * (1 + random.random())) if wait is None else wait))
        raise OfflineError(f"cannot read {path} from {self.host}: {trouble}", hint="see the network and the server")

    @property
    def host(self) -> str:
        return _split(self.root).netloc

    def _send(self, path: str, start: int, conditions: Mapping[str, str]) -> http.client.HTTPResponse:
        url = f"{self.root.rstrip('/')}/{quote(path, safe='/')}"
        headers = {"Accept-Encoding": "identity", "User-Agent": "cv-accelerator", **self.credential.headers()}
        headers |= {**conditions, "Range": f"bytes={start}-"} if start else conditions
        query = f"?{self.credential.query}" if self.credential.query else ""
        request = urllib.request.Request(url + query, headers=headers)
        context = self.context or ssl.create_default_context()
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), NoRedirects())
        return cast(http.client.HTTPResponse, opener.open(request, timeout=self.timeout))

    def _refused(self, path: str, code: int) -> Exception:
        if code == 404:
            return NotFoundError(f"{self.host} has no {path}", hint="see the address and what was published")
        if code in (401, 403):
            given = "a credential is set" if self.credential.headers() else "none is set"
            return OfflineError(
                f"{self.host} refuses to give {path}: {code} ({given})",
                hint=f"set {SAS}, {TOKEN} or {TOKEN_FILE} to one that may read and has not expired",
            )
        if 300 <= code < 400:
            return OfflineError(f"{self.host} sends elsewhere for {path} ({code})", hint="give the final address")
        return OfflineError(f"cannot read {path} from {self.host}: it answered {code}")

    def _words(self, error: Exception) -> str:
        """What went wrong without the address, whose query may be a secret."""
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {reason.verify_message}"
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        return str(text) if not self.credential.query else str(text).replace(self.credential.query, "...")


class NotChanged(Exception):
    """304: the content is still what the tag that was sent names."""


@dataclass(frozen=True)
class Answer:
    body: http.client.HTTPResponse
    end: int | None  # bytes of the whole file, None where the server does not say
    tag: str  # what the server calls this content, "" where it does not

    @property
    def same_bytes(self) -> dict[str, str]:
        """The condition for more of the same: a weak tag does not promise the same bytes."""
        return {"If-Match": self.tag} if self.tag and not self.tag.startswith("W/") else {}

    @staticmethod
    def of(response: http.client.HTTPResponse, start: int) -> Answer:
        """Raises: IntegrityError where it is not the bytes that were asked for."""
        headers = response.headers
        length = headers.get("Content-Length", "")
        wrong = headers.get("Content-Encoding", "identity").lower() != "identity" or response.status not in (200, 206)
        if start and response.status == 206:
            wrong = wrong or not headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if wrong or (not start and response.status == 206):
            response.close()
            raise IntegrityError("the server answered something else than the bytes that were asked for")
        offset = start if response.status == 206 else 0
        end = offset + int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
        if start and not offset:  # it does not know ranges: read past what is here already
            _skip(response, start)
        return Answer(response, end, headers.get("ETag", ""))


class Download(io.RawIOBase):
    """One file; a connection that drops is taken up where it ended. Reading to the end is the caller's ceiling."""

    def __init__(self, folder: WebFolder, path: str, answer: Answer) -> None:
        super().__init__()
        self._folder, self._path, self._answer = folder, path, answer
        self._at, self._resumed, self._left = 0, 0, folder.attempts
        self._since = time.monotonic()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            self._refuse_a_trickle()
            data, trouble = self._some(len(buffer))
            if data or not trouble:
                self._at += len(data)
                if self._at - self._resumed >= GOOD_STRETCH:
                    self._left = self._folder.attempts
                buffer[: len(data)] = data
                return len(data)
            self._left -= 1
            if self._left <= 0:
                raise OfflineError(f"{self._folder.host} stopped while sending {self._path}: {trouble}")
            self._answer.body.close()
            self._resumed = self._at
            self._answer = self._folder.request(self._path, self._at, self._answer.same_bytes)

    def _refuse_a_trickle(self) -> None:
        seconds = time.monotonic() - self._since
        if seconds > self._folder.patience and self._at < seconds * SLOWEST:
            raise OfflineError(
                f"{self._folder.host} sends {self._path} too slowly: {self._at} bytes in {seconds:.0f} s"
            )

    def _some(self, count: int) -> tuple[bytes, str]:
        """Bytes; or nothing and why, or nothing and "" at the end."""
        try:
            data = self._answer.body.read1(count)
        except (OSError, http.client.HTTPException) as error:
            return b"", str(error) or type(error).__name__
        end = self._answer.end
        return data, "" if data or end is None or self._at >= end else "it ended too early"

    def close(self) -> None:
        self._answer.body.close()
        super().close()


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """An address is final: a redirect could take the credential elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def retry_after(text: str | None, now: float | None = None) -> float | None:
    """Seconds, or a date, as seconds from now; None where it says nothing of use."""
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, when.timestamp() - (time.time() if now is None else now))


def _split(root: str) -> SplitResult:
    try:
        parts = urlsplit(root)
        _ = parts.port
    except ValueError as error:
        raise UsageError("expected an address https://HOST/PATH, found something else") from error
    return parts


def _skip(response: http.client.HTTPResponse, count: int) -> None:
    while count > 0 and (data := response.read(min(1 << 20, count))):
        count -= len(data)
