"""The contract that a plan names: one of the task's own formats, a preset, or a contract written out."""

from collections.abc import Mapping
from dataclasses import fields, replace

from worldverify.action import SHARED, ActionSpec
from worldverify.action_check import field_from_json
from worldverify.describe import describe, shorten
from worldverify.nearest import did_you_mean
from worldverify.presets import AMBIGUOUS, PRESETS, parameters, preset
from worldverify.refusal import Refusal
from worldverify.statistics import APPLIED, with_statistics

FIELDS = tuple(field.name for field in fields(ActionSpec))
OWN = (  # formats that each task has a contract of its own for
    "ctrl",
    "joint_position",
    "ee_waypoints",
    "skills",
    "base_waypoints",
    "base_velocity",
    "image_points",
)
STATISTICS = "statistics"  # beside the fields of a contract: what its normalisation still needs


def contract_of(
    format: object, changes: object, contracts: Mapping[str, ActionSpec], task: str
) -> tuple[ActionSpec, bool]:
    """The contract that a line means by its "format" and "contract", and whether it is one of the task's own.

    `changes` are fields of the contract by name, or all of them if `format` names no preset; "statistics" are those
    that its normalisation still needs. Raises Refusal.
    """
    if isinstance(format, ActionSpec):
        return _complete(format, task), contracts.get(format.name) == format
    if not isinstance(format, str):
        raise Refusal("wrong_type", f'"format" is {describe(format)}; it must be the name of a format.')
    if changes is not None and not isinstance(changes, Mapping):
        raise Refusal("wrong_type", f'"contract" is {describe(changes)}; it must be an object of contract fields.')
    base = contracts.get(format)
    if not changes and base is not None:
        return _complete(base, task), True
    try:
        if base is None and format not in PRESETS and changes and "layout" in changes:
            written = ActionSpec.from_json({key: value for key, value in changes.items() if key != STATISTICS})
            if written.name != format:
                raise ValueError(f"The contract is named {written.name!r}, but the plan's format is {format!r}.")
            if STATISTICS in changes:
                written = with_statistics(written, changes[STATISTICS])
            return _complete(written, task), False
        own = () if base is not None or format not in PRESETS else [p for p in parameters(format) if p not in FIELDS]
        chosen = {key: value for key, value in (changes or {}).items() if key in own}
        base = _named(format, contracts, task, chosen) if base is None else base
        changes = {key: value for key, value in (changes or {}).items() if key not in own}
        if changes:
            base = _changed(base, changes)
    except Refusal:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise Refusal("bad_contract", " ".join(str(error).split())) from None
    return _complete(base, task), False


def overrides_of(spec: ActionSpec) -> dict[str, object]:
    """The fields in which a contract differs from the preset of its name, as JSON; all of them if there is none."""
    written = spec.to_json()
    if spec.name not in PRESETS:
        return written
    base = preset(spec.name).to_json()
    return {key: value for key, value in written.items() if value != base[key]}


def _named(format: str, contracts: Mapping[str, ActionSpec], task: str, chosen: Mapping[str, object]) -> ActionSpec:
    if format in AMBIGUOUS:
        names = " or ".join(AMBIGUOUS[format])
        raise Refusal("unknown_format", f"The format {format!r} could mean {names}. Name the one that is meant.")
    if format not in PRESETS:
        hint = did_you_mean(format, [*contracts, *PRESETS])
        if not contracts and format in OWN:
            hint = "It depends on the robot: name the task (--task TASK)."
        raise Refusal("unknown_format", f"The format {shorten(format)} is not read by {task}. {hint}")
    try:
        return preset(format, **chosen)
    except (ValueError, TypeError, AttributeError, ArithmeticError):
        said = ", ".join(f"{key} {shorten(value)}" for key, value in chosen.items())
        raise Refusal(
            "bad_contract", f"{format} cannot be made with {said}. See worldverify formats {format}."
        ) from None


def _changed(base: ActionSpec, changes: Mapping[object, object]) -> ActionSpec:
    values = {field.name: getattr(base, field.name) for field in fields(ActionSpec)}
    for key, value in changes.items():
        if key == STATISTICS:
            continue
        if key not in FIELDS:
            raise Refusal(
                "bad_contract",
                f"Unknown field {shorten(key)} of a contract. {did_you_mean(key, [*FIELDS, STATISTICS])}",
            )
        values[str(key)] = field_from_json(str(key), value)
    if values["name"] != base.name:
        raise Refusal("bad_contract", f"A changed contract keeps its name, {base.name!r}.")
    if base.arms and "arms" not in changes:
        shared = {key: values[key] for key in SHARED if key in changes}
        values["arms"] = tuple((arm, replace(part, **shared)) for arm, part in base.arms)
    changed = ActionSpec(**values)
    return with_statistics(changed, changes[STATISTICS]) if STATISTICS in changes else changed


def _complete(spec: ActionSpec, task: str) -> ActionSpec:
    if spec.needs_statistics:
        kind = spec.normalisation.kind
        raise Refusal(
            "missing_statistics",
            f"{spec.name} is normalised ({kind}), and no preset guesses its statistics. Give those of the checkpoint's "
            f'data set, or {APPLIED!r} if the numbers are un-normalised already: "contract": {{"{STATISTICS}": ...}} '
            "in a line of a plans file, --stats on the command line, worldverify.statistics.with_statistics in Python.",
        )
    return spec
