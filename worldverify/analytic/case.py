"""A scene with a closed form, and what the verdicts say of it: inside its allowance a PASS, outside it a FAIL."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldverify.engines.backend import On, backend_of
from worldverify.engines.making import physics_on
from worldverify.engines.physics import Job
from worldverify.simulate import CHUNK
from worldverify.task import Task
from worldverify.verdict import Margin, Status
from worldverify.verify import verify

G = 9.81  # m/s/s
RATE = 50.0  # Hz, of the plans
ROUNDING = 1e-4  # of a value: what float32 may lose over thousands of steps


class AtEnd(NamedTuple):
    """The value of an expression at the horizon."""

    expression: str


class Greatest(NamedTuple):
    """The greatest value of an expression up to the horizon."""

    expression: str


class First(NamedTuple):
    """When an expression, above 0 until then, first falls below 0. What is read is that time times `speed`."""

    expression: str  # in the unit `zero`
    zero: str  # its unit
    since: float = 0.0  # s: earlier times do not count
    speed: float = 1.0  # of what grows evenly with time, in the unit of the case a second


Reading = AtEnd | Greatest | First


@dataclass(frozen=True, eq=False)
class Case:
    """One number that a formula gives, and the scene that it is read from."""

    name: str
    law: str  # the formula
    value: float  # what it gives
    unit: str  # of the value
    allowance: float  # by how much a simulation with finite steps and soft contacts may miss it, in the same unit,
    because: str  # and the formula of that
    scene: str  # MJCF
    reading: Reading
    horizon: float  # s
    controls: NDArray[np.float64] | None = None  # (T, nu); None: all zero


class Judged(NamedTuple):
    """What came of a case."""

    measured: float  # in the unit of the case; NaN where there is no verdict to read it from
    inside: Status  # of the spec "no further from the formula than allowed"
    outside: Status  # of the spec "further from it"
    reason: str  # of the first of them that is not as it should be, else of the second


def judged(case: Case, *, on: On = "cpu", engine: str = "mujoco", impl: str | None = None) -> Judged:
    """Judge a case by `worldverify.verify`, and read from its verdicts what was measured.

    On engine "mjx" it is the engine's own findings: `verify` would have MuJoCo C look at whatever is near a threshold.
    """
    low, high = case.value - case.allowance, case.value + case.allowance
    inside, outside = specs(case, low, high)
    near, far = (_said(task_of(case, spec), case, on, engine, impl) for spec in (inside, outside))
    if isinstance(case.reading, First):
        measured = math.nan if far.decided_s is None else far.decided_s * case.reading.speed
    else:
        above = near.margins["least"].value if near.margins else None
        measured = math.nan if above is None else low + above
    return Judged(measured, near.status, far.status, near.reason if near.status != "PASS" else far.reason)


class _Said(NamedTuple):
    """A verdict, or a finding."""

    status: Status
    margins: Mapping[str, Margin]
    decided_s: float | None
    reason: str


def _said(task: Task, case: Case, on: On, engine: str, impl: str | None) -> _Said:
    controls = plan(case, task)
    if engine == "mujoco":
        (verdict,) = verify(task, [controls], on=on, engine=engine, margins="full")
        return _Said(verdict.status, verdict.margins, verdict.decided_s, verdict.reason)
    physics = physics_on(backend_of(on, engine, impl), threads=None, chunk=CHUNK)
    try:
        physics.check(task)
        job = Job(task, chunk=False, full=True, history=None, told=lambda _: None)
        (found,) = physics.findings(job, task.start()[None], [controls])
    finally:
        physics.close()
    decided_s = None if found.decided is None else found.decided * task.timestep
    return _Said(found.status, found.margins, decided_s, found.fault.name or "")


def rounded(case: Case) -> Case:
    """The case as an engine of float32 can be asked it."""
    more = ROUNDING * abs(case.value)
    because = f"{case.because}; {ROUNDING:g} of the value for float32"
    return replace(case, allowance=case.allowance + more, because=because)


def holds(case: Case, found: Judged) -> bool:
    """Whether the verdicts are those of the formula, and what they measured is no further from it than allowed."""
    right = found.inside == "PASS" and found.outside == "FAIL"
    return right and abs(found.measured - case.value) <= case.allowance


def specs(case: Case, low: float, high: float) -> tuple[str, str]:
    """The spec that the value lies between two bounds, and the spec that it does not."""
    unit = case.unit
    match case.reading:
        case AtEnd(x):
            least, most = f"{x} > {_number(low)} {unit}", f"{x} < {_number(high)} {unit}"
            inside = f"least: at_end({least})\nmost: at_end({most})"
            return inside, f"beyond: at_end(not ({least} and {most}))"
        case Greatest(x):
            least, most = f"{x} > {_number(low)} {unit}", f"{x} < {_number(high)} {unit}"
            inside = f"least: eventually({least})\nmost: always({most})"
            return inside, f"beyond: always(not ({least})) or eventually(not ({most}))"
        case First(x, zero, since, speed):
            h = task_of(case, f"waits: always({x} > 0 {zero})").timestep
            early, late = math.floor(low / speed / h) * h, math.ceil(high / speed / h) * h
            inside = (
                f"least: always[{_number(since)},{_number(early)}]({x} > 0 {zero})\n"
                f"most: eventually[{_number(since)},{_number(late)}]({x} < 0 {zero})"
            )
            return inside, f"waits: always[{_number(since)},{_number(case.horizon)}]({x} > 0 {zero})"


def task_of(case: Case, spec: str) -> Task:
    """The scene of a case under a spec."""
    return Task.from_mjcf(case.scene, spec=spec, horizon=case.horizon, rate=RATE, keyframe="start", name=case.name)


def plan(case: Case, task: Task) -> NDArray[np.float64]:
    """(T, nu) the controls of a case."""
    return np.zeros((task.steps, int(task.scene.model.nu))) if case.controls is None else case.controls


def ramp(slope: float, horizon: float) -> NDArray[np.float64]:
    """(T, 1) one control that grows by `slope` each second."""
    rows: NDArray[np.float64] = np.arange(round(horizon * RATE), dtype=np.float64)[:, None]
    return rows * np.float64(slope / RATE)


def scene(
    bodies: str,
    *,
    start: str,
    timestep: float,
    actuators: str = "",
    gravity: str = f"0 0 {-G}",
    contact: tuple[str, str] = ("0.02 1", "0.95 0.95 0.001"),
) -> str:
    """MJCF of a few bodies. `start`: what its keyframe holds. `contact`: solref and solimp of the geoms.

    Where a case needs no actuator, one without force is on the joint `idle`, since a plan has to have something to say.
    """
    solref, solimp = contact
    none = '<general joint="idle" gainprm="0" ctrlrange="0 1"/>'
    return f"""
<mujoco>
  <option timestep="{timestep}" gravity="{gravity}" cone="elliptic" tolerance="1e-12" iterations="200">
    <flag filterparent="disable"/>
  </option>
  <default><geom solref="{solref}" solimp="{solimp}"/></default>
  <worldbody>{bodies}</worldbody>
  <actuator>{actuators or none}</actuator>
  <keyframe><key name="start" {start}/></keyframe>
</mujoco>
"""


def _number(x: float) -> str:
    return f"{x:.12f}"
