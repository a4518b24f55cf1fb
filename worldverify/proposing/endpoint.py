"""Where a model is served and what it is asked with: an address, a key that is kept to itself, patience."""

import ipaddress
import math
import os
import re
import threading
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

KEY_VARIABLES = ("WORLDVERIFY_API_KEY", "OPENAI_API_KEY")  # the first that is set counts
LEAST_SECRET = 8  # characters; what is shorter ("EMPTY", "ollama") is a filler and no secret
CHAT = "/chat/completions"
MODELS = "/models"
LIKE = "http://localhost:8000/v1"  # what an address looks like

# final: asking again cannot help. refused: this request is not accepted, another may be. no_model: nor is the model.
# missing: nothing is at that address. passing: asking again may help.
Kind = Literal["final", "refused", "no_model", "missing", "passing"]


class EndpointError(Exception):
    """The server did not answer as it should; the message is a sentence with the remedy, and never holds the key."""

    def __init__(self, sentence: str, kind: Kind = "final", *, status: int | None = None, after_s: float = 0.0) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.status = status  # of HTTP, if the server answered at all
        self.after_s = after_s  # s, the least time that the server asks to wait


@dataclass(frozen=True)
class Key:
    """A secret for a server. Printing it shows the variable it comes from and nothing else."""

    variable: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\x21-\x7e]+", self.secret):
            raise ValueError(f"{self.variable} is empty or holds characters that no key has: set it to the key alone.")

    def hide(self, value: Any) -> Any:
        """A JSON value without the secret: a server may send back what it was sent."""
        if len(self.secret) < LEAST_SECRET:
            return value
        if isinstance(value, str):
            return value.replace(self.secret, "[key]")
        if isinstance(value, list):
            return [self.hide(item) for item in value]
        if isinstance(value, dict):
            return {self.hide(name): self.hide(item) for name, item in value.items()}
        return value


def key_from(environment: Mapping[str, str] = os.environ) -> Key | None:
    """The key that the environment holds; WORLDVERIFY_API_KEY set to nothing means that none is sent.

    Raises ValueError, without quoting it, for a value that cannot be a key.
    """
    for variable in KEY_VARIABLES:
        if variable in environment:
            secret = environment[variable].strip()
            return Key(variable, secret) if secret else None
    return None


@dataclass(frozen=True)
class Endpoint:
    """Where a model answers, and how patiently it is asked."""

    url: str  # "http://localhost:8000", with or without /v1 and /chat/completions
    key: Key | None = None
    timeout_s: float = 600.0  # s, for one whole request
    retries: int = 4  # times that a request is repeated after a fault that may pass
    backoff_s: float = 1.0  # s before the first repetition, doubled for each further one

    def __post_init__(self) -> None:
        _parts(self.url)
        if not (math.isfinite(self.timeout_s) and 0 < self.timeout_s <= threading.TIMEOUT_MAX):
            raise ValueError(f"A timeout is a number of seconds above 0; got {self.timeout_s!r}.")
        if self.retries < 0:
            raise ValueError(f"retries is a whole number from 0 on; got {self.retries!r}.")
        if not (math.isfinite(self.backoff_s) and self.backoff_s >= 0):
            raise ValueError(f"backoff_s is a number of seconds from 0 on; got {self.backoff_s!r}.")

    @property
    def host(self) -> str:
        """Host and port, as they may be told to anyone."""
        return _parts(self.url).netloc

    @property
    def bases(self) -> tuple[str, ...]:
        """The addresses under which /chat/completions may be, the likeliest first."""
        parts = _parts(self.url)
        root, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        if path.endswith(CHAT):
            return (root + path.removesuffix(CHAT),)
        if re.fullmatch(r"v\d\w*", path.rpartition("/")[2]):
            return (root + path,)
        return (root + path, f"{root}{path}/v1") if path else (f"{root}/v1", root)

    @property
    def behind_proxy(self) -> bool:
        """Whether the environment names a proxy for this address."""
        parts = _parts(self.url)
        bypassed = self.is_here or urllib.request.proxy_bypass(parts.netloc)
        return not bypassed and parts.scheme in urllib.request.getproxies()

    @property
    def is_here(self) -> bool:
        """Whether the server is this machine, so that no proxy stands before it."""
        name = _parts(self.url).hostname or ""
        with suppress(ValueError):
            return ipaddress.ip_address(name).is_loopback
        return name == "localhost" or name.endswith(".localhost")

    @property
    def is_open(self) -> bool:
        """Whether others on the way can read what is sent."""
        return _parts(self.url).scheme == "http" and not self.is_here


def _parts(url: str) -> SplitResult:
    """The parts of an endpoint's URL; raises ValueError for one that is none, or that may hold a secret."""
    if re.search(r"[^\x21-\x7e]", url):
        raise ValueError(f"The endpoint's URL has blanks or other characters that no URL has; one looks like {LIKE}.")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(f"The endpoint's URL has a broken host or port; one looks like {LIKE}.") from None
    if "@" in parts.netloc or "@" in parts.path.partition("/")[0]:
        raise ValueError(f"The endpoint's URL holds a user or password: leave it out, and set {KEY_VARIABLES[0]}.")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ValueError(
            f"The endpoint's URL goes on after ? or #: leave that out; a key belongs in {KEY_VARIABLES[0]}."
        )
    if parts.scheme not in ("http", "https"):
        bare = re.fullmatch(r"[\w.-]+(:\d+)?(/\S*)?", url)
        hint = f"did you mean http://{url}?" if bare else f"one looks like {LIKE}."
        raise ValueError(f"The endpoint's URL begins with http:// or https://: {hint}")
    if not parts.hostname:
        raise ValueError(f"The endpoint's URL names no host; one looks like {LIKE}.")
    return parts
