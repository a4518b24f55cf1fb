"""Questions with known answers that an engine is asked before it judges anything: arithmetic, isolation, honesty."""

import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.engines.backend import named
from worldverify.kernels.engine import Engine, EngineInfo, Fault

Floats = NDArray[np.float64]
MakeEngine = Callable[[Any, int], Engine]  # (compiled model, number of lanes)

LANES, STEPS = 6, 64  # of every call, so that an engine that compiles does so once
TIMESTEP, GRAVITY, STIFFNESS = 0.005, 9.81, 100.0  # s, m/s/s, N/m
CRATE, FRICTION, SPIN = 0.5, 0.3, 3.0  # kg, 1, rad/s
BREAKS = 40  # the substep at which a lane is given a control that ruins it
TOO_MUCH = 1e9  # m: the drive would pull with 1e11 N
ALONE = 1e-2  # of any sensor's unit: what a plan may differ by from itself, for float32 sums in another order

_SCENE = """
<mujoco model="selftest">
  <size memory="{memory}"/>
  <option timestep="0.005" integrator="implicitfast" jacobian="dense"><flag autoreset="disable"/></option>
  <custom>{custom}</custom>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 .1" friction=".3"/>
    <geom name="base" type="box" pos="0 0 .1" size=".2 .2 .1"/>
    <body name="crate" pos="0 0 .25">
      <freejoint/>
      <geom name="crate_box" type="box" size=".05 .05 .05" mass=".5"/>
    </body>
    <body name="puck" pos="1 0 .05">
      <joint name="along" type="slide" axis="1 0 0"/>
      <joint name="up" type="slide" axis="0 0 1"/>
      <geom name="puck_sphere" type="sphere" size=".05" mass=".4" friction=".3"/>
    </body>
    <body name="cart" pos="0 2 2">
      <joint name="rail" type="slide" axis="1 0 0"/>
      <geom name="cart_sphere" type="sphere" size=".05" mass="1"/>
    </body>
    <body name="ball" pos="-2 0 4">
      <freejoint name="flight"/>
      <geom name="ball_sphere" type="sphere" size=".05" mass=".2"/>
    </body>
  </worldbody>
  <actuator><position name="drive" joint="rail" kp="100"/></actuator>
  <sensor>
    <framepos name="ball_at" objtype="xbody" objname="ball"/>
    <framequat name="ball_turn" objtype="xbody" objname="ball"/>
    <framepos name="crate_at" objtype="xbody" objname="crate"/>
    <contact name="crate_load" geom1="crate_box" geom2="base" reduce="netforce" data="force"/>
    <jointvel name="puck_speed" joint="along"/>
    <jointpos name="cart_at" joint="rail"/>
    <actuatorfrc name="drive_force" actuator="drive"/>
  </sensor>
</mujoco>
"""


class Start(NamedTuple):
    """How a lane begins."""

    cart: float  # m along its rail
    ball: float  # m above its usual height
    puck: float  # m/s


class Check(NamedTuple):
    """One question, and what the engine said."""

    name: str
    passed: bool
    text: str  # a sentence with what was measured and what is right
    margin: float  # 1 exact, 0 at the tolerance, below it wrong; at least -1


class SelfTest(NamedTuple):
    """The whole examination of one engine."""

    info: EngineInfo
    checks: tuple[Check, ...]
    first_s: float  # wall time of the first run, with all that had to be compiled
    again_s: float  # of the same run once more

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


STARTS = (Start(0.0, 0.0, 2.0), Start(0.1, 1.0, -2.0))
# What each lane does in the first run, and the start that it is loaded with in the second.
ALIKE, OTHER, NAN_SPEED, NAN_CONTROL, DIVERGES, AGAIN = range(LANES)
_FIRST, _SECOND = (0, 1, 0, 0, 0, 0), (1, 0, 0, 1, 0, 1)
_CLEAN = (ALIKE, OTHER, AGAIN)


def scene(*, memory: str = "1M", custom: str = "") -> mujoco.MjModel:
    """A box on a box, a sliding puck, a driven cart, and a ball in the air."""
    return mujoco.MjModel.from_xml_string(_SCENE.format(memory=memory, custom=custom))


def self_test(make_engine: MakeEngine, make_cramped: Callable[[], Engine] | None = None) -> SelfTest:
    """Examine an engine. `make_engine(model, nlane)` gives a new one.

    `make_cramped()` gives one of `scene()` with LANES lanes and less memory than it needs, or refuses with a
    ValueError; by default an engine whose model has little memory.
    """
    model, clock = scene(), perf_counter()
    engine = make_engine(model, LANES)
    first = _run(engine, *_ruined(model))
    first_s, clock = perf_counter() - clock, perf_counter()
    second = _run(engine, *_case(model, _SECOND))
    again_s = perf_counter() - clock
    with np.errstate(invalid="ignore", over="ignore"):
        checks = (
            *_physics(model, first, second),
            *_isolation(first, second),
            *_honesty(first),
            _overflow(make_cramped or (lambda: make_engine(scene(memory="6K"), LANES))),
        )
    return SelfTest(engine.info, checks, first_s, again_s)


