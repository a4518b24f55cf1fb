"""A candidate, admitted against the contract of a task, or a reason why not."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from worldverify.action import RATES, TIMED, ActionSpec
from worldverify.declared import contract_of, overrides_of
from worldverify.describe import describe, shorten
from worldverify.nearest import did_you_mean
from worldverify.planfields import Fields, check_unicode
from worldverify.read import Reading, as_text, read, read_all
from worldverify.refusal import Refusal
from worldverify.suspicions import suspicions
from worldverify.syntax import form_of
from worldverify.syntax.form import Actions as Actions
from worldverify.syntax.form import Form, is_row
from worldverify.waypoint import Waypoint

OWN_KEYS = (
    "actions",
    "waypoints",
    "skills",
)  # of a model's object, by which a plan that names no format is known
LINE_KEYS = (
    "id",
    "format",
    "rate_hz",
    "contract",
    "proposal",
)  # beside the actions or the text
_LINE_OF_MODEL = ("id", "format", "rate_hz")


@dataclass(frozen=True, eq=False)
class Plan:
    """What a model wants the robot to do. Plans are equal if their format, rate, contract and actions are."""

    id: str | None
    format: str  # a format of the task, or the name of `contract`
    rate_hz: float | None  # Hz; None where actions carry their own time, or need none
    actions: Actions  # (T, width), or one Waypoint, call or point each
    warnings: tuple[str, ...] = ()  # what was tolerated, one sentence each
    contract: ActionSpec | None = None  # None: that of the task for `format`

    def __post_init__(self) -> None:
        if not isinstance(self.format, str) or not self.format:
            raise ValueError(f"The format of a plan is {describe(self.format)}; it must be the name of a format.")
        if self.contract is not None and self.contract.name != self.format:
            raise ValueError(f"The plan is of format {self.format!r}, but its contract is {self.contract.name!r}.")
        object.__setattr__(self, "warnings", tuple(self.warnings))
        first = self.actions[0] if len(self.actions) else None
        if isinstance(first, Waypoint | Mapping) or (first is None and not isinstance(self.actions, np.ndarray)):
            object.__setattr__(self, "actions", tuple(map(_freeze, self.actions)))
        else:
            actions = np.array(self.actions, dtype=np.float64, order="C")
            actions.setflags(write=False)
            object.__setattr__(self, "actions", actions)

    def to_json(self) -> dict[str, object]:
        """The line of a plans file that is read back as an equal plan."""
        rows = _rows(self)
        actions = rows.tolist() if isinstance(rows, np.ndarray) else rows
        line: dict[str, object] = {
            "id": self.id,
            "format": self.format,
            "rate_hz": self.rate_hz,
            "actions": actions,
        }
        changed = {} if self.contract is None else overrides_of(self.contract)
        return {**line, "contract": changed} if changed else line

    def __eq__(self, other: object) -> bool:
        return self.content() == other.content() if isinstance(other, Plan) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.content())

    def __reduce__(self) -> tuple[type["Plan"], tuple[object, ...]]:
        # Through the constructor, so that a copy in another process is as frozen as this one.
        actions = self.actions
        if not isinstance(actions, np.ndarray):
            actions = tuple(dict(action) if isinstance(action, Mapping) else action for action in actions)  # type: ignore[assignment]
        return Plan, (
            self.id,
            self.format,
            self.rate_hz,
            actions,
            self.warnings,
            self.contract,
        )

    def content(self) -> tuple[object, ...]:
        """What makes two plans equal: all but their names and warnings."""
        rows = _rows(self)
        if isinstance(rows, np.ndarray):
            return self.format, self.rate_hz, self.contract, rows.shape, rows.tobytes()
        return self.format, self.rate_hz, self.contract, json.dumps(rows)


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
    format: str | ActionSpec | None = None,
) -> Plan:
    """The plan that `raw` is.

    `raw` is the text of a model, a line of a plans file, an object with "actions", "waypoints" or "skills",
    an array (T, width), or a Plan. `contracts` are the formats that the task reads, by name; the first of
    fixed width is what an array and "actions" mean. `default_rate` [Hz] is the rate of actions whose
    contract states none. `id` names a plan that has no name of its own; `task` is how sentences name the
    task. `format`, the name of a preset or a contract, is that of a candidate that names none. Raises Refusal, and
    nothing else.
    """
    admission = _Admission(contracts, default_rate, task)
    if isinstance(raw, Malformed):
        raise Refusal(raw.code, raw.reason)
    if isinstance(raw, Plan):
        return admission.plan(raw, id)
    if format is not None:
        raw = admission.with_format(raw, format)
    if isinstance(raw, str | bytes):
        return admission.text(raw, id)
    if isinstance(raw, Mapping):
        return admission.line(dict(raw), id)
    if hasattr(raw, "__array__"):
        return admission.fixed_width(raw, id)
    raise Refusal(
        "wrong_type",
        f"A plan cannot be {describe(raw)}. It is the text of a model, a dict such as "
        f'{{"actions": [...]}}, a NumPy array or a Plan.',
    )


def plan_id(raw: object) -> str | None:
    """The name that a candidate gives itself, also if it is not a plan. Never raises."""
    if isinstance(raw, Plan | Malformed):
        return raw.id
    name = raw.get("id") if isinstance(raw, Mapping) else None
    try:
        return _name(name)
    except Refusal:
        return None


def by_key(contracts: Mapping[str, ActionSpec]) -> dict[str, ActionSpec]:
    """The formats that a model's text can reach: the first of each key; the others need a plan that names them."""
    first: dict[str, str] = {}
    for name, spec in contracts.items():
        key = form_of(spec).key
        if key is not None:
            first.setdefault(key, name)
    return {name: contracts[name] for name in first.values()}


