"""What a model is asked for, what is kept of its answers, and how every way of failing is told."""

import base64
import email.utils
import importlib.util
import json
import os
import queue
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.camera import Camera, photograph
from worldverify.cli import main
from worldverify.plansfile import read_plans
from worldverify.proposing import complaint, connection, endpoint, wire
from worldverify.proposing.connection import Connection
from worldverify.proposing.endpoint import Endpoint, EndpointError, Key, key_from
from worldverify.proposing.propose import Proposal, Sampling, propose

_spec = importlib.util.spec_from_file_location("stub_endpoint", Path(__file__).with_name("stub_endpoint.py"))
assert _spec is not None and _spec.loader is not None
stub = importlib.util.module_from_spec(_spec)
sys.modules["stub_endpoint"] = stub
_spec.loader.exec_module(stub)
Answer, Asked, Stub, completion, honest, models = (
    stub.Answer,
    stub.Asked,
    stub.Stub,
    stub.completion,
    stub.honest,
    stub.models,
)

TASK = "PickCube-v0"
SECRET = "sk-5up3r-s3cret-0123456789"
KEYS = ("id", "text", "proposal")
PROPOSAL_KEYS = (
    "model",
    "endpoint",
    "sampling",
    "usage",
    "finish_reason",
    "message",
    "image",
    "seed",
    "latency_s",
    "created",
)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no proxy of the machine, and no time lost between two tries."""
    for name in (*endpoint.KEY_VARIABLES, *PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(connection, "_backoff", lambda attempt, first_s: 0.0)


def texts(
    server: Any, n: int = 1, *, key: Key | None = None, timeout_s: float = 30, retries: int = 2, **options: Any
) -> list[Proposal]:
    """What propose gives for a stub."""
    where = Endpoint(server.url, key, timeout_s=timeout_s, retries=retries)
    return list(propose(TASK, where, n, **{"model": "stub", **options}))


def failure(server: Any, n: int = 1, **options: Any) -> str:
    """The sentence that propose ends with."""
    with pytest.raises(EndpointError) as caught:
        texts(server, n, **options)
    return str(caught.value)


def always(*answer: Any, **options: Any) -> Callable[[Any], Any]:
    return lambda asked: Answer(*answer, **options)


def told(capsys: pytest.CaptureFixture[str], server: Any, *arguments: object, status: int) -> tuple[str, str]:
    """The command's output and errors, and that it ends with this status."""
    words = ["propose", TASK, "--endpoint", server if isinstance(server, str) else server.url, *map(str, arguments)]
    assert main(words) == status
    captured = capsys.readouterr()
    return captured.out, captured.err


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(6000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("It did not come about within a minute.")


# What is sent


def test_a_model_is_sent_the_card_of_the_start() -> None:
    with Stub() as server:
        texts(server, seed=3)
    [asked] = server.chats
    assert asked.path == "/v1/chat/completions"
    assert asked.body == {
        "model": "stub",
        "messages": [{"role": "user", "content": wv.load(TASK).card(3)}],
        "stream": False,
        "n": 1,
    }


def test_settings_are_sent_where_they_are_given_and_kept_as_they_were_sent() -> None:
    sampling = Sampling(temperature=0.7, top_p=0.9, max_tokens=512, seed=40)
    with Stub() as server:
        first, second = texts(server, 2, sampling=sampling, first=5)
    wanted = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 512, "seed": 45, "n": 2}
    assert wanted.items() <= server.chats[0].body.items()
    assert first.sampling == second.sampling == wanted


def test_a_system_message_goes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "system.txt"
    file.write_text("You are a robot arm.")
    with Stub() as server:
        told(capsys, server, "--system", file, status=0)
    assert [message["role"] for message in server.chats[0].body["messages"]] == ["system", "user"]
    assert server.chats[0].body["messages"][0]["content"] == "You are a robot arm."


def with_camera() -> wv.Task:
    """A task of one box and a camera that sees it."""
    task = wv.Task.from_mjcf(
        """<mujoco><worldbody>
        <camera name="front" pos="0 -1 .5" xyaxes="1 0 0 0 .45 .9"/>
        <body name="box" pos="0 0 .1"><joint name="slide" type="slide" axis="1 0 0"/>
        <geom size=".1 .1 .1" type="box" rgba="1 0 0 1"/></body></worldbody>
        <actuator><motor joint="slide" ctrlrange="-1 1"/></actuator></mujoco>""",
        spec="slow: always(speed(box) < 1 m/s)",
        horizon=0.1,
        rate=50,
        name="Box",
    )
    return replace(task, camera=Camera("front", 32, 24))


def test_the_picture_that_is_sent_is_the_camera_s_as_a_png() -> None:
    task = with_camera()
    with Stub() as server:
        [proposal] = propose(task, Endpoint(server.url), model="stub")
    picture, prompt = server.chats[0].body["messages"][0]["content"]
    assert prompt == {"type": "text", "text": task.card(0)}
    assert picture["type"] == "image_url"
    scheme, data = picture["image_url"]["url"].split(",")
    assert scheme == "data:image/png;base64"
    xml = '<mujoco><asset><texture name="t" type="2d" file="t.png" nchannel="3"/></asset></mujoco>'
    sent = mujoco.MjModel.from_xml_string(xml, {"t.png": base64.b64decode(data, validate=True)})
    assert np.array_equal(sent.tex_data.reshape(24, 32, 3), photograph(task, task.start(0), Camera("front", 32, 24)))
    assert proposal.image


