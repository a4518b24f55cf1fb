"""Predicted rollouts: a model that writes states instead of actions is judged by the spec and by physics."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.cost import Cost
from worldverify.describe import describe
from worldverify.engines.physics import INFO
from worldverify.identity import sha256
from worldverify.kernels.mujoco_cpu import MujocoEngine, state_slice
from worldverify.reasons import fail_reason, quantity
from worldverify.refusal import Refusal
from worldverify.registry import load
from worldverify.request import digest_of, task_identity
from worldverify.rollouts.check import PREFIX, Check, closest, first_broken
from worldverify.rollouts.motion import energy, penetration, support, teleport
from worldverify.rollouts.residual import FLOOR, LANES, Stepper, effort_residual, step_residual
from worldverify.rollouts.scan import SIGMAS, overlaps, scan
from worldverify.rollouts.signals import Finding, judge_signals
from worldverify.rollouts.states import Every, Noise, Prediction, admit_prediction, angular, from_positions, moves
from worldverify.scoring import reward_of
from worldverify.task import Task
from worldverify.verdict import Margin, Status, Verdict, Violation
from worldverify.version import VERSION

Floats = NDArray[np.float64]

EXACT = Noise()
METHOD = "rollout"
STILL = 1e-3  # m/s and rad/s: rounding of a predicted speed
NAMING_S = 0.25  # s: what is broken within this of what is broken first may be the same event


def check_rollout(
    task: Task | str,
    states: Any,
    actions: Any = None,
    *,
    noise: Noise = EXACT,
    every: Every = "control",
    seed: int | None = None,
    id: str | None = None,
    threads: int | None = None,
) -> Verdict:
    """Judge a predicted trajectory, by the spec of the task and by physical consistency.

    states: one row a state, of nstate numbers (a MuJoCo integration state) or nq + nv, or a mapping with qpos (n, nq)
    and perhaps qvel (n, nv). State k is at k / task.rate (every="control"), or k physics steps (every="substep").
    actions: (T, nu) controls that lead from the first state to the last, T a control period each; without them the
    residual asks which forces could be behind the motion. noise: the declared error of the prediction, from which every
    tolerance follows. seed: the start of the task that the first state has to be; None takes it as it is.

    PASS needs both the spec and physics; a law that is broken is a margin named "physics:...", and the verdict is FAIL.
    What cannot be read is INVALID with cause plan. Raises ValueError for an unknown task or option.
    """
    return RolloutChecker(task, threads=threads).check(states, actions, noise=noise, every=every, seed=seed, id=id)


class RolloutChecker:
    """Checks many predictions of one task, with the same engines."""

    def __init__(self, task: Task | str, *, threads: int | None = None) -> None:
        self.task = load(task) if isinstance(task, str) else task
        self._engine = MujocoEngine(self.task.scene.model, LANES, threads=threads)
        self._lane = MujocoEngine(self.task.scene.model, 1)

    def check(
        self,
        states: Any,
        actions: Any = None,
        *,
        noise: Noise = EXACT,
        every: Every = "control",
        seed: int | None = None,
        id: str | None = None,
    ) -> Verdict:
        """See `check_rollout`."""
        if not isinstance(noise, Noise):
            raise TypeError(f"noise is {describe(noise)}; give Noise(position=..., angle=...), in m and rad.")
        clock, cpu, task = time.perf_counter(), time.process_time(), self.task
        start, steps = task.start(0 if seed is None else seed), 0
        finding: Finding | None = None
        doubts: tuple[str, ...] = ()
        checks: list[Check] = []
        try:
            prediction = admit_prediction(
                task, states, actions, noise=noise, every=every, base=start, begun=seed is not None
            )
        except Refusal as refusal:
            said: Prediction | Refusal = refusal
        else:
            said = prediction
            stepper = Stepper(self._engine)
            checks = self._physics(prediction, stepper, None if seed is None else start)
            finding, doubts = self._judged(prediction, checks)
            steps = stepper.steps + finding.followed
        request = _request(task, states, actions, said, noise, every, seed)
        bill = Cost(steps=steps, cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - clock)
        return _verdict(task, id, said, finding, checks, doubts, request, bill)

    def _judged(self, prediction: Prediction, checks: Sequence[Check]) -> tuple[Finding, tuple[str, ...]]:
        """What the spec says, and why a PASS of it is no PASS yet: velocities are judged as claimed and as moved."""
        finding = judge_signals(self.task, prediction, self._engine, self._lane)
        if finding.status != "PASS":
            return finding, ()
        doubts = []
        if not any(check.name == "residual" for check in checks):
            doubts.append("the prediction is too short for its motion to be explained; give actions, or more states")
        if not prediction.differenced:
            moved = from_positions(self.task.scene.model, prediction)
            other = judge_signals(self.task, moved, self._engine, self._lane)
            if other.status != "PASS":
                names = ", ".join(name for name, m in other.margins.items() if (m.value or 0.0) <= 0.0)
                doubts.append(f"{names} holds for the velocities as predicted, not for those of the positions")
        return (replace(finding, status="INCONCLUSIVE", decided=None) if doubts else finding), tuple(doubts)

    def _physics(self, prediction: Prediction, stepper: Stepper, start: Floats | None) -> list[Check]:
        model = self.task.scene.model
        seen = scan(model, prediction)
        found = [
            None if start is None else _start(model, prediction, start),
            penetration(overlaps(model, prediction), prediction.period),
            teleport(model, prediction),
            support(model, prediction, seen),
            energy(model, prediction, seen),
            step_residual(model, prediction, stepper, self.task.substeps, seen)
            if prediction.controls is not None
            else effort_residual(model, prediction, seen),
        ]
        return [check for check in found if check is not None]


def _start(model: mujoco.MjModel, prediction: Prediction, start: Floats) -> Check | None:
    """The first predicted state is the start of the task, but for noise."""
    qvel = state_slice(model, mujoco.mjtState.mjSTATE_QVEL)
    way = np.abs(moves(model, start[None], prediction.states[:1]))
    speed = np.abs(prediction.states[:1, qvel] - start[qvel])
    way = np.concatenate([way, speed], axis=1)
    allowed = np.concatenate([FLOOR + SIGMAS * prediction.position, STILL + SIGMAS * prediction.velocity[0]])[None]
    units = ["rad" if turn else "m" for turn in angular(model)]
    units += [f"{unit}/s" for unit in units]
    names = [model.joint(int(joint)).name for joint in model.dof_jntid]
    whats = [f"{what} ({name})" for what in ("distance from the start", "speed at the start") for name in names]
    return closest("start", way, allowed, units=units, whats=whats, begins_s=np.zeros(1))


def _request(
    task: Task, states: Any, actions: Any, said: Prediction | Refusal, noise: Noise, every: Every, seed: int | None
) -> dict[str, Any]:
    """What was asked. The prediction itself stands as its digest."""
    options = {"method": METHOD, "every": every, "noise": [noise.position, noise.angle, noise.velocity, noise.spin]}
    parts: list[Any] = [repr(states)[:10_000], repr(actions)[:10_000]]
    if isinstance(said, Prediction):
        parts = [said.states, said.controls, said.differenced]
    content = sha256(parts)
    identity = {"shared": task_identity(task, options, None), "prediction": content, "seed": seed}
    return {
        "prediction": content,
        "seed": seed,
        "horizon_s": task.horizon,
        "state": None,
        "options": options,
        "sha256": sha256(identity),
    }


def _verdict(
    task: Task,
    id: str | None,
    said: Prediction | Refusal,
    finding: Finding | None,
    checks: Sequence[Check],
    doubts: Sequence[str],
    request: dict[str, Any],
    bill: Cost,
) -> Verdict:
    margins: dict[str, Margin] = {}
    status: Status = "INVALID"
    cause, code, violation, decided_s = None, None, None, None
    warnings: tuple[str, ...] = task.scene.warnings
    if isinstance(said, Refusal):
        cause, code, reason = said.cause, said.code, said.reason
    else:
        assert finding is not None
        margins = {**finding.margins, **{PREFIX + c.name: c.margin for c in checks}}
        warnings = (*said.warnings, *_told_of_limits(said), *_told_of_forces(finding, task), *warnings)
        status = finding.status
        decided_s = None if finding.decided is None else finding.decided * task.timestep
        broken = first_broken(checks, NAMING_S)
        spec_s = decided_s if status == "FAIL" else None
        if broken is not None and (spec_s is None or (broken.begins_s or 0.0) <= spec_s + NAMING_S):
            assert broken.begins_s is not None
            status, decided_s = "FAIL", broken.begins_s
            violation = Violation(PREFIX + broken.name, decided_s)
            reason = _broken_reason(broken)
        elif status == "FAIL":
            assert finding.violated is not None and decided_s is not None
            violation = Violation(finding.violated, decided_s)
            reason = fail_reason(margins, finding.violated, decided_s)
        elif status == "PASS":
            reason = _held_reason(finding, checks)
        else:
            reason = f"Undecided: {'; '.join(doubts)}." if doubts else _open_reason(finding, said)
    reward, valid = reward_of(status, cause, margins.values(), task.reward_min)
    info = INFO
    return Verdict(
        id=id,
        task=task.name,
        status=status,
        cause=cause,
        code=code,
        reason=reason,
        margins=margins,
        first_violation=violation,
        reward=reward,
        valid=valid,
        warnings=tuple(dict.fromkeys(warnings)),
        cost=bill,
        engine={**info._asdict(), "method": METHOD},
        request=request,
        digest=digest_of(request, info, METHOD, VERSION, status, cause, margins),
        decided_s=decided_s,
    )


def _told_of_limits(prediction: Prediction) -> list[str]:
    """What the laws cannot see, where less than everything was given."""
    told = [] if prediction.begun else ["No seed was given: the prediction may begin anywhere, also at the goal."]
    if prediction.controls is None:
        told.append("No actions were given: what moves in contact with something is not checked step by step.")
    elif prediction.differenced:
        told.append("No velocities were given: what glides slowly over something is not told from what is carried.")
    return told


def _told_of_forces(finding: Finding, task: Task) -> list[str]:
    """That forces are not in a state, and whose they are."""
    if not finding.estimated:
        return []
    names, until = ", ".join(finding.estimated), quantity(finding.followed * task.timestep, "s")
    return [f"The forces of {names} are those of the actions, run from the first state: they lead there up to {until}."]


_SAYS = {
    "start": "does not begin at the start of the task",
    "penetration": "has one body inside another",
    "teleport": "jumps",
    "support": "does not fall where nothing holds it",
    "energy": "gains energy from nowhere",
    "residual": "does not move as MuJoCo does",
}


def _broken_reason(check: Check) -> str:
    seen, allowed = quantity(check.seen, check.unit), quantity(check.allowed, check.unit)
    return (
        f"From {check.begins_s:.3f} s on, the prediction {_SAYS[check.name]}: {check.what} reaches {seen}, and "
        f"{allowed} is all that noise and softness explain."
    )


def _held_reason(finding: Finding, checks: Sequence[Check]) -> str:
    name, least = min(finding.margins.items(), key=lambda item: item[1].relative or 0.0)
    spare = quantity(least.value or 0.0, least.unit)
    return (
        f"The motion obeys {len(checks)} laws of physics, and the spec holds; the closest is {name} ({least.term}), "
        f"with {spare} to spare."
    )


def _open_reason(finding: Finding, said: Prediction) -> str:
    open_ones = [name for name, m in finding.margins.items() if m.value is None]
    names = f"{', '.join(open_ones)} {'is' if len(open_ones) == 1 else 'are'} undecided"
    if not finding.blind:
        return f"The motion obeys physics; where the prediction ends, {names}."
    missing = "give the actions" if said.controls is None else "the actions given lead elsewhere before it ends"
    return (
        f"The motion obeys physics; {names}: states do not hold the forces that "
        f"{', '.join(finding.blind)} read{'s' if len(finding.blind) == 1 else ''} ({missing})."
    )