def refusal_of(found: SelfTest) -> str:
    """Why an engine that failed must not judge."""
    wrong = [check for check in found.checks if not check.passed]
    said = " ".join(check.text for check in wrong[:3])
    more = f" {len(wrong) - 3} more checks failed." if len(wrong) > 3 else ""
    return (
        f"The engine {named(found.info)} on the {found.info.device} failed its self-test and judges nothing. "
        f'{said}{more} Judge with on="cpu", and see worldverify doctor --selftest.'
    )


# The two runs


class _Seen(NamedTuple):
    value: Floats  # (LANES, STEPS + 1, S)
    fault: NDArray[Any]  # (LANES, STEPS + 1)

    def invalid(self) -> NDArray[np.bool_]:
        return np.asarray((self.fault & int(Fault.invalidating())) != 0)


def _run(engine: Engine, states: Floats, controls: Floats) -> _Seen:
    lanes = np.arange(LANES)
    engine.load(lanes, states)
    parts = [engine.advance(lanes, controls), engine.observe(lanes)]
    return _Seen(
        np.concatenate([np.asarray(part.value, dtype=np.float64) for part in parts], axis=1),
        np.concatenate([np.asarray(part.fault) for part in parts], axis=1),
    )


def _case(model: mujoco.MjModel, starts: Sequence[int]) -> tuple[Floats, Floats]:
    """(states, controls) of lanes with these starts."""
    return np.stack([_state(model, STARTS[i]) for i in starts]), np.stack([_targets(i) for i in starts])[:, :, None]


def _ruined(model: mujoco.MjModel) -> tuple[Floats, Floats]:
    """The first run: three lanes go wrong, each in its own way, beside three that do not."""
    states, controls = _case(model, _FIRST)
    states[NAN_SPEED] = _state(model, STARTS[0]._replace(puck=math.nan))
    controls[NAN_CONTROL, BREAKS:] = np.nan
    controls[DIVERGES, BREAKS:] = TOO_MUCH
    return states, controls


def _targets(start: int) -> Floats:
    """(STEPS,) where the cart of a lane with this start is driven to, m; another target at every substep."""
    return np.asarray(0.2 * np.cos(0.7 * np.arange(STEPS) + start))


def _state(model: mujoco.MjModel, start: Start) -> Floats:
    data = mujoco.MjData(model)
    data.joint("rail").qpos[0] = start.cart
    data.joint("flight").qpos[2] += start.ball
    data.joint("flight").qvel[3] = SPIN
    data.joint("along").qvel[0] = start.puck
    kind = int(mujoco.mjtState.mjSTATE_INTEGRATION)
    state = np.empty(mujoco.mj_stateSize(model, kind))
    mujoco.mj_getState(model, data, state, kind)
    return state


# Arithmetic


def _physics(model: mujoco.MjModel, first: _Seen, second: _Seen) -> list[Check]:
    """The clean lanes of both runs against closed forms of semi-implicit steps."""
    starts = [_FIRST[lane] for lane in _CLEAN] + list(_SECOND)
    value = np.concatenate([first.value[list(_CLEAN)], second.value])
    at = {
        model.sensor(i).name: slice(int(model.sensor_adr[i]), int(model.sensor_adr[i] + model.sensor_dim[i]))
        for i in range(model.nsensor)
    }
    seen = {name: value[:, :, part] for name, part in at.items()}
    steps = np.arange(STEPS + 1)
    fall = -0.5 * GRAVITY * TIMESTEP**2 * steps * (steps + 1)
    ball = np.zeros((len(starts), STEPS + 1, 3))
    ball[:, :, 0], ball[:, :, 2] = -2.0, fall + 4.0 + np.array([STARTS[i].ball for i in starts])[:, None]
    half = 0.5 * SPIN * TIMESTEP * steps
    turn = np.stack([np.cos(half), np.sin(half), 0 * half, 0 * half], axis=1)
    drives = np.stack([_drive(i) for i in starts])
    load = np.linalg.norm(seen["crate_load"][:, -10:], axis=2)
    puck = seen["puck_speed"][:, :, 0] * np.sign([STARTS[i].puck for i in starts])[:, None]
    weight, slowed = CRATE * GRAVITY, FRICTION * GRAVITY * TIMESTEP * STEPS
    return [
        _near("gravity", "A falling ball is at", seen["ball_at"], ball, "m", 1e-4),
        _near("spin", "A spinning ball has a quaternion with", seen["ball_turn"], turn, "", 1e-4),
        _near("load", "A box on a box presses with", load, weight, "N", 0.02 * weight),
        _near("rest", "A box on a box lies at", seen["crate_at"], np.array([0.0, 0.0, 0.25]), "m", 1e-3),
        _near("friction", "A sliding puck slows by", puck[:, 0] - puck[:, -1], slowed, "m/s", 0.1 * slowed),
        _near("drive", "A driven cart is at", seen["cart_at"][:, :, 0], drives[:, 0], "m", 1e-4),
        _near("control", "A drive pulls with", seen["drive_force"][:, :, 0], drives[:, 1], "N", 2e-2),
    ]


