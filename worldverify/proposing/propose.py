"""Ask a model for plans: the prompt of a task goes out, the raw texts come back with how they were drawn."""

import math
import queue
import re
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace

from worldverify.action import TIMED, ActionSpec
from worldverify.camera import photograph
from worldverify.declared import contract_of
from worldverify.png import data_uri
from worldverify.proposing.answer import Answer, Text, answer_of, model_names
from worldverify.proposing.connection import Connection, Told
from worldverify.proposing.endpoint import CHAT, MODELS, Endpoint, EndpointError, key_from
from worldverify.refusal import Refusal
from worldverify.registry import load
from worldverify.table import cut, printable
from worldverify.task import Task

MOST_TEXTS = 100_000  # of one run
MOST_AT_ONCE = 256  # requests under way
FAILURES_IN_A_ROW = 3  # requests; then the server is taken to be gone
NAMED = 10  # models that a sentence lists


@dataclass(frozen=True)
class Sampling:
    """How the server is asked to draw texts; None leaves a setting to the server."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None  # of one text
    seed: int | None = None  # of text 0; a request that begins with text i sends seed + i

    def __post_init__(self) -> None:
        if self.temperature is not None and not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature is a number from 0 on; got {self.temperature!r}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is above 0 and at most 1; got {self.top_p!r}.")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"max_tokens is a whole number from 1 on; got {self.max_tokens!r}.")

    def of(self, first: int, n: int) -> dict[str, float | int]:
        """The settings of a request for the texts `first` to `first + n - 1`."""
        seed = None if self.seed is None else self.seed + first
        wanted = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens, "seed": seed}
        return {name: value for name, value in wanted.items() if value is not None} | {"n": n}


@dataclass(frozen=True)
class Proposal:
    """A text that a model wrote for a task, and how it came about."""

    id: str  # "PickCube-v0/0/3": task, seed of its start, number of the text
    text: str  # as the model wrote it; empty if it wrote none
    format: str | None  # what its numbers are declared to mean
    rate_hz: float | None  # Hz, that the prompt asked for; None where the format has its own, or needs none
    model: str  # as the server calls it
    endpoint: str  # host and port
    sampling: Mapping[str, float | int]  # what the request asked for; n: texts of that request
    usage: Mapping[str, int] | None  # tokens of the whole request: prompt_tokens, completion_tokens, total_tokens
    finish_reason: str | None  # "stop", "length": cut off by the limit of tokens, ...
    message: Mapping[str, str]  # what the model wrote beside its text: reasoning, a refusal, tool calls
    image: bool  # whether the model was shown the camera's picture
    seed: int  # which start of the task
    latency_s: float  # s, of the request
    created: str  # when the answer was here, UTC, ISO 8601

    def to_line(self) -> dict[str, object]:
        """A line of a plans file."""
        declared: dict[str, object] = {} if self.format is None else {"format": self.format}
        declared |= {} if self.rate_hz is None else {"rate_hz": self.rate_hz}
        proposal = {
            "model": self.model,
            "endpoint": self.endpoint,
            "sampling": dict(self.sampling),
            "usage": None if self.usage is None else dict(self.usage),
            "finish_reason": self.finish_reason,
            "message": dict(self.message),
            "image": self.image,
            "seed": self.seed,
            "latency_s": round(self.latency_s, 3),
            "created": self.created,
        }
        return {"id": self.id, **declared, "text": self.text, "proposal": proposal}


def propose(
    task: Task | str,
    endpoint: Endpoint | str,
    n: int = 1,
    *,
    model: str | None = None,
    sampling: Sampling | None = None,
    seed: int = 0,
    first: int = 0,
    system: str | None = None,
    image: bool | None = None,
    format: str | None = None,
    concurrency: int = 4,
    told: Told | None = None,
) -> Generator[Proposal, None, None]:
    """N texts of a model for the start `seed` of a task, as they arrive.

    endpoint: an Endpoint, or a URL to which the key of the environment is sent. model: None takes the only one that
    the server has. first: the number of the first text. system: a message that goes before the prompt. image: whether
    the picture of the task's camera is sent; None means that it is if there is one. format: the name of the format
    that the texts are to be read in, which the prompt then asks for; one without a rate gets the task's. concurrency:
    requests under way where the server gives one text a request.
    told(sentence) hears of what a person may want to know.

    Raises ValueError for what the caller can put right, and EndpointError at once if the model cannot be asked for;
    iterating raises EndpointError after the last text if some did not come.
    """
    task = load(task) if isinstance(task, str) else task
    if not 1 <= n <= MOST_TEXTS:
        raise ValueError(f"n is a whole number from 1 to {MOST_TEXTS}; got {n!r}.")
    if not 1 <= concurrency <= MOST_AT_ONCE:
        raise ValueError(f"concurrency is a whole number from 1 to {MOST_AT_ONCE}; got {concurrency!r}.")
    contract = None if format is None else _contract(format, task)
    rate = task.rate if contract is not None and contract.rate_hz is None and contract.syntax in TIMED else None
    shown = contract if contract is None or rate is None else replace(contract, rate_hz=rate)
    picture = picture_of(task, seed, image)
    endpoint = Endpoint(endpoint, key_from()) if isinstance(endpoint, str) else endpoint
    connection = Connection(endpoint, told)
    asked = _Asked(
        connection=connection,
        model=model if model is not None else only_model(connection),
        messages=messages(task.card(seed, shown), picture, system),
        sampling=sampling or Sampling(),
    )
    if told is not None:
        told(_announcement(asked, n, picture is not None))

    def proposal(number: int, answer: Answer, text: Text) -> Proposal:
        return Proposal(
            id=f"{task.name}/{seed}/{number}",
            text=text.text,
            format=format,
            rate_hz=rate,
            model=answer.model or asked.model,
            endpoint=endpoint.host,
            sampling=answer.sampling,
            usage=answer.usage,
            finish_reason=text.finish_reason,
            message=text.message,
            image=picture is not None,
            seed=seed,
            latency_s=answer.latency_s,
            created=answer.created,
        )

    return _gathered(asked, range(first, first + n), concurrency, proposal)


def picture_of(task: Task, seed: int, wanted: bool | None = None) -> str | None:
    """What the task's camera sees of a start, as the data: URL of a PNG; None without a camera or if not wanted."""
    if task.camera is None and wanted:
        raise ValueError(f"{task.name} has no camera, so there is no image to send: leave out --image.")
    if task.camera is None or wanted is False:
        return None
    return data_uri(photograph(task, task.start(seed), task.camera))


