"""A generator that is measured: a model behind an OpenAI-compatible endpoint, asked for plans of a task."""

import time
from dataclasses import replace

from worldverify.billing.generators import Generator
from worldverify.proposing.connection import Told
from worldverify.proposing.endpoint import EndpointError
from worldverify.proposing.propose import propose
from worldverify.task import Task
from worldverify.usage import UsageError

PLANS, CONCURRENCY = 32, 16  # requests, and how many at a time: a server that is asked one by one is not busy


def measured_generator(
    task: Task,
    url: str,
    like: Generator,
    *,
    model: str | None = None,
    plans: int = PLANS,
    concurrency: int = CONCURRENCY,
    told: Told | None = None,
) -> Generator:
    """`like`, whose GPUs are taken to be those behind the endpoint, with the rates that were measured there.

    The rate is that of so many requests at a time, from the first request to the last answer: more at a time may give
    more. Raises UsageError if no text comes, or the server does not say how many tokens it wrote.
    """
    clock, tokens, texts = time.perf_counter(), 0.0, 0
    try:
        for proposal in propose(task, url, plans, model=model, concurrency=concurrency, told=told):
            texts += 1
            if proposal.usage is None or "completion_tokens" not in proposal.usage:
                raise UsageError(
                    f"The endpoint {proposal.endpoint} does not say how many tokens it wrote "
                    "(usage.completion_tokens), so its rate cannot be measured: leave --generator-url out."
                )
            # One request may bring several texts, which share its tokens.
            tokens += proposal.usage["completion_tokens"] / max(1, int(proposal.sampling.get("n", 1)))
    except (EndpointError, ValueError) as error:
        raise UsageError(str(error)) from None
    took = time.perf_counter() - clock
    if not tokens:
        raise UsageError(f"The endpoint {url} wrote no tokens in {texts} answers, so its rate cannot be measured.")
    return replace(
        like,
        name=f"{like.name}, measured",
        tokens_per_s=tokens / took,
        tokens_per_plan=tokens / texts,
        source=f"{texts} answers of an endpoint, {concurrency} requests at a time, measured in this run",
        date=time.strftime("%Y-%m-%d"),
        estimated=False,
    )
