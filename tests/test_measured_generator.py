"""A generator behind an endpoint is measured: tokens that the server counts, over the time that all of them took."""

import importlib.util
import sys
from pathlib import Path

import pytest

import worldverify as wv
from worldverify.billing.generators import load_generators
from worldverify.billing.measured_generator import measured_generator
from worldverify.proposing import connection, endpoint
from worldverify.usage import UsageError

_spec = importlib.util.spec_from_file_location("stub_endpoint", Path(__file__).with_name("stub_endpoint.py"))
assert _spec is not None and _spec.loader is not None
stub = importlib.util.module_from_spec(_spec)
sys.modules["stub_endpoint"] = stub
_spec.loader.exec_module(stub)

LIKE = load_generators()["vlm-7b-h100"]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*endpoint.KEY_VARIABLES, "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(connection, "_backoff", lambda attempt, first_s: 0.0)


def test_tokens_of_a_plan_are_those_that_the_server_counts() -> None:
    with stub.Stub() as server:
        found = measured_generator(wv.load("ReachSafe-v0"), server.url, LIKE, plans=6, concurrency=3)
    assert found.tokens_per_plan == pytest.approx(20)
    assert found.tokens_per_s > 20 and not found.estimated and "measured in this run" in found.source
    assert (found.gpu, found.gpus) == (LIKE.gpu, LIKE.gpus) and found.name == "vlm-7b-h100, measured"


def test_a_server_that_does_not_count_cannot_be_measured() -> None:
    def script(asked: object) -> object:
        answer = stub.honest(asked)
        if isinstance(answer.body, dict) and "usage" in answer.body:
            del answer.body["usage"]
        return answer

    with stub.Stub(script) as server, pytest.raises(UsageError, match="does not say how many tokens it wrote"):
        measured_generator(wv.load("ReachSafe-v0"), server.url, LIKE, plans=2)


def test_a_server_that_is_not_there_is_said() -> None:
    with stub.Stub() as server:
        url = server.url
    with pytest.raises(UsageError, match=r"127\.0\.0\.1"):
        measured_generator(wv.load("ReachSafe-v0"), url, LIKE, plans=2)
