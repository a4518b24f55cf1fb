"""A chat-completions server in this process that answers as a test tells it to."""

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: Any  # the JSON, None if there was none


@dataclass(frozen=True)
class Answer:
    """What to send back; a body that is no bytes is sent as JSON."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = None  # bytes that the header announces, if not as many as come
    chunks: tuple[bytes, ...] = ()  # sent one by one instead of the body
    between: Callable[[], object] = lambda: None  # called before each chunk


Script = Callable[[Asked], Answer]


def completion(*texts: str | None, **changes: Any) -> dict[str, Any]:
    """The body of an answer with these texts."""
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 700, "completion_tokens": 20 * len(texts), "total_tokens": 700 + 20 * len(texts)}
    return {"object": "chat.completion", "model": "stub-1", "choices": choices, "usage": usage} | changes


def models(*names: str) -> dict[str, Any]:
    """The body of a list of models."""
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


def honest(asked: Asked) -> Answer:
    """One model under /v1, as many texts as asked for, each another."""
    if asked.path == "/v1/models":
        return Answer(models("stub"))
    if asked.path != "/v1/chat/completions":
        return Answer({"detail": "Not Found"}, 404)
    return Answer(completion(*(f"text {asked.body.get('seed', 0) + i}" for i in range(asked.body.get("n", 1)))))


class Stub:
    """The server: answers by `script`, keeps what it was asked; a context."""

    def __init__(self, script: Script = honest) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.faults: list[BaseException] = []
        self.ended = 0  # answers that the client did not wait for
        self._lock = threading.Lock()
        self._server = _server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> "Stub":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if kind is None:
            assert not self.faults, self.faults

    def wrap(self, tls: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """The address as a person types it."""
        return f"http://{self.host}"

    @property
    def chats(self) -> list[Asked]:
        """The requests for texts."""
        return [asked for asked in self.asked if asked.method == "POST"]

    def answer(self, asked: Asked) -> Answer:
        """What the script says; a script that fails fails the test."""
        with self._lock:
            self.asked.append(asked)
        try:
            return self.script(asked)
        except BaseException as error:
            self.faults.append(error)
            return Answer({"error": {"message": f"the script of the test failed: {error!r}"}}, 400)


def _server(stub: Stub) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve(None)

        def do_POST(self) -> None:
            self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _serve(self, body: Any) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = stub.answer(Asked(self.command, self.path, headers, body))
            data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            chunks = answer.chunks or (data,)
            try:
                self.send_response(answer.status)
                length = answer.announced if answer.announced is not None else sum(map(len, chunks))
                for name, value in {"Content-Length": str(length), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                for chunk in chunks:
                    answer.between()
                    self.wfile.write(chunk)
            except ConnectionError:
                stub.ended += 1

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False
        block_on_close = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that hangs up while it is answered

    return Server(("127.0.0.1", 0), Handler)
