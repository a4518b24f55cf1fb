"""A candidate, admitted against the contract of a task, or a reason why not."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from worldverify.action import FORMATS, ActionSpec, did_you_mean
from worldverify.describe import describe, shorten
from worldverify.planfields import Fields, check_unicode
from worldverify.read import read
from worldverify.refusal import Refusal
from worldverify.waypoint import Waypoint

PlanFormat = Literal["ctrl", "joint_position", "ee_waypoints", "skills"]
Actions: TypeAlias = NDArray[np.float64] | tuple[Waypoint, ...] | tuple[Mapping[str, object], ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """What a model wants the robot to do. Plans are equal if their format, rate and actions are."""

    id: str | None
    format: PlanFormat
    rate_hz: float | None  # Hz; None where actions carry their own time, or need none
    actions: Actions  # (T, width), or one Waypoint or one call of a skill each
    warnings: tuple[str, ...] = ()  # what was tolerated, one sentence each

    def __post_init__(self) -> None:
        if self.format not in get_args(PlanFormat):
            raise ValueError(f"Unknown format {self.format!r} of a plan. {did_you_mean(self.format, FORMATS)}")
        object.__setattr__(self, "warnings", tuple(self.warnings))
        if self.format in ("ctrl", "joint_position"):
            actions = np.array(self.actions, dtype=np.float64, order="C")
            actions.setflags(write=False)
            object.__setattr__(self, "actions", actions)
        else:
            object.__setattr__(self, "actions", tuple(map(_freeze, self.actions)))

    def to_json(self) -> dict[str, object]:
        """The line of a plans file that is read back as an equal plan."""
        rows = _rows(self)
        actions = rows.tolist() if isinstance(rows, np.ndarray) else rows
        return {"id": self.id, "format": self.format, "rate_hz": self.rate_hz, "actions": actions}

    def __eq__(self, other: object) -> bool:
        return self._content() == other._content() if isinstance(other, Plan) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._content())

    def __reduce__(self) -> tuple[type["Plan"], tuple[object, ...]]:
        # Through the constructor, so that a copy in another process is as frozen as this one.
        actions = self.actions
        if not isinstance(actions, np.ndarray):
            actions = tuple(dict(action) if isinstance(action, Mapping) else action for action in actions)  # type: ignore[assignment]
        return Plan, (self.id, self.format, self.rate_hz, actions, self.warnings)

    def _content(self) -> tuple[object, ...]:
        rows = _rows(self)
        if isinstance(rows, np.ndarray):
            return self.format, self.rate_hz, rows.shape, rows.tobytes()
        return self.format, self.rate_hz, json.dumps(rows)


@dataclass(frozen=True)
class Malformed:
    """Stands in a list of candidates for one that could not even be read."""

    id: str | None
    code: str
    reason: str


def admit(
    raw: object,
    *,
    contracts: Mapping[str, ActionSpec],
    default_rate: float,
    id: str | None = None,
    task: str = "this task",
) -> Plan:
    """The plan that `raw` is.

    `raw` is the text of a model, a line of a plans file, an object with "actions", "waypoints" or "skills",
    an array (T, width), or a Plan. `contracts` are the formats that the task reads, by name; the first of
    fixed width is what an array and "actions" mean. `default_rate` [Hz] is the rate of actions whose
    contract states none. `id` names a plan that has no name of its own; `task` is how sentences name the
    task. Raises Refusal, and nothing else.
    """
    admission = _Admission(contracts, default_rate, task)
    if isinstance(raw, Malformed):
        raise Refusal(raw.code, raw.reason)
    if isinstance(raw, str | bytes):
        plan = admission.text(raw, id)
    elif isinstance(raw, Plan):
        plan = admission.plan(raw, id)
    elif isinstance(raw, Mapping):
        plan = admission.line(dict(raw), id)
    elif hasattr(raw, "__array__"):
        plan = admission.fixed_width(raw, id)
    else:
        raise Refusal(
            "wrong_type",
            f"A plan cannot be {describe(raw)}. It is the text of a model, a dict such as "
            f'{{"actions": [...]}}, a NumPy array or a Plan.',
        )
    return plan


def plan_id(raw: object) -> str | None:
    """The name that a candidate gives itself, also if it is not a plan. Never raises."""
    if isinstance(raw, Plan | Malformed):
        return raw.id
    name = raw.get("id") if isinstance(raw, Mapping) else None
    try:
        return _name(name)
    except Refusal:
        return None


_KEYS = {form.key: None for form in FORMATS.values()}  # of a model's object


def by_key(contracts: Mapping[str, ActionSpec]) -> dict[str, ActionSpec]:
    """The formats that a model's text can reach: the first of each key; the others need a plan that names them."""
    first: dict[str, str] = {}
    for name in contracts:
        first.setdefault(FORMATS[name].key, name)
    return {name: contracts[name] for name in first.values()}