def messages(prompt: str, picture: str | None = None, system: str | None = None) -> list[dict[str, object]]:
    """The messages of a request: the system's if any, then the user's, the picture before the prompt."""
    content: object = prompt
    if picture is not None:
        content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": prompt}]
    before: list[dict[str, object]] = [] if system is None else [{"role": "system", "content": system}]
    return [*before, {"role": "user", "content": content}]


def only_model(connection: Connection) -> str:
    """The only model that the server has; raises ValueError if there are others, or if it does not say."""
    host = connection.endpoint.host
    try:
        found = model_names(connection.get(MODELS))
    except EndpointError as error:
        if error.kind in ("missing", "refused", "no_model"):
            raise ValueError(f"{host} does not list its models: name one with --model. {error}") from None
        raise
    if len(found) != 1:
        has = f"{len(found)} models: {_listed(found)}" if found else "no models"
        raise ValueError(f"{host} lists {has}. Name one with --model.")
    return found[0]


def _contract(format: str, task: Task) -> ActionSpec:
    """What the texts are to mean. Refuses, before a model has written any, what they could not be read in."""
    try:
        return contract_of(format, None, task.contracts, task.name)[0]
    except Refusal as refusal:
        if refusal.code != "missing_statistics":
            raise
        sentence = f"{format} needs statistics, which a line of a text does not hold: leave out --format here, and "
        raise ValueError(f"{sentence}give --format and --stats to worldverify verify.") from None