def _drive(start: int) -> Floats:
    """(2, STEPS + 1) position, m, and force, N, of a cart of 1 kg that its drive pulls to the targets."""
    at, speed, told = STARTS[start].cart, 0.0, []
    for target in [*_targets(start), _targets(start)[-1]]:
        force = STIFFNESS * (target - at)
        told.append((at, force))
        speed += TIMESTEP * force
        at += TIMESTEP * speed
    return np.transpose(told).astype(np.float64)


def _near(name: str, what: str, found: Floats, right: Floats | float, unit: str, tolerance: float) -> Check:
    """A check of numbers against the right ones; the sentence tells of the worst."""
    wanted = np.broadcast_to(right, found.shape)
    error = np.nan_to_num(np.abs(found - wanted), nan=np.inf)
    at = np.unravel_index(int(np.argmax(error)), error.shape)
    worst = float(error[at])
    shown, wanted_one = (f"{number:.6g} {unit}".strip() for number in (found[at], wanted[at]))
    text = f"{what} {shown} where {wanted_one} is right: off by {worst:.2g}, at most {tolerance:.2g} allowed."
    return Check(name, worst <= tolerance, text, _margin(worst, tolerance))


def _largest(field: Floats) -> float:
    """The largest |number|, infinite where one is NaN."""
    return float(np.max(np.nan_to_num(np.abs(field), nan=np.inf)))


def _margin(error: float, tolerance: float) -> float:
    return max(-1.0, 1.0 - error / tolerance)


# Isolation and honesty


def _isolation(first: _Seen, second: _Seen) -> list[Check]:
    """What goes wrong in one lane stays there, and is over when the lane is loaded again."""
    lanes = [first.value[AGAIN], *second.value]
    apart = _largest(np.stack([lane - first.value[i] for lane, i in zip(lanes, (ALIKE, *_SECOND), strict=True)]))
    text = f"The same plan in another lane, or once more, differs by {apart:.2g}, at most {ALONE:.2g} allowed."
    return [
        _quiet("neighbours", first, list(_CLEAN), "beside lanes that go wrong"),
        _quiet("reloaded", second, list(range(LANES)), "in lanes that had gone wrong before"),
        Check("repeated", apart <= ALONE, text, _margin(apart, ALONE)),
    ]


def _quiet(name: str, seen: _Seen, lanes: list[int], where: str) -> Check:
    wrong = [lane for lane in lanes if seen.invalid()[lane].any()]
    if not wrong:
        return Check(name, True, f"Good lanes are trusted {where}: {len(lanes)} of {len(lanes)}.", 1.0)
    bits = Fault(int(np.bitwise_or.reduce(seen.fault[wrong[0]]))).name
    return Check(name, False, f"Good lanes are distrusted {where}: lane {wrong[0]} reports {bits}.", -1.0)


def _honesty(first: _Seen) -> list[Check]:
    """What cannot be believed is reported, from where on it cannot."""
    return [
        _told("nan_state", first, NAN_SPEED, 0, "starts with NaN"),
        _told("nan_control", first, NAN_CONTROL, BREAKS, f"is given NaN at substep {BREAKS}"),
        _told("divergence", first, DIVERGES, BREAKS, f"is torn apart at substep {BREAKS}"),
    ]


def _told(name: str, seen: _Seen, lane: int, since: int, what: str) -> Check:
    """A lane that goes wrong at a substep is trusted until then, and never later than one substep after it."""
    bad = seen.invalid()[lane]
    late = since + 2 if since else 0
    first = int(np.argmax(bad)) if bad.any() else None
    said = "was never reported" if first is None else f"was reported from sample {first} on"
    if first is not None and not bad[first:].all():
        said += ", but not to its end"
    passed = bool(not bad[:since].any() and bad[late:].all())
    return Check(name, passed, f"A lane that {what} {said}.", 1.0 if passed else -1.0)


def _overflow(make_cramped: Callable[[], Engine]) -> Check:
    """Contacts that do not fit the memory are reported, or such an engine is refused from the start."""
    name, model = "overflow", scene()
    try:
        engine = make_cramped()
    except ValueError:
        return Check(name, True, "An engine with too little memory is refused.", 1.0)
    seen = _run(engine, *_case(model, _FIRST))
    full = (seen.fault & int(Fault.OVERFLOW | Fault.RAISED)) != 0
    passed = bool(full.any(axis=1).all())
    text = f"Contacts that do not fit the memory were reported in {int(full.any(axis=1).sum())} of {LANES} lanes."
    return Check(name, passed, text, 1.0 if passed else -1.0)
