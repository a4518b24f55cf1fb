"""What Task.from_mjcf is given for its times: numbers of any kind that fit, and a sentence for what does not."""

import fractions
import math

import numpy as np
import pytest

import worldverify as wv

PENDULUM = """
<mujoco model="pendulum">
  <option timestep="0.004"/>
  <worldbody>
    <body name="rod" pos="0 0 1"><joint name="swing" axis="0 1 0"/><geom size=".05"/></body>
  </worldbody>
  <actuator><motor name="push" joint="swing" ctrlrange="-1 1"/></actuator>
  <keyframe><key name="hanging"/></keyframe>
</mujoco>
"""


def pendulum(rate: object = 25.0, horizon: object = 1.0, text: str = PENDULUM, **more: object) -> wv.Task:
    return wv.Task.from_mjcf(  # type: ignore[arg-type]
        text, spec="slow: always(joint_speed(swing) < 9 rad/s)", rate=rate, horizon=horizon, **more
    )


@pytest.mark.parametrize("number", [25, np.float32(25), np.int64(25), fractions.Fraction(25)])
def test_numbers_of_any_kind_are_times(number: object) -> None:
    task = pendulum(rate=number, horizon=number)
    assert (task.rate, task.horizon, task.steps) == (25.0, 25.0, 625)
    assert type(task.rate) is type(task.horizon) is float


@pytest.mark.parametrize("label", ["rate", "horizon"])
@pytest.mark.parametrize("value", ["25", None, True, -25.0, 0, math.nan, math.inf, -math.inf, [25.0], 1j, 10**400])
def test_what_is_no_number_above_zero_is_no_time(label: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"The {label} must be a number above zero; got "):
        pendulum(**{label: value})


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        ({"rate": 24}, "use 22.7273 or 25 Hz."),
        ({"rate": 251}, "use 250 Hz."),
        ({"rate": 1e300}, "between 0.001 and 1000 Hz"),
        ({"rate": 1e-300}, "between 0.001 and 1000 Hz"),
        ({"horizon": 1.03}, "use 1.04 s."),
        ({"horizon": 1e-300}, "use 0.04 s."),
        ({"horizon": 1.7e308}, "physics steps of 0.004 s; at most 1000000 are simulated"),
        ({"horizon": 4000.04}, "at most 1000000 are simulated"),
        ({"text": PENDULUM.replace("0.004", "1e-300")}, "has 1e+300 physics steps of 1e-300 s"),
    ],
)
def test_times_that_do_not_fit_are_answered_with_those_that_do(times: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:
        pendulum(**times)  # type: ignore[arg-type]
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("keyframe", [True, False])
def test_a_truth_value_is_no_keyframe(keyframe: bool) -> None:
    with pytest.raises(wv.Refusal, match=f"No keyframe {keyframe}"):
        pendulum(keyframe=keyframe)


@pytest.mark.parametrize("actions", ["joint", "CTRL", "", None, 1])
def test_only_controls_are_read_without_a_robot_description(actions: object) -> None:
    with pytest.raises(ValueError, match="from_mjcf reads actions='ctrl'"):
        pendulum(actions=actions)
