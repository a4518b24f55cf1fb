"""A verdict asked for again, and what a report shows of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.cli import main
from worldverify.illustrate import curves_of, entries, moments, plans_of_interest
from worldverify.kernels.mujoco_cpu import MujocoEngine
from worldverify.replay import Run, ask_again, run_again

CART = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <body name="cart"><joint name="rail" type="slide" axis="1 0 0"/><geom size="0.1" mass="1"/></body>
    <site name="goal" pos="0.5 0 0" size="0.1"/>
  </worldbody>
  <actuator><motor joint="rail" gear="1" ctrlrange="-1e6 1e6"/></actuator>
</mujoco>
"""

SPEC = """
there: eventually(always[0,0.1](inside(cart, goal) and speed(cart) < 5 m/s))
slow:  always(speed(cart) < 1 m/s)
early: always[0.2,0.4](pos(cart).x < 0.7 m)
back:  at_end(pos(cart).x > 0.2 m)
"""

SAMPLES = 100  # of a second


@pytest.fixture(scope="module")
def cart() -> wv.Task:
    return wv.Task.from_mjcf(CART, spec=SPEC, horizon=1.0, rate=20.0, name="cart")


def push(*forces: float) -> np.ndarray:
    """(20, 1) N: each force for a fifth of a second, then none."""
    return np.concatenate([np.repeat(forces, 4), np.zeros(20 - 4 * len(forces))])[:, None]


PASSES, TOO_FAST, STAYS, EXPLODES = push(4.0), push(9.0), push(0.0), push(1e6)


def judged(task: wv.Task, plan: Any, **options: Any) -> wv.Verdict:
    (verdict,) = wv.verify(task, [plan], **options)
    return verdict


def rerun(task: wv.Task, plan: Any, **options: Any) -> tuple[Run, wv.Verdict]:
    verdict = judged(task, plan, **options)
    run = run_again(task, verdict)
    assert run is not None
    return run, verdict