def test_the_picture_is_left_out_if_it_is_not_wanted() -> None:
    task = with_camera()
    with Stub() as server:
        [proposal] = propose(task, Endpoint(server.url), model="stub", image=False)
    assert server.chats[0].body["messages"] == [{"role": "user", "content": task.card(0)}]
    assert not proposal.image


def test_a_picture_cannot_be_wanted_of_a_task_without_a_camera(capsys: pytest.CaptureFixture[str]) -> None:
    with Stub() as server:
        _, err = told(capsys, server, "--model", "stub", "--image", status=2)
    assert "PickCube-v0 has no camera" in err
    assert not server.asked


# How many at once


def test_a_server_that_gives_n_texts_is_asked_once() -> None:
    with Stub() as server:
        found = texts(server, 16)
    assert len(server.chats) == 1
    assert [p.id for p in found] == [f"{TASK}/0/{i}" for i in range(16)]
    assert len({p.text for p in found}) == 16


def test_a_server_that_gives_one_text_is_asked_for_each_with_a_seed_of_its_own() -> None:
    def one(asked: Any) -> Any:
        return Answer(completion(f"text of {asked.body['seed']}"))

    with Stub(one) as server:
        found = texts(server, 5, sampling=Sampling(seed=10))
    assert [asked.body["n"] for asked in server.chats] == [5, 1, 1, 1, 1]
    assert {p.id: p.text for p in found} == {f"{TASK}/0/{i}": f"text of {10 + i}" for i in range(5)}
    assert sorted(p.sampling["seed"] for p in found) == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("status", [400, 422, 500, 501])
def test_a_server_that_refuses_several_is_asked_for_one_at_a_time(status: int) -> None:
    def one(asked: Any) -> Any:
        if asked.body["n"] > 1:
            return Answer({"error": {"message": "Only one completion choice is allowed"}}, status)
        return Answer(completion("text"))

    with Stub(one) as server:
        found = texts(server, 3)
    assert sorted(p.id for p in found) == [f"{TASK}/0/{i}" for i in range(3)]


def test_a_server_with_a_limit_is_asked_for_as_many_as_it_gives() -> None:
    def three(asked: Any) -> Any:
        return Answer(completion(*["text"] * min(3, asked.body["n"])))

    with Stub(three) as server:
        found = texts(server, 8)
    assert sorted(asked.body["n"] for asked in server.chats) == [2, 3, 8]
    assert sorted(p.id for p in found) == [f"{TASK}/0/{i}" for i in range(8)]


def test_more_texts_than_asked_for_are_not_kept() -> None:
    with Stub(always(completion(*"abc"))) as server:
        assert [p.text for p in texts(server, 2)] == ["a", "b"]


def test_several_requests_are_under_way_at_once() -> None:
    together = threading.Barrier(4)

    def script(asked: Any) -> Any:
        if asked.body["n"] == 1:
            together.wait(20)  # broken unless four are here
        return Answer(completion("text"))

    with Stub(script) as server:
        assert len(texts(server, 9, concurrency=4)) == 9


def test_no_more_requests_are_under_way_than_wanted() -> None:
    here, most, lock = 0, 0, threading.Lock()

    def script(asked: Any) -> Any:
        nonlocal here, most
        with lock:
            here += 1
            most = max(most, here)
        time.sleep(0.01)
        with lock:
            here -= 1
        return Answer(completion("text"))

    with Stub(script) as server:
        assert len(texts(server, 10, concurrency=2)) == 10
    assert most <= 2


def test_a_server_that_knows_another_name_for_the_limit_is_asked_by_that_name() -> None:
    def picky(asked: Any) -> Any:
        if "max_tokens" in asked.body:
            said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return Answer({"error": {"message": said, "code": "unsupported_parameter"}}, 400)
        return Answer(completion(*["text"] * asked.body["n"]))

    with Stub(picky) as server:
        found = texts(server, 2, sampling=Sampling(max_tokens=99))
    assert [asked.body.get("max_completion_tokens") for asked in server.chats] == [None, 99]
    assert found[0].sampling == {"max_tokens": 99, "n": 2}


# What is kept


