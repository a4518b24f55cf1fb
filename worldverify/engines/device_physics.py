"""Jobs on MJX in float32; what float32 cannot settle is judged again by MuJoCo C."""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldverify.engines.audit import drawn
from worldverify.engines.backend import Backend, DeviceLost, EngineRefused
from worldverify.engines.band import Band, depth, load_band, save_band
from worldverify.engines.caches import use_kernel_caches
from worldverify.engines.physics import (
    Job,
    MujocoPhysics,
    Outcome,
    each_once,
    judged,
    judged_again,
    last_samples,
    simulated,
)
from worldverify.engines.placement import bucket_of
from worldverify.engines.selftest import require_backend
from worldverify.judge import Finding, findings_of, often_capped, question_of
from worldverify.kernels.engine import EngineInfo, Fault
from worldverify.scene import Scene
from worldverify.schedule import Schedule
from worldverify.task import Task

if TYPE_CHECKING:
    from worldverify.kernels.mjx_engine import MjxEngine
    from worldverify.kernels.mjx_room import Room

Floats = NDArray[np.float64]

_MOST_KEPT = 8  # engines: each holds its programs and its buffers

MOST_LANES = 32768  # of a call: throughput falls beyond, where lanes no longer fit the caches
DEVICE_BYTES = 4 * 2**30  # of margins on the device

# Of the verdicts that stand, so many are judged by MuJoCo C as well; the second where nothing like them was compared.
AUDITED, AUDITED_ELSEWHERE = 1 / 256, 1 / 16

MORE_ROOM = 4  # times the buffers, for lanes that overflowed
# Lanes of plans that are simulated until they are settled. A GPU takes as long for few as for many; a CPU does not.
GPU_LANES, FEWEST_LANES, PLANS_A_LANE = 8192, 8, 4
ROUNDS = 12  # looks at the evidence of a plan that is never settled
CHUNK = 256  # physics steps an engine call where the evidence itself is needed


@dataclass
class _Kept:
    """An engine with the scene that it is for; the scene is kept so that its id stays its own."""

    scene: Scene
    engine: "MjxEngine"
    sized: bool = False  # its buffers were chosen for plans of this scene
    cold: bool = True  # no call has ended yet


