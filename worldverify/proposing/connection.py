"""Asks an endpoint for JSON: again where that may help, at each address that its URL may mean."""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from worldverify.proposing.complaint import refused, said, unanswered, unreadable
from worldverify.proposing.endpoint import Endpoint, EndpointError
from worldverify.proposing.wire import Call, exchange

MOST_WAIT_S = 120.0  # s between two tries
CLOSED = "The connection has been closed."

Told = Callable[[str], None]


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    value: dict[str, Any]  # its JSON
    latency_s: float  # s, of the try that succeeded


class Connection:
    """Asks one endpoint, from any number of threads. close() ends whatever is under way."""

    def __init__(self, endpoint: Endpoint, told: Told | None = None) -> None:
        self.endpoint = endpoint
        self._told = told or (lambda sentence: None)
        self._bases = endpoint.bases
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._calls: set[Call] = set()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def base(self) -> str:
        """The address that answers; before the first answer, the likeliest."""
        return self._bases[0]

    def close(self) -> None:
        """Hang up: the server stops writing, and the threads that wait for it get an EndpointError."""
        self._closed.set()
        with self._lock:
            for call in self._calls:
                call.hang_up()

    def get(self, path: str) -> Reply:
        """The JSON object at a path below the base; raises EndpointError."""
        return self._patiently(path, None)

    def post(self, path: str, body: Mapping[str, object]) -> Reply:
        """The JSON object that answers `body`; raises EndpointError."""
        return self._patiently(path, json.dumps(body, allow_nan=False).encode())

    def _patiently(self, path: str, data: bytes | None) -> Reply:
        """Asks again, later and later, while the fault may pass."""
        tries = 0
        while True:
            try:
                return self._wherever(path, data)
            except EndpointError as error:
                if error.kind != "passing" or self._closed.is_set():
                    raise
                wait_s = max(error.after_s, _backoff(tries, self.endpoint.backoff_s))
                if wait_s > MOST_WAIT_S:
                    raise EndpointError(f"{error} It asks to wait {wait_s:.0f} s: try again then.") from None
                tries += 1
                if tries > self.endpoint.retries:
                    after = f" Gave up after {tries} tries (--retries)." if tries > 1 else ""
                    raise EndpointError(f"{error}{after}", "passing", status=error.status) from None
                self._told(f"{error} Trying again in {wait_s:.1f} s.")
                if self._closed.wait(wait_s):
                    raise

    def _wherever(self, path: str, data: bytes | None) -> Reply:
        """Asks under each address that the URL may mean, until something is there; later requests go there."""
        while True:
            try:
                reply = self._once(self.base + path, data)
            except EndpointError as error:
                if error.kind != "missing":
                    self._bases = self._bases[:1]
                    raise
                if len(self._bases) > 1:
                    self._told(f"Nothing answers at {self.base + path}; asking {self._bases[1] + path}.")
                    self._bases = self._bases[1:]
                    continue
                others = [base + path for base in self.endpoint.bases if base != self.base]
                nor = f" Nor does anything answer at {' or '.join(others)}." if others else ""
                raise EndpointError(f"{error}{nor}", "missing", status=error.status) from None
            self._bases = self._bases[:1]
            return reply

    def _once(self, url: str, data: bytes | None) -> Reply:
        began = time.monotonic()
        call = Call()
        with self._lock:
            if self._closed.is_set():
                raise EndpointError(CLOSED)
            self._calls.add(call)
        alarm = threading.Timer(self.endpoint.timeout_s, call.expire)
        alarm.daemon = True
        alarm.start()
        try:
            answer = exchange(self.endpoint, url, data, call)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            if self._closed.is_set():
                raise EndpointError(CLOSED) from None
            raise unanswered(self.endpoint, error, call) from None
        finally:
            alarm.cancel()
            with self._lock:
                self._calls.discard(call)
        value = self._parsed(answer.body)
        if not 200 <= answer.status < 300:
            raise refused(self.endpoint, url, answer, value)
        if not isinstance(value, dict):
            raise unreadable(self.endpoint, url, answer.body)
        if value.get("error") and "choices" not in value and "data" not in value:
            raise EndpointError(f"{self.endpoint.host} answers with an error{said(value)}", "passing")
        return Reply(value, time.monotonic() - began)

    def _parsed(self, body: bytes) -> Any:
        """The JSON without the key, None if it is none."""
        try:
            value = json.loads(body)
            return value if self.endpoint.key is None else self.endpoint.key.hide(value)
        except (ValueError, RecursionError):
            return None


def _backoff(attempt: int, first_s: float) -> float:
    """Seconds before the next try: doubled each time, with jitter so that many callers do not come back at once."""
    return float(min(first_s * 2**attempt, MOST_WAIT_S / 2) * random.SystemRandom().uniform(0.5, 1.0))