def test_a_line_holds_the_text_and_how_it_came_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plans.jsonl"
    with Stub() as server:
        told(capsys, server, "-n", 2, "--seed", 4, "--json", out, "--temperature", "0.5", status=0)
    line = lines_of(out)[1]
    assert tuple(line) == KEYS
    assert (line["id"], line["text"]) == (f"{TASK}/4/1", "text 1")
    proposal = line["proposal"]
    assert tuple(proposal) == PROPOSAL_KEYS
    assert proposal["model"] == "stub-1"
    assert proposal["endpoint"] == server.host
    assert proposal["sampling"] == {"temperature": 0.5, "n": 2}
    assert proposal["usage"] == {"prompt_tokens": 700, "completion_tokens": 40, "total_tokens": 740}
    assert (proposal["finish_reason"], proposal["seed"], proposal["image"]) == ("stop", 4, False)
    assert proposal["latency_s"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", proposal["created"])


def test_the_lines_are_judged_as_their_texts_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pick = '{"skills": [{"skill": "pick", "object": "cube"}]}'
    out = tmp_path / "plans.jsonl"
    with Stub(lambda asked: Answer(models("m") if asked.method == "GET" else completion(pick, "no plan"))) as server:
        told(capsys, server, "-n", 2, "--json", out, status=0)
    with_words, alone = wv.verify(TASK, read_plans(out)), wv.verify(TASK, [pick, "no plan"])
    assert [v.status for v in with_words] == ["PASS", "INVALID"]
    assert [(v.status, v.code, v.reason, v.margins) for v in with_words] == [
        (v.status, v.code, v.reason, v.margins) for v in alone
    ]
    assert with_words[0].digest == alone[0].digest


def test_a_declared_format_stands_in_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plans.jsonl"
    with Stub() as server:
        told(capsys, server, "--format", "skills", "--json", out, status=0)
    assert lines_of(out)[0]["format"] == "skills"


@pytest.mark.parametrize(
    ("choice", "text", "beside"),
    [
        ({"message": {"content": None}}, "", {}),
        ({"message": {"content": ""}}, "", {}),
        ({"message": {}}, "", {}),
        ({"message": None}, "", {}),
        ({}, "", {}),
        ({"message": {"content": 3}}, "", {}),
        ({"message": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, 7]}}, "ab", {}),
        ({"message": {"content": "a", "reasoning_content": "b"}}, "a", {"reasoning_content": "b"}),
        ({"message": {"content": None, "reasoning": "b"}}, "", {"reasoning": "b"}),
        ({"message": {"content": None, "refusal": "No."}}, "", {"refusal": "No."}),
        (
            {"message": {"content": None, "tool_calls": [{"function": {"name": "pick"}}]}},
            "",
            {"tool_calls": '[{"function": {"name": "pick"}}]'},
        ),
    ],
)
def test_a_choice_is_kept_whatever_it_holds(choice: dict[str, Any], text: str, beside: dict[str, str]) -> None:
    with Stub(always(completion(choices=[choice]))) as server:
        [proposal] = texts(server)
    assert (proposal.text, proposal.message, proposal.finish_reason) == (text, beside, None)
    json.dumps(proposal.to_line(), allow_nan=False)


def test_a_text_that_was_cut_off_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = completion('{"skills": [{"skill"', "b")
    body["choices"][0]["finish_reason"] = "length"
    out = tmp_path / "plans.jsonl"
    with Stub(lambda asked: Answer(models("stub") if asked.method == "GET" else body)) as server:
        said, _ = told(capsys, server, "-n", 2, "--json", out, status=0)
    assert lines_of(out)[0]["proposal"]["finish_reason"] == "length"
    assert "1 cut off by the limit of tokens: raise --max-tokens." in said


@pytest.mark.parametrize(
    "usage",
    [None, [], "many", {}, {"prompt_tokens": None}, {"prompt_tokens": True}, {"prompt_tokens": float("nan")}],
)
def test_a_strange_usage_does_not_matter(usage: Any) -> None:
    with Stub(always(completion("text", usage=usage, model=7))) as server:
        [proposal] = texts(server)
    assert not proposal.usage
    assert proposal.model == "stub"
    json.dumps(proposal.to_line(), allow_nan=False)


def test_any_text_is_one_line_that_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wild = "a\nb\r\n\x00\u2028 é 机器人 🤖 \ud800 \x1b[31m </script>"
    out = tmp_path / "plans.jsonl"
    with Stub(always(completion(wild))) as server:
        told(capsys, server, "--model", "stub", "--json", out, status=0)
    [candidate] = read_plans(out)
    assert isinstance(candidate, dict)
    assert candidate["text"] == wild


def test_lines_go_to_the_standard_output_and_words_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with Stub() as server:
        out, err = told(capsys, server, "-n", 3, status=0)
    assert [json.loads(line)["id"] for line in out.splitlines()] == [f"{TASK}/0/{i}" for i in range(3)]
    assert "3 texts of stub-1, 3 different." in err


def test_the_command_says_what_it_did_and_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plans.jsonl"
    with Stub() as server:
        said, err = told(capsys, server, "-n", 2, "--seed", 3, "--json", out, status=0)
        expected = f"Asking stub at {server.url}/v1/chat/completions for 2 texts, with no key and no image."
    assert expected in err
    assert said.splitlines() == [
        f"2 texts of stub-1 in {out}, 2 different.",
        "1 request: 700 tokens read, 40 written.",
        f"To judge them: worldverify verify {TASK} {out} --seed 3",
    ]


# The file


def test_a_file_that_holds_something_is_neither_overwritten_nor_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plans.jsonl"
    out.write_text("precious\n")
    with Stub() as server:
        _, err = told(capsys, server, "--json", out, status=2)
    assert "--append" in err
    assert out.read_text() == "precious\n"
    assert not server.asked


def test_added_texts_go_on_with_the_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plans.jsonl"
    begun = [{"id": f"{TASK}/0/{i}", "text": "old"} for i in (0, 6, 2)] + [{"id": f"{TASK}/1/40", "text": "other"}]
    out.write_text("".join(json.dumps(line) + "\n" for line in begun) + "no JSON\n" + '{"id": "cut o')
    with Stub() as server:
        told(capsys, server, "-n", 2, "--json", out, "--append", "--sampling-seed", 100, status=0)
    *_, torn, first, second = out.read_text().splitlines()
    assert torn == '{"id": "cut o'
    assert [json.loads(line)["id"] for line in (first, second)] == [f"{TASK}/0/7", f"{TASK}/0/8"]
    assert server.chats[0].body["seed"] == 107


