"""Who a verdict is: the question (known before any physics) and the answer, as SHA-256 digests."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldverify.identity import sha256
from worldverify.kernels.engine import EngineInfo
from worldverify.plan import Plan
from worldverify.task import Task
from worldverify.verdict import Margin, Status


def request_of(
    task: Task, raw: object, plan: Plan | None, seed: int, state: Any, options: Mapping[str, Any]
) -> dict[str, Any]:
    """What was asked, replayable: `sha256` covers all of it but the plan's id and how a text was tolerated."""
    line = raw_line(raw) if plan is None else plan.to_json()
    asked = {
        "plan": line,
        "seed": seed,
        "horizon_s": task.horizon,
        "state": None if state is None else np.asarray(state).tolist(),
        "options": dict(options),
    }
    identity = {
        **asked,
        "plan": {k: v for k, v in line.items() if k != "id"},
        "task": task.name,
        "scene": task.scene.digest,
        "spec": str(task.spec),
        "rate": task.rate,
        "contracts": {name: spec.to_json() for name, spec in task.contracts.items()},
    }
    return {**asked, "sha256": sha256(_finite(identity))}


def raw_line(raw: object) -> dict[str, Any]:
    """A plans-file line for something that was not admitted: what it said, as text."""
    if isinstance(raw, Mapping) and isinstance(raw.get("text"), str):
        return {"id": None, "text": raw["text"]}
    return {"id": None, "text": raw if isinstance(raw, str) else repr(raw)[:10_000]}


def digest_of(
    request: Mapping[str, Any], engine: EngineInfo, method: str, version: str, status: Status, cause: str | None,
    margins: Mapping[str, Margin],
) -> str:
    """Identity of the answer: not of the id, the cost, the threads, the batch or the order."""
    return sha256(
        _finite(
            {
                "request": request["sha256"],
                "engine": engine.engine,
                "impl": engine.impl,
                "versions": {"engine": engine.version, "worldverify": version},
                "dtype": engine.dtype,
                "method": method,
                "status": status,
                "cause": cause,
                "margins": {name: [m.value, list(m.interval), m.unit] for name, m in margins.items()},
            }
        )
    )


def _finite(value: Any) -> Any:
    """Open bounds as words: canonical JSON has no infinity."""
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