class _Asked:
    """A prompt, and the ways of asking that this server turns out to take."""

    def __init__(
        self, connection: Connection, model: str, messages: list[dict[str, object]], sampling: Sampling
    ) -> None:
        self.connection = connection
        self.model = model
        self.messages = messages
        self.sampling = sampling
        self._limit = "max_tokens"  # the name of that setting; OpenAI's newer models know another only

    def __call__(self, first: int, n: int) -> Answer:
        """The server's answer to a request for n texts; raises EndpointError."""
        settings = self.sampling.of(first, n)
        while True:
            limit = self._limit
            renamed = {limit if name == "max_tokens" else name: value for name, value in settings.items()}
            body = {"model": self.model, "messages": self.messages, "stream": False, **renamed}
            try:
                reply = self.connection.post(CHAT, body)
                break
            except EndpointError as error:
                if error.kind == "no_model":
                    raise self._with_models(error) from None
                if error.kind != "refused" or limit != "max_tokens" or "max_completion_tokens" not in str(error):
                    raise self._with_hint(error) from None
                self._limit = "max_completion_tokens"
        return answer_of(reply, self.connection.endpoint.host, settings)

    def _with_hint(self, error: EndpointError) -> EndpointError:
        """The same error; where it speaks of images and one was sent, with what to do about it."""
        sent = isinstance(self.messages[-1]["content"], list)
        if not (sent and re.search(r"image|multimodal|vision", str(error), re.IGNORECASE)):
            return error
        sentence = f"{error} If the model takes no images: --no-image."
        return EndpointError(sentence, error.kind, status=error.status)

    def _with_models(self, error: EndpointError) -> EndpointError:
        """The same error, with the models that there are."""
        try:
            found = model_names(self.connection.get(MODELS))
        except EndpointError:
            found = []
        hint = f" It has {_listed(found)}: name one with --model." if found else " Name another with --model."
        return EndpointError(f"{error}{hint}", status=error.status)


def _gathered(
    ask: _Asked, numbers: range, concurrency: int, made: Callable[[int, Answer, Text], Proposal]
) -> Generator[Proposal, None, None]:
    """The texts of those numbers, in the order of their arrival.

    The first request asks for all. A server that gives fewer than asked, or refuses, is asked for fewer at a time,
    and then by several requests at once.
    """
    waiting, arrived = deque(numbers), queue.SimpleQueue[tuple[list[int], Answer | BaseException]]()
    share, under_way, settled = len(numbers), 0, False
    lost, failures, fault = 0, 0, None

    def work(taken: list[int]) -> None:
        try:
            arrived.put((taken, ask(taken[0], len(taken))))
        except BaseException as error:  # raised again by the thread that waits
            arrived.put((taken, error))

    with ask.connection:
        ready: list[Proposal] = []
        while waiting or under_way:
            while waiting and under_way < (concurrency if settled else 1):
                taken = _run(waiting, share)
                # daemons, so that an interrupt need not wait for a model to finish
                threading.Thread(target=work, args=(taken,), daemon=True).start()
                under_way += 1
            yield from ready  # once the server has work again, since the caller may take its time
            taken, outcome = arrived.get()
            under_way -= 1
            ready = []
            if isinstance(outcome, Answer):
                settled, failures = True, 0
                share = min(share, len(outcome.texts))
                waiting.extendleft(reversed(taken[len(outcome.texts) :]))
                ready = [made(number, outcome, text) for number, text in zip(taken, outcome.texts, strict=False)]
            elif not isinstance(outcome, EndpointError):
                raise outcome
            elif len(taken) > 1 and _may_be_of_the_number(outcome):
                share = 1
                waiting.extendleft(reversed(taken))
            else:
                lost, failures, fault = lost + len(taken), failures + 1, outcome
                if outcome.kind != "passing" or not settled or failures >= FAILURES_IN_A_ROW:
                    lost += len(waiting)
                    waiting.clear()
        yield from ready
    if fault is not None:
        some = f"{lost} of {len(numbers)} texts did not come: " if lost < len(numbers) else ""
        raise EndpointError(f"{some}{fault}", fault.kind, status=fault.status)


def _may_be_of_the_number(error: EndpointError) -> bool:
    """Whether fewer texts a request may help: servers refuse several in many ways, and several take longer."""
    return error.kind == "refused" or (error.kind == "passing" and error.status in (None, 500, 501))


def _run(waiting: deque[int], most: int) -> list[int]:
    """The next texts to ask for, taken from those that wait: numbers that follow each other."""
    taken = [waiting.popleft()]
    while waiting and len(taken) < most and waiting[0] == taken[-1] + 1:
        taken.append(waiting.popleft())
    return taken


def _listed(models: list[str]) -> str:
    more = f" and {len(models) - NAMED} more" if len(models) > NAMED else ""
    return ", ".join(cut(printable(name), 60) for name in models[:NAMED]) + more


def _announcement(asked: _Asked, n: int, pictured: bool) -> str:
    where = asked.connection.endpoint
    texts = "a text" if n == 1 else f"{n} texts"
    secret = "no key" if where.key is None else f"the key in {where.key.variable}"
    if where.key is not None and where.is_open:
        secret += " (which travels unencrypted: the address is http://)"
    seen = "the camera's image" if pictured else "no image"
    return f"Asking {asked.model} at {asked.connection.base}{CHAT} for {texts}, with {secret} and {seen}."