def test_a_text_is_on_disk_before_the_next_one_is_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plans.jsonl"
    seen = queue.SimpleQueue[int]()

    def script(asked: Any) -> Any:
        if len(server.chats) == 3:
            wait_until(lambda: len(lines_of(out)) == 2)
        seen.put(len(lines_of(out)))
        return Answer(completion("text"))

    with Stub(script) as server:
        told(capsys, server, "-n", 3, "--model", "m", "--concurrency", 1, "--json", out, status=0)
    assert [seen.get() for _ in range(3)][2] == 2


def test_nothing_is_asked_if_the_file_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Stub() as server:
        for path in (tmp_path / "none" / "plans.jsonl", tmp_path):
            _, err = told(capsys, server, "--json", path, status=2)
            assert f"Cannot write {path}" in err
    assert not server.asked


def test_no_file_is_left_where_nothing_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plans.jsonl"
    with Stub(always({"error": {"message": "no"}}, 400)) as server:
        told(capsys, server, "--model", "m", "--json", out, status=1)
    assert not out.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="The machine has no device that is always full.")
def test_texts_that_the_disk_cannot_take_are_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    with Stub() as server:
        out, err = told(capsys, server, "-n", 2, "--json", "/dev/full", status=2)
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["text 0", "text 1"]
    assert "Cannot write /dev/full" in err


def test_what_came_before_an_interrupt_is_on_disk(tmp_path: Path) -> None:
    out = tmp_path / "plans.jsonl"
    hung = threading.Event()

    def script(asked: Any) -> Any:
        if len(server.chats) < 3:
            return Answer(completion("text"))
        return Answer(chunks=(b" ",), announced=9, between=lambda: hung.wait(60))

    with Stub(script) as server:
        words = ["propose", TASK, "--endpoint", server.url, "--model", "m", "-n", "6", "--json", str(out)]
        # What runs in the background of a shell is started deaf to interrupts; this one is to hear them.
        heard = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler)"
        start = f"{heard}; runpy.run_module('worldverify', run_name='__main__', alter_sys=True)"
        with subprocess.Popen(
            [sys.executable, "-c", start, *words, "--concurrency", "2"], stderr=subprocess.PIPE, text=True
        ) as command:
            wait_until(lambda: command.poll() is not None or (out.exists() and out.read_text().count("\n") == 2))
            command.send_signal(signal.SIGINT)
            _, err = command.communicate(timeout=30)
        hung.set()
    assert command.returncode == 130, err
    assert [line["text"] for line in lines_of(out)] == ["text", "text"]
    assert "ask for the others with -n 4 --append" in err
    assert "Traceback" not in err


def test_closing_the_iterator_hangs_up() -> None:
    def script(asked: Any) -> Any:
        if len(server.chats) == 1:
            return Answer(completion("text"))
        return Answer(chunks=(b" " * 65536,) * 2000, between=lambda: time.sleep(0.02))

    # leaving the stub waits for its threads, and each ends once its client has hung up
    with Stub(script) as server:
        proposals = propose(TASK, Endpoint(server.url), 3, model="m")
        assert next(proposals).text == "text"
        # the next request goes out although nobody asks for the next text
        wait_until(lambda: len(server.chats) > 1)
        proposals.close()
    assert server.ended == len(server.chats) - 1


# Where the server is


@pytest.mark.parametrize(
    ("url", "bases"),
    [
        ("http://h:8000", ("http://h:8000/v1", "http://h:8000")),
        ("http://h:8000/", ("http://h:8000/v1", "http://h:8000")),
        ("http://h:8000/v1", ("http://h:8000/v1",)),
        ("http://h:8000/v1/", ("http://h:8000/v1",)),
        ("http://h:8000/v1/chat/completions", ("http://h:8000/v1",)),
        ("http://h/chat/completions/", ("http://h",)),
        ("https://h/api", ("https://h/api", "https://h/api/v1")),
        ("https://h/v1beta/openai", ("https://h/v1beta/openai", "https://h/v1beta/openai/v1")),
        ("http://[::1]:8000", ("http://[::1]:8000/v1", "http://[::1]:8000")),
    ],
)
def test_an_address_may_be_given_in_part(url: str, bases: tuple[str, ...]) -> None:
    assert Endpoint(url).bases == bases


