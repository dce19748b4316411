"""httptools' parser of requests, for a server that speaks HTTP/1.1 alone.

Who asks for another protocol (`Upgrade: h2c`, as Java's client and `curl --http2` do with a first request) may be
answered in this one (RFC 9110, 7.8). httptools takes what follows such a head for the other protocol: a body would be
lost, or read as the next request. So the head is read once more, without the wish. Knows nothing about answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import httptools


class Parser:
    """Calls `protocol` back as httptools does; `again` is set there for a head with a wish: the same without one."""

    def __init__(self, protocol: object) -> None:
        self._protocol = protocol
        self._begin()
        self.again: bytes | None = None

    def feed_data(self, data: bytes) -> None:
        """Raises: httptools.HttpParserError."""
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as wish:
                if self.again is None:  # CONNECT: nothing of HTTP follows
                    return
                data, self.again = self.again + data[wish.args[0] :], None
                self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpRequestParser(self._protocol)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's: answer first, then close
        self.get_method = self._parser.get_method
        self.get_http_version = self._parser.get_http_version
        self.should_keep_alive = self._parser.should_keep_alive
        self.should_upgrade = self._parser.should_upgrade


def plain_head(method: bytes, url: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A request's head that asks for no other protocol; `headers` have their names in lower case."""
    lines = [b"%s %s HTTP/%s" % (method, url, version.encode())]
    lines += [b"%s: %s" % (name, value) for name, value in headers if name != b"upgrade"]
    return b"\r\n".join((*lines, b"", b""))