class DevicePhysics:
    """MJX on one device. Verdicts that stand are its own; the others are those of `exact`, MuJoCo C."""

    def __init__(self, backend: Backend, exact: MujocoPhysics) -> None:
        """Raises SelfTestFailed if this device gets known answers wrong."""
        use_kernel_caches()
        from worldverify.kernels.mjx_engine import MjxEngine

        self._backend, self._exact, self._make = backend, exact, MjxEngine
        self._kept: OrderedDict[tuple[int, bool], _Kept] = OrderedDict()
        self._lanes: int | None = None  # a call of at most this many fits the device's memory, if that was ever short
        require_backend(backend)

    @property
    def ends_early(self) -> bool:
        return False

    @property
    def info(self) -> EngineInfo:
        from worldverify.kernels.mjx_model import versions

        backend = self._backend
        return EngineInfo(backend.engine, backend.impl, backend.device, "float32", versions(backend.impl))

    def close(self) -> None:
        self._kept.clear()
        self._exact.close()

    def check(self, task: Task) -> None:
        """Raises UnsupportedScene for a task that this implementation cannot simulate."""
        self._kept_for(task, roomy=False)

    def most(self, task: Task) -> int:
        # Only margins and faults are kept of a sample, and they stay on the device: float32 and int32.
        sample = 4 * (len(task.scene.bound.atoms) + 1)
        return max(1, min(MOST_LANES, DEVICE_BYTES // (sample * (task.samples + 1))))

    def findings(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Finding]:
        plain = replace(job, schedule=Schedule.exhaustive())  # bounds over all evidence
        return [o.finding for o in self._found(plain, states, controls, roomy=False)]

    def run(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Outcome]:
        return each_once(self._tried, job, states, controls)

    def _tried(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Outcome]:
        try:
            return self._run(job, states, controls)
        except EngineRefused:
            raise
        except Exception:
            self._kept.clear()  # a fresh engine and fresh buffers: what was wrong may have been in them
        try:
            return self._run(job, states, controls)
        except Exception as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise DeviceLost(f"{self._backend.name} failed twice on the {self._backend.device} ({said}).") from error

    def _run(self, job: Job, states: Floats, controls: Sequence[Floats]) -> list[Outcome]:
        outcomes = self._found(job, states, controls, roomy=False)
        full = [i for i, o in enumerate(outcomes) if o.finding.fault & Fault.OVERFLOW]
        if full and self._backend.impl == "warp":
            again = self._found(job, states[full], [controls[i] for i in full], roomy=True)
            for i, outcome in zip(full, again, strict=True):
                note = f"Simulated again with {MORE_ROOM} times the buffers."
                outcomes[i] = judged_again(outcome, outcomes[i], note)
        band = load_band(job.task, self.info)
        why = {i: doubt for i, o in enumerate(outcomes) if (doubt := self._doubt(job, o, band)) is not None}
        checked = audited(job, states, controls, [i for i in range(len(outcomes)) if i not in why])
        why |= {i: "it was drawn for an audit." for i in checked}
        exact = self._judged_by_mujoco(job, states, controls, list(why))
        wrong = [i for i in checked if exact[i].finding.status != outcomes[i].finding.status]
        if wrong and band is not None:
            # Whatever was believed of this engine on this task is refuted, here and in later calls.
            save_band(job.task, self.info, replace(band, flips_outside=band.flips_outside + len(wrong)))
            rest = [i for i in range(len(outcomes)) if i not in exact]
            exact |= self._judged_by_mujoco(job, states, controls, rest)
            why |= {i: f"an audit of this call contradicted {self._backend.name}." for i in rest}
        for i, outcome in exact.items():
            outcomes[i] = judged_again(outcome, outcomes[i], f"Judged again by MuJoCo C: {why[i]}")
        return outcomes

    def _judged_by_mujoco(
        self, job: Job, states: Floats, controls: Sequence[Floats], rows: Sequence[int]
    ) -> dict[int, Outcome]:
        """Outcomes of some of the plans, by their place."""
        found: dict[int, Outcome] = {}
        most = self._exact.most(job.task)
        for part in (list(rows[first : first + most]) for first in range(0, len(rows), most)):
            outcomes = self._exact.run(job, states[part], [controls[i] for i in part])
            found.update(zip(part, outcomes, strict=True))
        return found

    def _doubt(self, job: Job, outcome: Outcome, band: Band | None) -> str | None:
        """Why a finding does not stand, as a sentence; None if it does."""
        finding, name = outcome.finding, self._backend.name
        if finding.status == "INVALID":
            what = "cannot tell whether its physics holds" if finding.fault & Fault.SUSPECT else "distrusts itself"
            return f"{name} {what} at {(finding.untrusted or 0) * job.task.timestep:.3f} s."
        if finding.status == "INCONCLUSIVE":
            return f"{name} leaves it undecided."
        if often_capped(finding, job.task.samples):
            return f"the solver of {name} often stopped at its iteration limit."
        if band is None:
            count = "" if self._backend.device == "gpu" else " --count 720"  # what is drawn by itself is too few there
            return (
                f"there is no usable parity report for {job.task.name} on {name} here; "
                f"worldverify parity {job.task.name} --engine {name}{count} may make one."
            )
        final = finding.final or {}
        near = depth(finding.status, {n: final[n] for n, m in finding.margins.items() if m.guard})
        if near < band.width:
            return f"{near:.2g} margin scales lie inside the guard band of {name}, {band.width:.2g}."
        if finding.violated is not None and -final[finding.violated][1] < band.width:
            return (
                f"what it violates first, it violates by less than the guard band of {name}, {band.width:.2g} scales."
            )
        return None

    # On the device

    def _found(self, job: Job, states: Floats, controls: Sequence[Floats], *, roomy: bool) -> list[Outcome]:
        """Outcomes of plans, in calls that fit the device's memory."""
        done: list[Outcome] = []
        while len(done) < len(controls):
            first, most = len(done), self._lanes or len(controls)
            part = slice(first, min(first + most, len(controls)))
            try:
                done += self._call(job, states[part], list(controls[part]), roomy)
            except Exception as error:
                lanes = part.stop - part.start
                if not _out_of_memory(error) or lanes == 1:
                    raise
                self._lanes = -(-lanes // 2)
        if self._lanes is not None and len(controls) > self._lanes:
            note = f"The memory of the device is short: judged in batches of {self._lanes}."
            done = [replace(o, warnings=(*o.warnings, note)) for o in done]
        return done

    def _call(self, job: Job, states: Floats, controls: Sequence[Floats], roomy: bool) -> list[Outcome]:
        kept = self._engine(job, states, controls, roomy)
        clock = time.perf_counter()
        samples = last_samples(job, controls)
        taken = samples
        if job.history is None and (samples == samples[0]).all():
            if job.schedule.stop and not job.full:
                findings, taken = self._in_turn(job, kept.engine, states, controls, int(samples[0]))
            else:
                findings = self._folded(job, kept.engine, states, controls, int(samples[0]))
        else:
            # What an episode showed before lies on the host, so the rest of its evidence comes there too; and chunks
            # of different lengths would be as many programs.
            kept.engine.resize(len(controls))
            findings = judged(job, simulated(job, kept.engine, states, controls, CHUNK), final=True)
        spent = time.perf_counter() - clock if self._backend.device == "gpu" else 0.0
        cold, kept.cold = kept.cold, False
        each = spent / len(controls)
        return [
            Outcome(f, None, int(n), 0, cold, info=self.info, device_s=each, saved={"stop": int(left)} if left else {})
            for f, n, left in zip(findings, taken, samples - taken, strict=True)
        ]

    def _folded(
        self, job: Job, engine: "MjxEngine", states: Floats, controls: Sequence[Floats], last: int
    ) -> list[Finding]:
        """Findings of plans of one length, whose evidence never leaves the device."""
        asked, known = _asked(job, last), min(last, job.task.samples)
        decided = engine.find(states, _stacked(controls), **asked)
        job.told(known * len(controls))
        return self._said(job, asked, decided)

    def _in_turn(
        self, job: Job, engine: "MjxEngine", states: Floats, controls: Sequence[Floats], last: int
    ) -> tuple[list[Finding], NDArray[np.int64]]:
        """The same of plans that are simulated until they are settled, and the substeps that were."""
        from worldverify.kernels.mjx_queue import Queue

        asked, known, rules = _asked(job, last), min(last, job.task.samples), job.schedule
        usual = GPU_LANES if self._backend.device == "gpu" else len(controls) // PLANS_A_LANE
        # Powers of two, so that calls of like size share a program.
        lanes = min(bucket_of(rules.lanes or max(usual, FEWEST_LANES)), bucket_of(max(len(controls), FEWEST_LANES)))
        queue = Queue(lanes, rules.chunk or max(1, -(-(known + 1) // ROUNDS)), rules.refill)
        band = load_band(job.task, self.info)
        width = 0.0 if band is None else band.width
        decided, end = engine.find_in_turn(states, _stacked(controls), **asked, queue=queue, stop=True, width=width)
        simulated = np.minimum(end, known).astype(np.int64)
        job.told(int(simulated.sum()))
        job.saved(known * len(controls) - int(simulated.sum()))
        return self._said(job, asked, decided), simulated

    @staticmethod
    def _said(job: Job, asked: Mapping[str, Any], decided: Any) -> list[Finding]:
        si = _bounds_in_si(decided, np.array(asked["scales"]))
        return findings_of(job.task.scene.bound, asked["question"], decided, si, asked["samples"])

    def _engine(self, job: Job, states: Floats, controls: Sequence[Floats], roomy: bool) -> _Kept:
        kept = self._kept_for(job.task, roomy)
        if self._backend.impl == "warp" and not kept.sized:
            kept.engine.room = self._room(job, states, controls, roomy)
            kept.sized = True
        return kept

    def _kept_for(self, task: Task, roomy: bool) -> _Kept:
        from worldverify.kernels.mjx_model import Unsupported

        key = (id(task.scene), roomy)
        if key not in self._kept:
            try:
                engine = self._make(task.scene.model, 1, impl=self._backend.impl, device=self._backend.device)
            except Unsupported as error:
                raise UnsupportedScene(f"{task.name} cannot run on {self._backend.name}. {error}") from None
            self._kept[key] = _Kept(task.scene, engine)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return self._kept[key]

    def _room(self, job: Job, states: Floats, controls: Sequence[Floats], roomy: bool) -> "Room":
        """Buffers for plans like these, or more than those that overflowed."""
        from worldverify.kernels.mjx_room import room_for

        plain = self._kept.get((id(job.task.scene), False))
        if roomy and plain is not None and plain.engine.room is not None:
            return plain.engine.room.times(MORE_ROOM)
        task = job.task
        held = _stacked(controls)
        periods = np.minimum(np.arange(task.samples) // task.substeps, held.shape[1] - 1)
        return room_for(task.scene.model, states, held[:, periods])


def _asked(job: Job, last: int) -> dict[str, Any]:
    """What a program is to find out about plans that end with sample `last`."""
    task, bound = job.task, job.task.scene.bound
    known = min(last, task.samples)
    return {
        "substeps": task.substeps,
        "samples": known,
        "expressions": bound.expressions,
        "scales": tuple(atom.scale for atom in bound.atoms),
        "question": question_of(bound, known, task.samples, chunk=job.chunk, full=job.full, final=True),
    }


def audited(job: Job, states: Floats, controls: Sequence[Floats], rows: Sequence[int]) -> list[int]:
    """Which of the verdicts that would stand are judged by MuJoCo C all the same: a plan always is, or never.

    A policy finds errors where a parity report did not look, and a band is measured over whole plans from the task's
    own starts: what begins elsewhere is looked at more often.
    """
    usual = not (job.chunk or job.given or job.history is not None)
    share = AUDITED if usual else AUDITED_ELSEWHERE
    return [i for i in rows if drawn(share, states[i], controls[i])]


class UnsupportedScene(EngineRefused):
    """An engine cannot simulate this scene; the sentence says what in it, and what would work."""


def _stacked(controls: Sequence[Floats]) -> Floats:
    """(B, T, nu) controls of different lengths, the last one of each held."""
    longest = max(len(u) for u in controls)
    return np.stack([u[np.minimum(np.arange(longest), len(u) - 1)] for u in controls])


def _bounds_in_si(decided: Any, scales: Floats) -> Floats:
    """(B, C, 2) bounds in the SI unit of the atom that set them; NaN where they are infinite."""
    atom = decided.source[..., 0]
    relative = np.stack([decided.low, decided.high], axis=-1).astype(np.float64)
    return np.where(atom >= 0, relative * scales[atom], np.nan)


def _out_of_memory(error: Exception) -> bool:
    said = str(error)
    return "RESOURCE_EXHAUSTED" in said or any(
        words in said.lower() for words in ("out of memory", "failed to allocate")
    )
