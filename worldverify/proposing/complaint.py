"""The sentence, with its remedy, for each way in which a server may fail to answer."""

import email.utils
import http.client
import re
import socket
import ssl
import time
import urllib.error
from contextlib import suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

from worldverify.proposing.endpoint import KEY_VARIABLES, LIKE, Endpoint, EndpointError
from worldverify.proposing.wire import CONNECT_S, Call, Exchange
from worldverify.table import cut, printable

QUOTED = 240  # characters of what a server says, in a sentence


def unanswered(endpoint: Endpoint, error: Exception, call: Call) -> EndpointError:
    """The sentence for a request that got no answer."""
    host = endpoint.host + (" (through the environment's proxy)" if endpoint.behind_proxy else "")
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if call.expired or (isinstance(reason, TimeoutError) and call.connected):
        return EndpointError(
            f"{host} did not answer within {endpoint.timeout_s:g} s: raise --timeout, or ask for fewer texts "
            "with -n or shorter ones with --max-tokens.",
            "passing",
        )
    if isinstance(reason, TimeoutError):
        return EndpointError(
            f"{host} could not be reached within {min(endpoint.timeout_s, CONNECT_S):g} s: check host and port, and "
            "that no firewall stands between.",
            "passing",
        )
    if isinstance(reason, socket.gaierror | UnicodeError):
        return EndpointError(f"No host is known by the name of {host}: check the spelling of --endpoint.")
    if isinstance(reason, ConnectionRefusedError):
        return EndpointError(f"{host} refuses the connection: is the server running, and is this its port?")
    if isinstance(reason, ssl.SSLCertVerificationError):
        return EndpointError(
            f"The certificate of {host} cannot be verified ({reason.verify_message}): for a certificate of your "
            "own, name its authority in SSL_CERT_FILE."
        )
    if isinstance(reason, ssl.SSLError) and not call.connected:
        return EndpointError(
            f"{host} does not speak TLS as https:// needs it ({reason.reason or 'handshake failed'}): a server "
            "without TLS is addressed with http://."
        )
    if isinstance(reason, http.client.IncompleteRead | ConnectionError | http.client.RemoteDisconnected | ssl.SSLError):
        return EndpointError(
            f"{host} closed the connection before its answer was complete: look at the server's log; a large "
            "image may be too much for it (--no-image).",
            "passing",
        )
    if isinstance(reason, http.client.HTTPException):
        return EndpointError(f"{host} does not speak HTTP there: check the port, and https:// against http://.")
    what = (reason.strerror if isinstance(reason, OSError) else None) or str(reason)
    return EndpointError(f"{host} cannot be reached: {_quoted(what)}.", "passing")


def refused(endpoint: Endpoint, url: str, answer: Exchange, value: Any) -> EndpointError:
    """The sentence for an answer that is none."""
    host, key, status, words = endpoint.host, endpoint.key, answer.status, said(value)
    if status < 400:
        return EndpointError(f"{host} sends elsewhere ({status}){_elsewhere(endpoint, answer)}", status=status)
    if status in (401, 403):
        # What the server says is not quoted: it may hold a part of the key.
        if key is None:
            remedy = f"wants a key: put it in the environment variable {KEY_VARIABLES[0]}"
        else:
            remedy = f"does not accept the key in {key.variable}: check that it is this server's and may use the model"
            if key.variable != KEY_VARIABLES[0]:
                remedy += f", or put another in {KEY_VARIABLES[0]}, which goes first"
        return EndpointError(f"{host} {remedy} ({status}).", status=status)
    if status in (404, 405) and not re.search(r"\bmodel\b", words.lower()):
        sentence = f"Nothing answers at {url} ({status}): check the path of --endpoint; most servers are at {LIKE}."
        return EndpointError(sentence, "missing", status=status)
    if status == 404:
        return EndpointError(f"{host} does not have the model{words}", "no_model", status=status)
    if status == 429 and "quota" in words.lower():
        return EndpointError(f"The account at {host} has no quota left{words}", status=status)
    after_s = _retry_after(answer.headers.get("Retry-After"))
    if status == 429:
        sentence = f"{host} gets too many requests (429){words} Fewer at a time: --concurrency 1."
        return EndpointError(sentence, "passing", status=status, after_s=after_s)
    if status in (408, 409, 425) or status >= 500:
        sentence = f"{host} cannot answer now ({status}){words}"
        return EndpointError(sentence, "passing", status=status, after_s=after_s)
    if status == 413:
        return EndpointError(f"{host} finds the request too large (413): try --no-image.", "refused", status=status)
    return EndpointError(f"{host} does not accept the request ({status}){words}", "refused", status=status)


def unreadable(endpoint: Endpoint, url: str, body: bytes) -> EndpointError:
    """The sentence for a body that is no JSON object."""
    start = body[:200].lstrip()
    if not start or start.startswith(b"{"):
        what = "an answer that breaks off" if start else "an empty answer"
        return EndpointError(f"{endpoint.host} gives {what}: look at the server's log.", "passing")
    if start.startswith(b"<"):
        sentence = f"{url} is a web page: check that --endpoint is the address of the API, such as {LIKE}."
        return EndpointError(sentence, "missing")
    what = "a stream of events" if start.startswith((b"data:", b"event:")) else "no JSON object"
    return EndpointError(f"{url} answers with {what}: check that it is a chat-completions API, such as {LIKE}.")


def said(value: Any) -> str:
    """How a sentence goes on with what the server says of its error."""
    found: Any = value
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    if isinstance(found, list):  # FastAPI lists what it does not like
        found = "; ".join(str(item.get("msg", "")) for item in found if isinstance(item, dict))
    return f": {_quoted(found)}." if isinstance(found, str) and found.strip() else "."


def _quoted(text: str) -> str:
    return cut(printable(" ".join(text.split())), QUOTED).rstrip(".")


def _elsewhere(endpoint: Endpoint, answer: Exchange) -> str:
    """Where a redirect points, which is told and not followed."""
    try:
        target = urlsplit(urljoin(endpoint.bases[0], answer.headers.get("Location") or ""))
    except ValueError:
        return "."
    shown = f"{target.scheme}://{target.netloc.rpartition('@')[2]}{target.path}"
    if endpoint.key is not None:
        shown = endpoint.key.hide(shown)
    return f", to {_quoted(shown)}: if you trust that address, give it to --endpoint."


def _retry_after(value: str | None) -> float:
    """Seconds that a Retry-After header asks for: a number, or a date (RFC 9110, 10.2.3); 0 if it is neither."""
    if value is None:
        return 0.0
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value.strip()):
        return float(value)
    with suppress(ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0