def _looks_like_a_plan(value: object) -> bool:
    return isinstance(value, dict) and any(key in value for key in OWN_KEYS)


class _Admission:
    """Turns each kind of candidate into a Plan for one task."""

    def __init__(self, contracts: Mapping[str, ActionSpec], default_rate: float, task: str) -> None:
        self.contracts = contracts
        self.default_rate = default_rate
        self.task = task

    def text(self, text: str | bytes, id: str | None) -> Plan:
        reading = read(text, _looks_like_a_plan, wanted=self._reads())
        assert isinstance(reading.value, dict)
        if "contract" in reading.value:
            raise Refusal(
                "unknown_key",
                'The text holds a "contract" of its own. What numbers mean is not the model\'s to say: give "contract" '
                'beside "text" in a line of a plans file.',
            )
        return self._object(reading.value, id, reading.warnings)

    def plan(self, plan: Plan, id: str | None) -> Plan:
        line: dict[str, object] = {
            "id": plan.id,
            "format": plan.format if plan.contract is None else plan.contract,
            "rate_hz": plan.rate_hz,
            "actions": _rows(plan),
        }
        admitted = self.line(line, id)
        return replace(
            admitted,
            warnings=tuple(dict.fromkeys((*plan.warnings, *admitted.warnings))),
        )

    def with_format(self, raw: object, format: str | ActionSpec) -> object:
        """A candidate that names no format, as a line that names one."""
        line: dict[str, object]
        if isinstance(raw, Mapping):
            if "format" in raw:
                return raw
            is_line = ("text" in raw or "actions" in raw) and set(raw) <= {
                "text",
                "actions",
                *LINE_KEYS,
            }
            line = dict(raw) if is_line else {"actions": raw}
        else:
            line = {"text": raw} if isinstance(raw, str | bytes) else {"actions": raw}
        line["format"] = format
        if line.get("rate_hz") is None and (rate := self._contract(line)[0].rate_hz) is not None:
            line["rate_hz"] = rate
        return line

    def line(self, line: dict[str, object], id: str | None) -> Plan:
        line.pop("proposal", None)  # what the proposer noted of itself
        if "text" in line:
            return self._line_of_text(line, id)
        if not _looks_like_a_plan(line) and "format" not in line:
            hint = 'A line of a plans file has "text", or "format", "rate_hz" and "actions".'
            raise Refusal(
                "unknown_format",
                f"The plan is {describe(line)}. {hint} {self._reads()}",
            )
        return self._object(line, id, ())

    def fixed_width(self, actions: object, id: str | None) -> Plan:
        return self._object({"actions": actions}, id, ())

    def _line_of_text(self, line: dict[str, object], id: str | None) -> Plan:
        known = ("id", "text", "format", "rate_hz", "contract") if "format" in line else ("id", "text")
        for key in line:
            if key not in known:
                hint = 'A line with "text" has "id" and "text", and may have "format", "rate_hz" and "contract".'
                raise Refusal(
                    "unknown_key",
                    f"The plan has the key {shorten(key)} beside 'text'. {hint}",
                )
        text = line["text"]
        if not isinstance(text, str | bytes):
            raise Refusal(
                "wrong_type",
                f'"text" is {describe(text)}; it must be what the model wrote.',
            )
        name = _name(line.get("id")) or id
        if "format" not in line:
            return self.text(text, name)
        spec, own = self._contract(line)
        form = form_of(spec)
        fields = Fields(spec, self.task if own else spec.name, "actions")
        rate, ignored = self._rate(line, spec)
        found: tuple[str, ...] = ()
        actions = None if form.text is None else form.text(as_text(text), fields)
        if actions is None:
            reading = _read_form(text, form, spec)
            found = reading.warnings
            actions = form.parse(_unwrapped(reading.value, form), fields)
        elif spec.space == "skill" and spec.position_unit != "m":
            spec = replace(spec, position_unit="m")  # as the text was read: the plan holds metres
        return _made(name, spec, own, rate, actions, (*found, *ignored, *fields.warnings))

    def _object(self, value: Mapping[str, object], id: str | None, warnings: tuple[str, ...]) -> Plan:
        key, spec, own = self._key_and_contract(value)
        known = dict.fromkeys(("id", "format", "rate_hz", "contract", key) if "format" in value else _LINE_OF_MODEL)
        known[key] = None
        for name in value:
            if name not in known:
                hint = f"Keep remarks out of the plan. {did_you_mean(name, known)}"
                raise Refusal(
                    "unknown_key",
                    f"The plan has the unknown key {shorten(name)}. {hint}",
                )
        fields = Fields(spec, self.task if own else spec.name, key)
        rate, ignored = self._rate(value, spec)
        actions = form_of(spec).parse(value[key], fields)
        told = (*warnings, *ignored, *fields.warnings)
        return _made(_name(value.get("id")) or id, spec, own, rate, actions, told)

    def _key_and_contract(self, value: Mapping[str, object]) -> tuple[str, ActionSpec, bool]:
        """The key that holds the actions, what they mean, and whether that is the task's own."""
        keys = [key for key in OWN_KEYS if key in value]
        if len(keys) > 1:
            raise Refusal(
                "ambiguous",
                f"The plan has both {keys[0]!r} and {keys[1]!r}. Write exactly one of them.",
            )
        if "format" in value:
            spec, own = self._contract(value)
            accepted = ("actions", form_of(spec).key)
        else:
            spec, own = self._contract_of_key(keys[0]), True
            accepted = (keys[0], None)
        if not keys or keys[0] not in accepted:
            found = f"has {keys[0]!r}" if keys else "has none"
            raise Refusal(
                "missing_key",
                f"A plan of format {spec.name} holds 'actions'; this one {found}.",
            )
        return keys[0], spec, own

    def _contract(self, line: Mapping[str, object]) -> tuple[ActionSpec, bool]:
        """The contract that a line names, and whether it is the task's own."""
        return contract_of(line["format"], line.get("contract"), self.contracts, self.task)

    def _contract_of_key(self, key: str) -> ActionSpec:
        for spec in self.contracts.values():
            if form_of(spec).key == key:
                return spec
        raise Refusal(
            "unknown_format",
            f"The plan holds {key!r}, which {self.task} does not read. {self._reads()}",
        )

    def _rate(self, line: Mapping[str, object], spec: ActionSpec) -> tuple[float | None, tuple[str, ...]]:
        """Actions per second, and a warning if the given one means nothing."""
        value, named = line.get("rate_hz"), "format" in line
        by_model = "rate_hz" in line and not named
        if spec.syntax not in TIMED:
            if value is None and not by_model:
                return None, ()
            return None, (f'"rate_hz" means nothing for {spec.name} and was ignored.',)
        expected = self.default_rate if spec.rate_hz is None else spec.rate_hz
        free = named and spec.rate_hz is None
        if value is None and named and (free or "text" not in line):
            if free:
                raise Refusal(
                    "missing_key",
                    f'{spec.name} has no rate of its own: give "rate_hz", its actions per second, in the line of a '
                    "plans file or in the contract.",
                )
            raise Refusal(
                "missing_key",
                f'The plan names its format but lacks "rate_hz", its actions per second; {spec.name} takes '
                f"{expected:g}.",
            )
        if value is None and not by_model:
            return expected, ()
        rate = _as_rate(value)
        if free and RATES[0] <= rate <= RATES[1]:
            return rate, ()
        if free or not math.isfinite(rate):
            takes = f"{RATES[0]:g} to {RATES[1]:g}" if free else f"{expected:g}"
            raise Refusal(
                "wrong_rate" if free else "not_finite",
                f'"rate_hz" is {rate:g}; {spec.name} takes {takes}.',
            )
        if not math.isclose(rate, expected, rel_tol=1e-9):
            raise Refusal(
                "wrong_rate",
                f"The plan has {rate:g} actions per second; {self.task if by_model else spec.name} takes {expected:g}. "
                f"Resample the actions, or ask the model for {expected:g}.",
            )
        return expected, ()

    def _reads(self) -> str:
        """A sentence on what would have been read."""
        if not self.contracts:
            own, other = "If it is in a task's own form, name the task (--task)", "if not, name its format"
            return f"{own}; {other}: worldverify formats lists them."
        examples = [form_of(spec).example(spec) for spec in by_key(self.contracts).values()]
        name = "This task" if self.task == "this task" else self.task
        return f"{name} reads {' or '.join(examples)}."


