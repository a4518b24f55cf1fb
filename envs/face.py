"""What both environments of a task share: where an episode begins, what an info says, and pictures."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from worldverify.judge import Finding
from worldverify.png import Image
from worldverify.reasons import fail_reason, inconclusive_reason, pass_reason
from worldverify.render import Camera, Painter
from worldverify.scoring import reward_of
from worldverify.task import Task
from worldverify.verdict import Margin, Verdict

Floats = NDArray[np.float64]
Info = dict[str, Any]

METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 25}


def seed_of(env: gymnasium.Env[Any, Any], seed: int | None) -> int:
    """The seed of the start: the one given to reset, or one drawn from the environment's generator."""
    return int(env.np_random.integers(2**31)) if seed is None else int(seed)


def given_state(options: Mapping[str, Any] | None) -> Floats | None:
    """The state that the options of reset hold, or None. Raises ValueError on any other option."""
    unknown = [key for key in options or {} if key != "state"]
    if unknown:
        raise ValueError(f"reset() has no option {unknown[0]!r}. Options: state.")
    state = (options or {}).get("state")
    return None if state is None else np.array(state, dtype=np.float64)


def start_of(task: Task, seed: int, given: Floats | None) -> Floats:
    """The state to begin with. Raises Refusal if it is not physical."""
    start = task.start(seed) if given is None else given
    task.scene.check_start(start)
    return start


class Answer(NamedTuple):
    """What an info says of a verdict; "" stands for what there is not."""

    status: str
    cause: str
    code: str
    reason: str
    reward: float
    margins: Mapping[str, Margin]
    valid: bool = True  # whether a policy may be rewarded for it


OPEN = Answer("INCONCLUSIVE", "", "", "", 0.0, {})


def heard(verdict: Verdict) -> Answer:
    """What a verdict says; its reward is NaN if it is not valid."""
    cause, code = verdict.cause or "", verdict.code or ""
    return Answer(verdict.status, cause, code, verdict.reason, verdict.reward, verdict.margins, verdict.valid)


def answer_of(verdict: Verdict) -> Answer:
    """The same of a verdict that a policy may be rewarded for; any other is an error."""
    if not verdict.valid:
        raise no_reward(verdict.task, verdict.cause or "", verdict.reason)
    return heard(verdict)


def no_reward(task: str, cause: str, reason: str) -> RuntimeError:
    """The error where nothing can be judged although no action is to blame."""
    return RuntimeError(f"{task} gives no reward here, because the actions are not to blame (cause {cause}): {reason}")


def answer_from(task: Task, finding: Finding) -> Answer:
    """The same from trusted evidence, without judging it again."""
    margins = finding.margins
    if finding.status == "PASS":
        reason = pass_reason(margins)
    elif finding.status == "FAIL":
        assert finding.violated is not None and finding.decided is not None
        reason = fail_reason(margins, finding.violated, finding.decided * task.timestep)
    else:
        reason = inconclusive_reason(margins, task.horizon, chunk=False)
    reward, _ = reward_of(finding.status, None, margins.values(), task.reward_min)
    return Answer(finding.status, "", "", reward=reward, reason=reason, margins=margins)


def info_of(task: Task, answer: Answer) -> Info:
    """The same keys at every step. A margin [SI unit of its deciding term] counts where its mask is True."""
    values = {name: answer.margins[name].value if name in answer.margins else None for name in task.scene.bound.names}
    success = answer.status == "PASS"
    return {
        "instruction": task.instruction,
        "is_success": success,
        "success": success,
        "valid": answer.valid,
        "status": answer.status,
        "cause": answer.cause,
        "code": answer.code,
        "reason": answer.reason,
        "margins": {name: 0.0 if value is None else value for name, value in values.items()},
        "margins_mask": {name: value is not None for name, value in values.items()},
    }


class View:
    """Pictures of a task's states."""

    def __init__(self, task: Task, mode: str | None, width: int, height: int, camera: str | int | Camera) -> None:
        if mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be 'rgb_array' or None; got {mode!r}.")
        self._scene, self._mode = task.scene, mode
        self._wanted = {"width": width, "height": height, "camera": camera}
        self._painter: Painter | None = None

    def image(self, state: Floats) -> Image | None:
        """(height, width, 3) uint8 of a state (nstate,), or None if no pictures were asked for."""
        if self._mode is None:
            return None
        if self._painter is None:
            self._painter = Painter(self._scene.model, **self._wanted)  # type: ignore[arg-type]
        data = self._scene.data(state)
        mujoco.mj_kinematics(self._scene.model, data)
        mujoco.mj_camlight(self._scene.model, data)
        return self._painter.paint(data)