def _looks_like_a_plan(value: object) -> bool:
    return isinstance(value, dict) and any(key in value for key in _KEYS)


class _Admission:
    """Turns each kind of candidate into a Plan for one task."""

    def __init__(self, contracts: Mapping[str, ActionSpec], default_rate: float, task: str) -> None:
        self.contracts = contracts
        self.default_rate = default_rate
        self.task = task

    def text(self, text: str | bytes, id: str | None) -> Plan:
        reading = read(text, _looks_like_a_plan, wanted=self._reads())
        assert isinstance(reading.value, dict)
        return self._object(reading.value, id, reading.warnings)

    def plan(self, plan: Plan, id: str | None) -> Plan:
        admitted = self.line({**plan.to_json(), "actions": _rows(plan)}, id)
        return replace(admitted, warnings=tuple(dict.fromkeys((*plan.warnings, *admitted.warnings))))

    def line(self, line: dict[str, object], id: str | None) -> Plan:
        if "text" in line:
            for key in line:
                if key not in ("id", "text"):
                    hint = 'A line with "text" has "id" and "text" only.'
                    raise Refusal("unknown_key", f"The plan has the key {shorten(key)} beside 'text'. {hint}")
            if not isinstance(line["text"], str):
                raise Refusal("wrong_type", f'"text" is {describe(line["text"])}; it must be what the model wrote.')
            return self.text(line["text"], _name(line.get("id")) or id)
        if not _looks_like_a_plan(line) and "format" not in line:
            hint = 'A line of a plans file has "text", or "format", "rate_hz" and "actions".'
            raise Refusal("unknown_format", f"The plan is {describe(line)}. {hint} {self._reads()}")
        if "format" in line and line.get("rate_hz") is None and self._contract(line["format"]).rate_hz is not None:
            raise Refusal("missing_key", 'The plan names its format but lacks "rate_hz", its actions per second.')
        return self._object(line, id, ())

    def fixed_width(self, actions: object, id: str | None) -> Plan:
        return self._object({"actions": actions}, id, ())

    def _object(self, value: Mapping[str, object], id: str | None, warnings: tuple[str, ...]) -> Plan:
        key, spec = self._key_and_contract(value)
        known = {"id": None, "format": None, "rate_hz": None, key: None}
        for name in value:
            if name not in known:
                hint = f"Keep remarks out of the plan. {did_you_mean(name, known)}"
                raise Refusal("unknown_key", f"The plan has the unknown key {shorten(name)}. {hint}")
        fields = Fields(spec, self.task, key)
        rate, ignored = self._rate(value.get("rate_hz"), spec, "rate_hz" in value and "format" not in value)
        actions: Actions
        if spec.space == "eef":
            actions = fields.waypoints(value[key])
        elif spec.space == "skill":
            actions = fields.skills(value[key])
        else:
            actions = fields.array(value[key])
        every = dict.fromkeys((*warnings, *ignored, *fields.warnings))
        return Plan(_name(value.get("id")) or id, _as_format(spec.name), rate, actions, tuple(every))

    def _key_and_contract(self, value: Mapping[str, object]) -> tuple[str, ActionSpec]:
        """The key that holds the actions, and what they mean."""
        keys = [key for key in _KEYS if key in value]
        if len(keys) > 1:
            raise Refusal("ambiguous", f"The plan has both {keys[0]!r} and {keys[1]!r}. Write exactly one of them.")
        if "format" in value:
            spec = self._contract(value["format"])
            accepted = dict.fromkeys(("actions", FORMATS[spec.name].key))
        else:
            spec = self._contract_of_key(keys[0])
            accepted = {keys[0]: None}
        if not keys or keys[0] not in accepted:
            found = f"has {keys[0]!r}" if keys else "has none"
            raise Refusal("missing_key", f"A plan of format {spec.name} holds 'actions'; this one {found}.")
        return keys[0], spec

    def _contract(self, name: object) -> ActionSpec:
        if not isinstance(name, str):
            raise Refusal("wrong_type", f'"format" is {describe(name)}; it must be the name of a format.')
        if name not in self.contracts:
            hint = did_you_mean(name, list(self.contracts))
            raise Refusal("unknown_format", f"The format {shorten(name)} is not read by {self.task}. {hint}")
        return self.contracts[name]

    def _contract_of_key(self, key: str) -> ActionSpec:
        for name, spec in self.contracts.items():
            if FORMATS[name].key == key:
                return spec
        raise Refusal("unknown_format", f"The plan holds {key!r}, which {self.task} does not read. {self._reads()}")

    def _rate(self, value: object, spec: ActionSpec, from_model: bool) -> tuple[float | None, tuple[str, ...]]:
        """Actions per second, and a warning if the given one means nothing."""
        if spec.space in ("eef", "skill"):
            if value is None and not from_model:
                return None, ()
            return None, (f'"rate_hz" means nothing for {spec.name} and was ignored.',)
        expected = self.default_rate if spec.rate_hz is None else spec.rate_hz
        if value is None and not from_model:
            return expected, ()
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise Refusal("wrong_type", f'"rate_hz" is {describe(value)}; it must be a number of actions per second.')
        try:
            rate = float(value)
        except OverflowError:
            rate = math.inf
        if not math.isfinite(rate):
            raise Refusal("not_finite", f'"rate_hz" is {rate}; {self.task} takes {expected:g} actions per second.')
        if not math.isclose(rate, expected, rel_tol=1e-9):
            advice = f"Resample the actions, or ask the model for {expected:g}."
            raise Refusal(
                "wrong_rate",
                f"The plan has {rate:g} actions per second; {self.task} takes {expected:g}. {advice}",
            )
        return expected, ()

    def _reads(self) -> str:
        """A sentence on what would have been read."""
        examples = [_example(name, spec) for name, spec in by_key(self.contracts).items()]
        return f"{self.task[:1].upper()}{self.task[1:]} reads {' or '.join(examples)}."