def _made(
    id: str | None,
    spec: ActionSpec,
    own: bool,
    rate: float | None,
    actions: Actions,
    told: tuple[str, ...],
) -> Plan:
    """The plan, with what is strange about it under a contract that is not the task's own."""
    odd = suspicions(spec, actions, rate) if isinstance(actions, np.ndarray) and not own else ()
    return Plan(
        id,
        spec.name,
        rate,
        actions,
        tuple(dict.fromkeys((*told, *odd))),
        None if own else spec,
    )


def _read_form(text: str | bytes, form: Form, spec: ActionSpec) -> Reading:
    """The plan in a text whose format is declared; of plans that follow one another, all as a list."""
    wanted = f"{spec.name} reads {form.example(spec)}."
    if not form.joined:
        return read(text, form.is_plan, wanted=wanted)
    found = read_all(text, form.is_plan, wanted=wanted)
    assert isinstance(found.value, list)
    joined = (f"{len(found.value)} plans that follow one another were joined, in their order.",)
    return found if len(found.value) == 1 else Reading(found.value, found.warnings + joined)


def _unwrapped(value: object, form: Form) -> object:
    """The actions of an object that holds nothing else, or the value itself."""
    keys = [key for key in dict.fromkeys((form.key, "actions")) if isinstance(value, Mapping) and key in value]
    if not keys:
        return [value] if form.key == "actions" and is_row(value) else value  # one action, as a policy writes it
    assert isinstance(value, Mapping)
    for name in value:
        if name != keys[0]:
            hint = "Keep remarks out."
            if "format" in value:
                hint = "It is a line of a plans file and names its format: leave out the other one, or name it .jsonl."
            raise Refusal(
                "unknown_key",
                f"The plan has the key {shorten(name)} beside {keys[0]!r}. {hint}",
            )
    return value[keys[0]]


def _as_rate(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise Refusal(
            "wrong_type",
            f'"rate_hz" is {describe(value)}; it must be a number of actions per second.',
        )
    try:
        return float(value)
    except OverflowError:
        return math.inf


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