@pytest.mark.parametrize("typed", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_every_way_of_typing_the_address_finds_the_server(typed: str) -> None:
    with Stub() as server:
        [proposal] = propose(TASK, Endpoint(server.url + typed))
    assert proposal.text == "text 0"
    assert {asked.path for asked in server.asked} == {"/v1/models", "/v1/chat/completions"}


@pytest.mark.parametrize("missing", [Answer(b"404 page not found", 404), Answer(b"<html></html>"), Answer(b"", 405)])
def test_another_address_is_tried_where_nothing_is_and_said(missing: Any) -> None:
    def rooted(asked: Any) -> Any:
        return Answer(completion("text")) if asked.path == "/chat/completions" else missing

    said: list[str] = []
    with Stub(rooted) as server:
        texts(server, told=said.append)
        texts(server, told=said.append)
        assert f"Nothing answers at {server.url}/v1/chat/completions; asking {server.url}/chat/completions." in said


def test_an_address_where_nothing_is_is_named_with_what_was_tried() -> None:
    with Stub(always({"detail": "Not Found"}, 404)) as server:
        said = failure(server)
        assert said == (
            f"Nothing answers at {server.url}/chat/completions (404): check the path of --endpoint; most servers are "
            f"at http://localhost:8000/v1. Nor does anything answer at {server.url}/v1/chat/completions."
        )


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("localhost:8000", "did you mean http://localhost:8000?"),
        ("ftp://host/v1", "begins with http:// or https://"),
        ("file:///etc/passwd", "begins with http:// or https://"),
        ("http://", "names no host"),
        ("http://host:port", "broken host or port"),
        ("http://host:99999", "broken host or port"),
        ("http://[::1", "broken host or port"),
        ("http://ho st", "blanks"),
        ("http://host\n", "blanks"),
        ("", "begins with http:// or https://"),
        (f"http://me:{SECRET}@host/v1", "user or password"),
        (f"http://{SECRET}@host/v1", "user or password"),
        (f"{SECRET}@host/v1", "user or password"),
        (f"http://host/v1?key={SECRET}", "goes on after ? or #"),
        (f"http://host/v1#{SECRET}", "goes on after ? or #"),
    ],
)
def test_an_address_that_is_none_is_wrong_usage(url: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = told(capsys, url, status=2)
    assert sentence in err
    assert out == ""
    assert SECRET not in err


# Which model


def test_the_only_model_of_a_server_need_not_be_named() -> None:
    with Stub() as server:
        texts(server, model=None)
    assert server.chats[0].body["model"] == "stub"


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [
        (Answer(models("a", "b")), "lists 2 models: a, b. Name one with --model."),
        (Answer(models(*map(str, range(30)))), "8, 9 and 20 more"),
        (Answer(models()), "lists no models"),
        (Answer({"data": [3, {"id": 4}, None]}), "lists no models"),
        (Answer(b"no", 404), "does not list its models: name one with --model."),
    ],
)
def test_a_model_is_never_guessed(listed: Any, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Stub(lambda asked: listed) as server:
        _, err = told(capsys, server, status=2)
    assert sentence in err
    assert not server.chats


def test_an_unknown_model_is_answered_with_the_models_that_there_are() -> None:
    def script(asked: Any) -> Any:
        if asked.method == "GET":
            return Answer(models("qwen", "llama"))
        return Answer({"error": {"message": "The model `stub` does not exist.", "code": 404}}, 404)

    with Stub(script) as server:
        said = failure(server)
    assert (
        "does not have the model: The model `stub` does not exist. It has qwen, llama: name one with --model." in said
    )


# The key


@pytest.mark.parametrize(
    ("environment", "sent"),
    [
        ({"WORLDVERIFY_API_KEY": SECRET}, f"Bearer {SECRET}"),
        ({"OPENAI_API_KEY": SECRET}, f"Bearer {SECRET}"),
        ({"WORLDVERIFY_API_KEY": SECRET, "OPENAI_API_KEY": "sk-another"}, f"Bearer {SECRET}"),
        ({"WORLDVERIFY_API_KEY": f" {SECRET}\n"}, f"Bearer {SECRET}"),
        ({"WORLDVERIFY_API_KEY": "", "OPENAI_API_KEY": SECRET}, None),
        ({}, None),
    ],
)
def test_the_key_is_that_of_the_environment(
    environment: dict[str, str],
    sent: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = tmp_path / "plans.jsonl"
    with Stub() as server:
        said = told(capsys, server, "--json", out, status=0)
    assert {asked.headers.get("authorization") for asked in server.asked} == {sent}
    assert SECRET not in "".join(said) + out.read_text()
    assert ("no key" in said[1]) == (sent is None)


HOSTILE = {
    "in the text": Answer(completion(f"your key is {SECRET}", model=f"m-{SECRET}")),
    "in the reasoning": Answer(completion(choices=[{"message": {"reasoning": SECRET}, "finish_reason": SECRET}])),
    "in a tool call": Answer(completion(choices=[{"message": {"tool_calls": [{SECRET: [SECRET]}]}}])),
    "in the usage": Answer(completion("a", usage={SECRET: SECRET})),
    "escaped": Answer(json.dumps(completion(SECRET)).replace("sk-", "\\u0073\\u006b-").encode()),
    "in an error": Answer({"error": {"message": f"Bad {SECRET}"}}, 400),
    "in an error of 200": Answer({"error": {"message": f"Bad {SECRET}"}}),
    "in a detail": Answer({"detail": [{"msg": f"Bad {SECRET}"}]}, 422),
    "in a message": Answer({"message": f"Bad {SECRET}"}, 500),
    "in a 401": Answer({"error": {"message": f"Incorrect API key provided: {SECRET}"}}, 401),
    "in a 403": Answer({"error": {"message": f"Incorrect API key provided: {SECRET[:12]}"}}, 403),
    "in a 404": Answer({"error": {"message": f"model {SECRET}"}}, 404),
    "in a 429": Answer({"error": {"message": f"Bad {SECRET}"}}, 429),
    "in a page": Answer(f"<p>{SECRET}</p>".encode()),
    "in no JSON": Answer(SECRET.encode()),
    "in a redirect": Answer(b"", 307, {"Location": f"http://127.0.0.1:9/{SECRET}?key={SECRET}"}),
    "in a redirect with a user": Answer(b"", 302, {"Location": f"http://{SECRET}@127.0.0.1:9/"}),
    "in a date": Answer(b"", 503, {"Retry-After": SECRET}),
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_the_key_is_shown_nowhere_whatever_the_server_says(
    answer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    out = tmp_path / "plans.jsonl"
    with Stub(lambda asked: answer) as server:
        for model in (["--model", "m"], []):
            status = main(["propose", TASK, "--endpoint", server.url, "--json", str(out), "--append", *model])
            assert status in (0, 1, 2)
        said = "".join(capsys.readouterr()) + (out.read_text() if out.exists() else "")
        with pytest.raises((EndpointError, ValueError)) as caught:
            list(propose(TASK, server.url, 1))
        said += "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert all(asked.headers["authorization"] == f"Bearer {SECRET}" for asked in server.asked)
    assert SECRET not in said
    assert SECRET[:12] not in said


def test_a_key_that_others_can_read_on_the_way_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with Stub(always(completion("text"))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        for address in ("http://model.invalid", "http://127.0.0.1:9"):
            with suppress(EndpointError):
                list(propose(TASK, Endpoint(address, Key("OPENAI_API_KEY", SECRET)), model="m", told=said.append))
    assert [("unencrypted" in sentence) for sentence in said] == [True, False]


def test_a_key_that_cannot_be_one_is_refused_without_being_quoted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in (f"{SECRET}\nX-Other: 1", f"{SECRET} {SECRET}", f"{SECRET}é"):
        monkeypatch.setenv("WORLDVERIFY_API_KEY", wrong)
        _, err = told(capsys, "http://127.0.0.1:9", "--model", "m", status=2)
        assert "WORLDVERIFY_API_KEY is empty or holds characters that no key has" in err
        assert SECRET not in err


@pytest.mark.parametrize("option", ["--api-key", "--api_key", "--apikey", "--key", "--token"])
@pytest.mark.parametrize("joined", [True, False])
def test_a_key_on_the_command_line_is_refused_without_being_quoted(
    option: str, joined: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"{option}={SECRET}"] if joined else [option, SECRET]
    _, err = told(capsys, "http://127.0.0.1:9", *words, status=2)
    assert "set the environment variable WORLDVERIFY_API_KEY" in err
    assert SECRET not in err


def test_printing_an_endpoint_does_not_show_the_key() -> None:
    where = Endpoint("http://127.0.0.1:9", Key("OPENAI_API_KEY", SECRET))
    assert SECRET not in f"{where!r} {where} {where.key}"
    assert "OPENAI_API_KEY" in repr(where)


def test_a_filler_that_is_no_secret_leaves_texts_alone() -> None:
    with Stub(always(completion("an EMPTY bin"))) as server:
        [proposal] = texts(server, key=Key("OPENAI_API_KEY", "EMPTY"))
    assert proposal.text == "an EMPTY bin"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(status: int) -> None:
    with Stub() as other:
        away = always(b"", status, {"Location": f"{other.url}/v1/chat/completions"})
        with Stub(away) as server:
            said = failure(server, key=Key("OPENAI_API_KEY", SECRET))
        assert f"sends elsewhere ({status}), to {other.url}/v1/chat/completions: if you trust that address" in said
    assert not other.asked


@pytest.mark.parametrize("status", [401, 403])
def test_an_answer_about_the_key_says_which_variable_to_set(status: int) -> None:
    with Stub(always({"error": {"message": "no"}}, status)) as server:
        assert "wants a key: put it in the environment variable WORLDVERIFY_API_KEY" in failure(server)
        assert len(server.asked) == 1
        said = failure(server, key=Key("OPENAI_API_KEY", SECRET))
        assert "does not accept the key in OPENAI_API_KEY" in said
        assert "or put another in WORLDVERIFY_API_KEY, which goes first" in said


# Faults that may pass, and faults that will not


def first_then(count: int, fault: Any) -> Callable[[Any], Any]:
    """The same fault `count` times, then a text."""
    left = [fault] * count
    return lambda asked: left.pop() if left else Answer(completion("text"))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_a_fault_that_passes_is_waited_for(status: int) -> None:
    said: list[str] = []
    with Stub(first_then(2, Answer({"error": {"message": "Busy."}}, status))) as server:
        assert [p.text for p in texts(server, told=said.append)] == ["text"]
    assert [("Trying again" in sentence) for sentence in said] == [False, True, True]


@pytest.mark.parametrize("fault", [Answer(b"", announced=50), Answer(b""), Answer(b'{"choices": [')])
def test_an_answer_that_breaks_off_is_asked_for_again(fault: Any) -> None:
    with Stub(first_then(2, fault)) as server:
        assert [p.text for p in texts(server)] == ["text"]


def test_a_fault_is_waited_for_so_often_and_no_more() -> None:
    with Stub(always({"error": {"message": "Loading model"}}, 503)) as server:
        said = failure(server, retries=3)
        assert len(server.asked) == 4
        assert said == f"{server.host} cannot answer now (503): Loading model. Gave up after 4 tries (--retries)."


def test_a_server_is_given_the_time_that_it_asks_for() -> None:
    said: list[str] = []
    with Stub(first_then(1, Answer(b"", 429, {"Retry-After": "0.3"}))) as server:
        texts(server, told=said.append)
        assert said[-1] == (
            f"{server.host} gets too many requests (429). Fewer at a time: --concurrency 1. Trying again in 0.3 s."
        )


def test_a_server_that_asks_for_an_hour_is_not_waited_for() -> None:
    with Stub(always(b"", 503, headers={"Retry-After": "3600"})) as server:
        assert "It asks to wait 3600 s: try again then." in failure(server)
        assert len(server.asked) == 1


def test_the_time_to_wait_is_a_number_or_a_date() -> None:
    read = complaint._retry_after
    assert read("7") == 7
    assert 25 < read(email.utils.formatdate(time.time() + 30, usegmt=True)) <= 30
    assert [read(value) for value in (None, "", "-1", "soon", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT")] == [0.0] * 6


def test_each_wait_is_longer_than_the_one_before_and_none_is_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    waits = [connection._backoff(attempt, 1.0) for attempt in range(12)]
    assert all(2**i / 2 <= wait <= 2**i for i, wait in enumerate(waits[:6]))
    assert max(waits) <= connection.MOST_WAIT_S


def test_an_account_without_quota_is_not_asked_again() -> None:
    said = "You exceeded your current quota, please check your plan"
    with Stub(always({"error": {"message": said, "code": "insufficient_quota"}}, 429)) as server:
        assert "has no quota left" in failure(server)
        assert len(server.asked) == 1


def test_what_came_is_kept_where_a_server_breaks_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def script(asked: Any) -> Any:
        return Answer(completion("text")) if len(server.chats) <= 3 else Answer(b"", 503)

    out = tmp_path / "plans.jsonl"
    with Stub(script) as server:
        options = ("-n", 20, "--model", "m", "--json", out, "--concurrency", 1, "--retries", 1)
        said, err = told(capsys, server, *options, status=1)
        assert f"worldverify: 17 of 20 texts did not come: {server.host} cannot answer now (503)." in err
        # three requests in a row, each asked twice: then the server is taken to be gone
        assert len(server.chats) == 3 + 3 * 2
    assert "3 texts of stub-1" in said
    assert [line["id"] for line in lines_of(out)] == [f"{TASK}/0/{i}" for i in range(3)]


def test_a_request_that_fails_alone_does_not_stop_the_others() -> None:
    def script(asked: Any) -> Any:
        return Answer(b"", 503) if asked.body.get("seed") == 2 else Answer(completion("text"))

    with Stub(script) as server, pytest.raises(EndpointError, match="1 of 5 texts did not come"):
        found: list[Proposal] = []
        where = Endpoint(server.url, retries=0)
        for proposal in propose(TASK, where, 5, model="m", sampling=Sampling(seed=0), concurrency=1):
            found.append(proposal)
    assert [p.id for p in found] == [f"{TASK}/0/{i}" for i in (0, 1, 3, 4)]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Answer({"object": "list"}), "answers without choices: check that it is a chat-completions API"),
        (Answer({"choices": None}), "answers without choices"),
        (Answer({"choices": []}), "empty list of choices"),
        (Answer({"choices": [1, "a"]}), "empty list of choices"),
        (Answer(b"[]"), "answers with no JSON object"),
        (Answer(b"OK"), "answers with no JSON object"),
        (Answer(b"\xff\xfe"), "answers with no JSON object"),
        (Answer(b"data: {}\n\n"), "a stream of events"),
        (Answer(b"[" * 100_000), "answers with no JSON object"),
        (Answer(b'{"a":' * 100_000), "breaks off"),
        (Answer(b""), "an empty answer"),
        (Answer({"error": "boom"}), "answers with an error: boom."),
        (
            Answer({"error": {"message": "too long a prompt"}}, 400),
            "does not accept the request (400): too long a prompt.",
        ),
        (Answer(b"<h1>Bad</h1>", 400), "does not accept the request (400)."),
        (Answer({"detail": [{"msg": "field required"}, 3]}, 422), "does not accept the request (422): field required."),
        (Answer(b"", 413), "too large (413): try --no-image"),
        (Answer({"error": {"message": "a\x1b[31m\nb" + "c" * 9999}}, 400), "a\\x1b[31m bccc"),
    ],
)
def test_an_answer_that_is_none_is_told_in_a_sentence(answer: Any, sentence: str) -> None:
    with Stub(lambda asked: answer) as server:
        said = failure(server, retries=0)
    assert sentence in said
    assert len(said) < 500 and "\n" not in said and said.endswith(".")


def test_a_web_page_is_not_taken_for_an_answer() -> None:
    with Stub(always(b"<!doctype html><title>Sign in</title>")) as server:
        said = failure(server)
    assert "is a web page: check that --endpoint is the address of the API" in said


def test_a_model_that_takes_no_images_is_told_apart() -> None:
    said = "At most 0 image(s) may be provided in one request."
    with (
        Stub(always({"error": {"message": said}}, 400)) as server,
        pytest.raises(EndpointError, match="If the model takes no images: --no-image"),
    ):
        list(propose(with_camera(), Endpoint(server.url), model="m"))


@pytest.mark.parametrize("announced", [None, 10**12])
def test_an_endless_answer_is_not_read_to_its_end(announced: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_REPLY", 1 << 20)
    with Stub(always(chunks=(b" " * (1 << 20),) * 3, announced=announced)) as server:
        assert "sends more than 1 MiB" in failure(server)


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    done = threading.Event()

    def silent(asked: Any) -> Any:
        done.wait(60)
        return Answer(completion("text"))

    with Stub(silent) as server:
        said = failure(server, timeout_s=0.2, retries=1)
        assert len(server.asked) == 2
        done.set()
        assert f"{server.host} did not answer within 0.2 s: raise --timeout" in said


def test_a_server_that_drips_is_not_waited_for() -> None:
    slow = Answer(chunks=(b" ",) * 600, between=lambda: time.sleep(0.05))
    with Stub(lambda asked: slow) as server:
        assert "did not answer within 0.3 s" in failure(server, timeout_s=0.3, retries=0)


def test_a_port_where_nobody_listens_is_told_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EndpointError, match="refuses the connection: is the server running, and is this its port"):
        list(propose(TASK, Endpoint(f"http://127.0.0.1:{port}"), model="m"))


def test_a_name_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(EndpointError, match=r"No host is known by the name of nowhere\.invalid: check"):
        list(propose(TASK, Endpoint("http://nowhere.invalid"), model="m"))


def test_a_host_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*args: Any, **options: Any) -> Any:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", lost)
    with pytest.raises(EndpointError, match="could not be reached within 20 s"):
        list(propose(TASK, Endpoint("http://192.0.2.1", retries=0), model="m"))


def test_a_server_that_speaks_something_else_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            client, _ = listening.accept()
            with client:
                client.recv(65536)
                client.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        greeter = threading.Thread(target=greet)
        greeter.start()
        where = Endpoint(f"http://127.0.0.1:{listening.getsockname()[1]}", retries=0)
        with pytest.raises(EndpointError, match="does not speak HTTP there"):
            list(propose(TASK, where, model="m"))
        greeter.join()


def test_https_to_a_server_without_it_is_told() -> None:
    with Stub() as server, pytest.raises(EndpointError, match="does not speak TLS"):
        list(propose(TASK, Endpoint(server.url.replace("http:", "https:"), retries=0), model="m"))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="Making a certificate needs openssl.")
def test_a_certificate_that_nobody_vouches_for_is_refused_and_one_that_is_vouched_for_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    command = [*make.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with Stub() as server:
        server.wrap(tls)
        where = Endpoint(server.url.replace("http://127.0.0.1", "https://localhost"), retries=0)
        with pytest.raises(EndpointError, match=r"certificate of localhost:.* cannot be verified .*SSL_CERT_FILE"):
            list(propose(TASK, where, model="m"))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert [p.text for p in propose(TASK, where, 2, model="stub")] == ["text 0", "text 1"]


def test_a_proxy_of_the_environment_is_used_for_other_machines_and_not_for_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Stub() as server, Stub(always(completion("by proxy"))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert [p.text for p in texts(server)] == ["text 0"]
        assert not proxy.asked
        [proposal] = propose(TASK, Endpoint("http://model.invalid:8000/v1"), model="m")
        assert proposal.text == "by proxy"
        assert proxy.asked[0].path == "http://model.invalid:8000/v1/chat/completions"


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-n", "0"), "a whole number from 1 on is needed, not '0'"),
        (("-n", "many"), "a whole number from 1 on is needed, not 'many'"),
        (("-n", "1000000"), "n is a whole number from 1 to 100000"),
        (("--temperature", "-1"), "a number from 0 on is needed"),
        (("--temperature", "nan"), "a number from 0 on is needed"),
        (("--top-p", "1.5"), "a number from 0 to 1 is needed"),
        (("--top-p", "0"), "top_p is above 0 and at most 1"),
        (("--max-tokens", "0"), "a whole number from 1 on is needed"),
        (("--timeout", "0"), "A timeout is a number of seconds above 0"),
        (("--timeout", "inf"), "a number from 0 on is needed"),
        (("--retries", "-1"), "a whole number from 0 to 100 is needed"),
        (("--concurrency", "0"), "a whole number from 1 to 256 is needed"),
        (("--seed", "x"), "a whole number from 0 on is needed"),
        (("--system", "none.txt"), "Cannot read none.txt"),
        (("--format", "skils"), "The format 'skils' is not read by PickCube-v0. Did you mean 'skills'?"),
        (("--format", ""), "The format '' is not read by PickCube-v0."),
        (("--format", "openpi-droid"), "could mean openpi-droid-velocity or openpi-droid-position"),
        (
            ("--format", "openvla-libero"),
            "leave out --format here, and give --format and --stats to worldverify verify",
        ),
        (("--unknown",), "unrecognized arguments: --unknown"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_asked(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Stub() as server:
        out, err = told(capsys, server, "--model", "m", *arguments, status=2)
    assert sentence in err
    assert out == ""
    assert not server.asked


def test_an_unknown_task_is_told_with_the_tasks_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["propose", "PickCub-v0", "--endpoint", "http://127.0.0.1:9"]) == 2
    assert "Did you mean 'PickCube-v0'?" in capsys.readouterr().err


def test_the_api_refuses_what_the_command_refuses() -> None:
    wrong: list[dict[str, Any]] = [{"n": 0}, {"concurrency": 0}, {"format": ""}]
    for options in wrong:
        with pytest.raises(ValueError, match="is "):
            propose(TASK, "http://127.0.0.1:9", model="m", **options)
    settings: list[dict[str, Any]] = [{"temperature": -1}, {"top_p": 0}, {"max_tokens": 0}]
    for setting in settings:
        with pytest.raises(ValueError, match="got"):
            Sampling(**setting)
    patience: list[dict[str, Any]] = [{"timeout_s": 0}, {"retries": -1}, {"backoff_s": float("nan")}]
    for option in patience:
        with pytest.raises(ValueError, match="got"):
            Endpoint("http://127.0.0.1:9", **option)


def test_a_connection_that_was_closed_asks_nothing() -> None:
    with Stub() as server:
        closed = Connection(Endpoint(server.url))
        closed.close()
        with pytest.raises(EndpointError, match="closed"):
            closed.get("/models")
    assert not server.asked


def test_the_environment_of_the_process_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert key_from() is None
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert key_from() == Key("OPENAI_API_KEY", SECRET)
    assert os.environ["OPENAI_API_KEY"] == SECRET
