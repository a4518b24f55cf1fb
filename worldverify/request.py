"""Who a verdict is: the question (known before any physics) and the answer, as SHA-256 digests."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.identity import sha256
from worldverify.kernels.engine import EngineInfo
from worldverify.plan import Plan
from worldverify.simulate import Trace
from worldverify.task import Task
from worldverify.verdict import Margin, Status


def task_identity(task: Task, options: Mapping[str, Any], history: Trace | None) -> str:
    """SHA-256 of all that the requests of one call share."""
    past = (
        None if history is None else [history.value[:, : history.last[0] + 1], history.fault[:, : history.last[0] + 1]]
    )
    return sha256(
        {
            "task": task.name,
            "scene": task.scene.digest,
            "spec": str(task.spec),
            "rate": task.rate,
            "horizon_s": task.horizon,
            "contracts": {name: spec.to_json() for name, spec in task.contracts.items()},
            "options": dict(options),
            "history": past,
            **({"precondition": task.precondition} if task.precondition else {}),
            **({"domain": asdict(task.domain)} if {"randomise", "trials"} & options.keys() else {}),
        }
    )


def request_of(
    shared: str, task: Task, raw: object, plan: Plan | None, seed: int, state: Any, options: Mapping[str, Any]
) -> dict[str, Any]:
    """What was asked, replayable. `sha256` covers all of it but the plan's id and how a text was tolerated."""
    line = raw_line(raw) if plan is None else plan.to_json()
    numbers = plan.actions if plan is not None and isinstance(plan.actions, np.ndarray) else None
    said = {
        key: numbers if key == "actions" and numbers is not None else _in_floats(value)
        for key, value in line.items()
        if key != "id"
    }
    if plan is not None and plan.contract is not None:  # all of it: a preset's name may come to mean something else
        said["contract"] = _in_floats(plan.contract.to_json())
    identity = {"shared": shared, "plan": said, "seed": seed, "state": None if state is None else np.asarray(state)}
    return {
        "plan": line,
        "seed": seed,
        "horizon_s": task.horizon,
        "state": None if state is None else _numbers(np.asarray(state)),
        "options": dict(options),
        "sha256": sha256(identity),
    }


def _numbers(state: NDArray[np.float64]) -> list[float | str]:
    """JSON has no word for what is not finite."""
    numbers: list[float] = state.tolist()
    return list(numbers) if np.isfinite(state).all() else [x if math.isfinite(x) else str(x) for x in numbers]


def _in_floats(value: Any) -> Any:
    """JSON whose whole numbers are floats: 20 Hz and 20.0 Hz are one rate."""
    if isinstance(value, dict):
        return {key: _in_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def raw_line(raw: object) -> dict[str, Any]:
    """A plans-file line for something that was not admitted: what it said."""
    if isinstance(raw, Mapping):
        told = {key: value for key, value in raw.items() if key != "proposal"}  # when and by whom it was written
        try:
            said: dict[str, Any] = json.loads(json.dumps({**told, "id": None}, allow_nan=False))
            return said
        except (TypeError, ValueError, RecursionError):
            pass
    if isinstance(raw, np.ndarray):
        return {"id": None, "text": json.dumps(raw.tolist(), default=_shown)}
    return {"id": None, "text": raw if isinstance(raw, str) else _shown(raw)}


def _shown(raw: object) -> str:
    """What a value says of itself; it may refuse even that."""
    try:
        return repr(raw)[:10_000]
    except Exception:
        return f"<{type(raw).__name__}>"


def digest_of(
    request: Mapping[str, Any],
    engine: EngineInfo,
    method: str,
    version: str,
    status: Status,
    cause: str | None,
    margins: Mapping[str, Margin],
) -> str:
    """Identity of the answer: not of the id, the cost, the threads, the batch or the order."""
    return sha256(
        {
            "request": request["sha256"],
            "engine": engine.engine,
            "impl": engine.impl,
            "versions": {"engine": engine.version, "worldverify": version},
            "dtype": engine.dtype,
            "method": method,
            "status": status,
            "cause": cause,
            "margins": {name: [m.value, *m.interval, m.unit] for name, m in margins.items()},
        }
    )
