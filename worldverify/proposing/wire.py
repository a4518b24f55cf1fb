"""One request over HTTP: bounded in bytes and time, ended from another thread if need be, and never sent on."""

import http.client
import socket
import ssl
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from worldverify.proposing.endpoint import Endpoint, EndpointError
from worldverify.version import VERSION

MAX_REPLY = 12 * 2**20  # bytes; a line made of it is shorter than the longest line of a plans file
CONNECT_S = 20.0  # s, to reach the server


@dataclass(frozen=True)
class Exchange:
    """What came back, whatever its status."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Call:
    """One request under way: a socket that can be shut down from another thread."""

    def __init__(self) -> None:
        self.connected = False
        self.expired = False
        self.over = False
        self._socket: socket.socket | None = None

    def opened(self, connected: socket.socket) -> None:
        self.connected = True
        self._socket = connected
        if self.over:
            self.hang_up()

    def expire(self) -> None:
        self.expired = True
        self.hang_up()

    def hang_up(self) -> None:
        self.over = True
        if self._socket is not None:
            with suppress(OSError):  # it may be closed already
                # of the plain socket: that of TLS would change what another thread is reading through
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def exchange(endpoint: Endpoint, url: str, data: bytes | None, call: Call) -> Exchange:
    """One request and what came of it, whatever the status: nothing is followed, so no other host gets the key."""
    request = urllib.request.Request(url, data, {"Accept": "application/json", "User-Agent": f"worldverify/{VERSION}"})
    if data is not None:
        request.add_header("Content-Type", "application/json")
    if endpoint.key is not None:
        request.add_unredirected_header("Authorization", f"Bearer {endpoint.key.secret}")
    opener = urllib.request.OpenerDirector()
    opener.add_handler(_Handler(call))
    if not endpoint.is_here:
        opener.add_handler(urllib.request.ProxyHandler())
    with opener.open(request, timeout=endpoint.timeout_s) as response:
        body = response.read(MAX_REPLY + 1)
        if len(body) > MAX_REPLY:
            raise EndpointError(
                f"{endpoint.host} sends more than {MAX_REPLY >> 20} MiB: ask for fewer texts with -n, or for "
                "shorter ones with --max-tokens."
            )
        if call.over:
            raise TimeoutError
        if response.length:  # bytes that were announced and did not come
            raise http.client.IncompleteRead(body, response.length)
        return Exchange(response.status, response.headers, body)


class _Plain(http.client.HTTPConnection):
    call: Call

    def connect(self) -> None:
        _connect(self, super().connect, self.call)


class _Secure(http.client.HTTPSConnection):
    call: Call

    def connect(self) -> None:
        _connect(self, super().connect, self.call)


def _connect(connection: http.client.HTTPConnection, connect: Callable[[], None], call: Call) -> None:
    """Connects with less patience than an answer needs."""
    patience_s = connection.timeout or CONNECT_S
    connection.timeout = min(patience_s, CONNECT_S)
    connect()
    connection.sock.settimeout(patience_s)
    call.opened(connection.sock)


class _Handler(urllib.request.AbstractHTTPHandler):
    """Opens both schemes; with no other handler beside it, redirects and error statuses come back as they are."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._plain, request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._secure, request)

    http_request = urllib.request.AbstractHTTPHandler.do_request_
    https_request = urllib.request.AbstractHTTPHandler.do_request_

    def _plain(self, host: str, **options: Any) -> _Plain:
        connection = _Plain(host, **options)
        connection.call = self._call
        return connection

    def _secure(self, host: str, **options: Any) -> _Secure:
        connection = _Secure(host, context=ssl.create_default_context(), **options)
        connection.call = self._call
        return connection