def positions(force: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x [m] and v [m/s] of the cart at every sample, by semi-implicit Euler on a mass of 1 kg."""
    v = np.concatenate([[0.0], np.cumsum(0.01 * np.repeat(force[:, 0], 5))])
    return np.concatenate([[0.0], np.cumsum(0.01 * v[1:])]), v


# Asking again


@pytest.mark.parametrize("options", [{}, {"seed": 7}, {"margins": "full"}, {"scope": "chunk"}])
@pytest.mark.parametrize("plan", [PASSES, TOO_FAST, STAYS, EXPLODES, "no plan at all", np.full((3, 1), np.nan)])
def test_the_request_of_a_verdict_line_has_the_same_digest_again(
    plan: Any, options: dict[str, Any], cart: wv.Task
) -> None:
    verdict = judged(cart, plan, **options)
    answer = ask_again(wv.LocalVerifier(), cart, json.loads(json.dumps(verdict.to_json())))
    assert answer.outcome == "same"
    assert answer.verdict.digest == verdict.digest


def test_the_state_of_a_request_is_started_from_again(cart: wv.Task) -> None:
    data = cart.scene.data()
    data.qpos[0], data.qvel[0] = 0.1, 0.3
    line = json.loads(json.dumps(judged(cart, PASSES, state=cart.scene.state_of(data)).to_json()))
    assert ask_again(wv.LocalVerifier(), cart, line).outcome == "same"


def change(line: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    *way, last = key.split(".")
    changed = json.loads(json.dumps(line))
    place = changed
    for step in way:
        place = place[step]
    place[last] = value
    return changed  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("digest", "0", "digest was changed"),
        ("engine.version", "1.0", "version 1.0 then"),
        ("request.sha256", "0", "is not the one that was asked about"),
        ("request.horizon_s", 3.0, "3.0 s when it was asked about"),
        ("request.seed", 1, "start state is not the one"),
    ],
)
def test_a_digest_that_differs_is_explained(key: str, value: Any, says: str, cart: wv.Task) -> None:
    line = change(judged(cart, PASSES).to_json(), key, value)
    if key.startswith("request."):
        line = change(line, "request.sha256", "0")
    answer = ask_again(wv.LocalVerifier(), cart, {**line, "digest": "0"})
    assert answer.outcome == "differs"
    assert says in answer.reason


def test_another_answer_to_the_same_question_is_told(cart: wv.Task) -> None:
    line = change({**judged(cart, PASSES).to_json(), "digest": "0"}, "status", "FAIL")
    assert "another answer: FAIL is now PASS" in ask_again(wv.LocalVerifier(), cart, line).reason


@pytest.mark.parametrize("key", ["schema", "request", "engine"])
def test_what_is_no_verdict_line_is_refused(key: str, cart: wv.Task) -> None:
    line = judged(cart, PASSES).to_json()
    del line[key]
    with pytest.raises(ValueError, match=key):
        ask_again(wv.LocalVerifier(), cart, line)


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Verdict lines of PickCube-v0, as the command line writes them."""
    plans, out = tmp_path / "plans.jsonl", tmp_path / "verdicts.jsonl"
    texts = {"pick": '{"skills": [{"skill": "pick", "object": "cube"}]}', "prose": "I would lift it."}
    plans.write_text("".join(json.dumps({"id": id, "text": text}) + "\n" for id, text in texts.items()))
    main(["verify", "PickCube-v0", str(plans), "--json", str(out)])
    return out


def test_replaying_what_was_just_judged_gives_the_same(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["replay", str(answers)]) == 0
    out = capsys.readouterr().out
    assert out.count("same ") == 2
    assert "2 verdicts replayed: 2 the same." in out


def test_one_plan_is_replayed_by_its_id(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["replay", str(answers), "--id", "prose"]) == 0
    assert "1 verdict replayed" in capsys.readouterr().out


def test_an_unknown_id_is_answered_with_the_nearest(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(answers), "--id", "pik"]) == 2
    assert "Did you mean 'pick'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [("digest", "0", "differs"), ("task", "Nowhere-v0", "No task"), ("request.seed", -1, "seed must be")],
)
def test_a_line_that_does_not_hold_any_more_is_exit_status_one(
    key: str, value: Any, says: str, answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = change(json.loads(answers.read_text().splitlines()[0]), key, value)
    answers.write_text(json.dumps(line))
    assert main(["replay", str(answers)]) == 1
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"id": 1}'])
def test_a_file_without_verdict_lines_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    assert main(["replay", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


# Running again


@pytest.mark.parametrize("plan", [PASSES, TOO_FAST, STAYS, EXPLODES])
@pytest.mark.parametrize("margins", ["decided", "full"])
def test_a_plan_simulated_again_has_the_margins_of_its_verdict(plan: np.ndarray, margins: Any, cart: wv.Task) -> None:
    run, verdict = rerun(cart, plan, margins=margins)
    assert run.agrees
    assert run.finding.status == verdict.status


@pytest.mark.parametrize("plan", ["no plan", {"actions": [[1e9]]}])
def test_a_plan_that_never_ran_is_not_simulated_again(plan: Any, cart: wv.Task) -> None:
    assert run_again(cart, judged(cart, plan)) is None


@pytest.mark.parametrize("sample", [0, 1, 5, 37, 99, SAMPLES])
def test_the_state_at_a_sample_is_that_of_a_run_in_one_piece(sample: int, cart: wv.Task) -> None:
    run, _ = rerun(cart, TOO_FAST)
    engine, lane = MujocoEngine(cart.scene.model, 1), np.arange(1)
    engine.load(lane, cart.start(0)[None])
    if sample:
        engine.advance(lane, np.repeat(TOO_FAST, cart.substeps, axis=0)[None, :sample])
    assert np.array_equal(run.state_at(sample), engine.state(lane)[0])


def test_a_run_that_contradicts_its_verdict_is_told(cart: wv.Task) -> None:
    verdict = judged(cart, PASSES)
    slow = verdict.margins["slow"]
    lie = replace(verdict, id="p", margins={**verdict.margins, "slow": replace(slow, value=2 * (slow.value or 0))})
    (entry,), trouble = entries(cart, [lie], [PASSES], seed=0, replay_command=lambda v: "")
    assert len(trouble) == 1 and trouble[0].startswith("p: simulated again")
    assert trouble[0] in entry.verdict["warnings"]


# What is shown


def curve(task: wv.Task, plan: np.ndarray, name: str) -> Any:
    run, verdict = rerun(task, plan)
    return next(c for c in curves_of(run, verdict) if c.name == name)


def test_the_curve_of_a_guard_is_its_margin_at_every_sample(cart: wv.Task) -> None:
    shown = curve(cart, TOO_FAST, "slow")
    assert shown.unit == "m/s" and shown.violated
    assert np.allclose(shown.margin, 1 - np.abs(positions(TOO_FAST)[1]), atol=1e-12)


def test_the_curve_of_what_was_violated_meets_the_margin_of_the_verdict(cart: wv.Task) -> None:
    shown, verdict = curve(cart, TOO_FAST, "slow"), judged(cart, TOO_FAST)
    assert verdict.first_violation is not None
    assert shown.decided_at == verdict.first_violation.time_s
    assert shown.margin[round(shown.decided_at / 0.01)] == pytest.approx(verdict.margins["slow"].value, abs=1e-15)


def test_the_curve_of_several_conditions_is_the_least_in_the_unit_of_the_margin(cart: wv.Task) -> None:
    shown, (x, v) = curve(cart, STAYS, "there"), positions(STAYS)
    scale = cart.scene.bound.atoms[0].scale / cart.scene.bound.atoms[1].scale
    assert shown.unit == "m"
    assert np.allclose(shown.margin, np.minimum(0.1 - np.abs(x - 0.5), (5 - np.abs(v)) * scale))


def test_the_curve_of_a_window_is_empty_outside_it(cart: wv.Task) -> None:
    seen = np.flatnonzero(~np.isnan(curve(cart, PASSES, "early").margin))
    assert (seen[0], seen[-1]) == (20, 40)


def test_the_curve_of_the_end_is_shown_from_the_start(cart: wv.Task) -> None:
    assert np.allclose(curve(cart, PASSES, "back").margin, positions(PASSES)[0] - 0.2)


def test_a_curve_ends_where_the_physics_cannot_be_believed_any_more(cart: wv.Task) -> None:
    run, verdict = rerun(cart, EXPLODES)
    assert verdict.status in ("INVALID", "FAIL")
    for shown in curves_of(run, verdict):
        assert len(shown.time) == len(shown.margin) == run.last + 1 <= SAMPLES + 1


@pytest.mark.parametrize("plan", [PASSES, TOO_FAST, STAYS, EXPLODES])
def test_the_moments_shown_are_few_and_in_order(plan: np.ndarray, cart: wv.Task) -> None:
    run, verdict = rerun(cart, plan)
    shown = list(moments(run, verdict))
    assert shown == sorted(shown)
    assert shown[0] >= 0 and shown[-1] <= run.last
    assert 1 <= len(shown) <= 5


def test_the_moment_of_a_violation_is_shown(cart: wv.Task) -> None:
    run, verdict = rerun(cart, TOO_FAST)
    assert moments(run, verdict)[run.finding.decided or 0] == "slow is violated"


def test_a_goal_that_was_missed_is_shown_where_it_was_closest(cart: wv.Task) -> None:
    turns_back = push(1.5, 0.0, -1.5, -1.5)
    run, verdict = rerun(cart, turns_back)
    shown = {caption: sample for sample, caption in moments(run, verdict).items()}
    assert shown["there is closest"] == np.argmax(positions(turns_back)[0])
    assert shown["there is violated"] == SAMPLES


def test_every_kind_of_ending_is_shown_before_a_second_of_a_kind(cart: wv.Task) -> None:
    verdicts = wv.verify(cart, [TOO_FAST * (1 + 0.01 * i) for i in range(20)] + [STAYS, PASSES, PASSES, "prose"])
    shown = plans_of_interest(verdicts)
    assert len(shown) == 12
    assert {20, 21} <= set(shown)
    assert not {22, 23} & set(shown)


def test_a_picture_is_taken_of_the_state_at_its_moment(cart: wv.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    class Painter:
        """Looks at where the cart is."""

        def __init__(self, model: Any) -> None: ...

        def paint(self, data: mujoco.MjData) -> np.ndarray:
            seen.append(float(data.xpos[1, 0]))
            return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr("worldverify.illustrate.Painter", Painter)
    (entry,), _ = entries(cart, [judged(cart, PASSES)], [PASSES], seed=0, replay_command=lambda v: "")
    expected = [positions(PASSES)[0][round(frame.time_s / 0.01)] for frame in entry.frames]
    assert np.allclose(seen, expected)


def test_what_the_model_wrote_is_shown_as_it_was(cart: wv.Task) -> None:
    raws: list[Any] = ["prose", {"id": "a", "text": "more prose"}, {"actions": [["x"]]}]
    made, _ = entries(cart, list(wv.verify(cart, raws)), raws, seed=0, replay_command=lambda v: "again")
    assert [entry.plan for entry in made] == ["prose", "more prose", '{"actions": [["x"]]}']
    assert {entry.replay for entry in made} == {"again"}