def _example(name: str, spec: ActionSpec) -> str:
    if spec.space in ("ctrl", "joint"):
        columns = spec.columns
        row = ", ".join(columns) if len(columns) <= 3 else f"{columns[0]}, ..., {columns[-1]}"
        return f'{{"actions": [[{row}], ...]}}'
    return FORMATS[name].example


def _as_format(name: str) -> PlanFormat:
    for known in get_args(PlanFormat):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise ValueError(f"A contract has the unknown format {name!r}. {did_you_mean(name, FORMATS)}")


def _name(id: object) -> str | None:
    if id is None:
        return None
    if isinstance(id, int) and not isinstance(id, bool) and abs(id) < 10**18:
        return str(id)
    if not isinstance(id, str):
        raise Refusal("wrong_type", f'"id" is {describe(id)}; it must be a string.')
    check_unicode(id, '"id"')
    return id


def _freeze(action: object) -> object:
    if not isinstance(action, Mapping | Waypoint):
        raise TypeError(f"An action of a plan is a Waypoint or a mapping such as a skill, not {describe(action)}.")
    return MappingProxyType(dict(action)) if isinstance(action, Mapping) else action


def _rows(plan: Plan) -> NDArray[np.float64] | list[dict[str, object]]:
    """The actions as JSON holds them, but for an array, which stays one."""
    return plan.actions if isinstance(plan.actions, np.ndarray) else [_thaw(action) for action in plan.actions]


def _thaw(action: Waypoint | Mapping[str, object]) -> dict[str, object]:
    items = vars(action).items() if isinstance(action, Waypoint) else action.items()
    return {key: list(value) if isinstance(value, tuple) else value for key, value in items if value is not None}
