"""What a server's answer holds: texts, what stood beside them, and what they took."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worldverify.proposing.connection import Reply
from worldverify.proposing.endpoint import EndpointError
from worldverify.table import cut

BESIDE = ("reasoning_content", "reasoning", "refusal", "tool_calls")  # what a message may hold beside its content


@dataclass(frozen=True)
class Text:
    """One choice of an answer."""

    text: str
    finish_reason: str | None
    message: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """One answer of the server."""

    texts: tuple[Text, ...]
    model: str | None
    usage: Mapping[str, int] | None
    sampling: Mapping[str, float | int]
    latency_s: float
    created: str


def answer_of(reply: Reply, host: str, sampling: Mapping[str, float | int]) -> Answer:
    """The answer to a request with those settings; raises EndpointError if it holds no choices."""
    choices, model, usage = (reply.value.get(name) for name in ("choices", "model", "usage"))
    if not isinstance(choices, list):
        raise EndpointError(f"{host} answers without choices: check that it is a chat-completions API.")
    texts = tuple(_text(choice) for choice in choices if isinstance(choice, dict))
    if not texts:
        raise EndpointError(f"{host} answers with an empty list of choices.", "passing")
    return Answer(
        texts=texts[: int(sampling["n"])],
        model=cut(model, 200) if isinstance(model, str) and model else None,
        usage=_counts(usage) if isinstance(usage, dict) else None,
        sampling=sampling,
        latency_s=reply.latency_s,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def model_names(reply: Reply) -> list[str]:
    """The names in a list of models."""
    data = reply.value.get("data")
    entries = data if isinstance(data, list) else []
    return [item["id"] for item in entries if isinstance(item, dict) and isinstance(item.get("id"), str)]


def _text(choice: dict[str, Any]) -> Text:
    """What a model wrote. Reasoning and tool calls are kept beside the text: a plan is not read from them."""
    message, finish = choice.get("message"), choice.get("finish_reason")
    if not isinstance(message, dict):
        message = {}
    content = message.get("content")
    if isinstance(content, list):  # parts, as some servers write them
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    beside = {name: _as_text(message[name]) for name in BESIDE if message.get(name)}
    return Text(
        text=content if isinstance(content, str) else "",
        finish_reason=cut(finish, 40) if isinstance(finish, str) else None,
        message=beside,
    )


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _counts(usage: dict[str, Any]) -> dict[str, int]:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {name: usage[name] for name in names if type(usage.get(name)) is int and 0 <= usage[name] < 2**63}
