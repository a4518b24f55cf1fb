"""Python values as a formatter would lay them out, so that a file that is written need not be formatted."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

WIDTH = 88  # characters of a line: what formatters keep to when nobody says otherwise


class Name(NamedTuple):
    """A name, or any other text that stands as it is."""

    text: str


class Call(NamedTuple):
    """A call with positional and named arguments."""

    name: str
    arguments: tuple[Any, ...] = ()
    named: Mapping[str, Any] = {}


def laid_out(value: Any, *, indent: int = 0, before: int = 0, after: int = 0, always: bool = False) -> str:
    """A value on one line, or, if it does not fit, with one part on each line.

    `indent` is that of the line, `before` and `after` how many characters stand there beside the value, and `always`
    asks for several lines even if one would do.
    """
    flat = _flat(value)
    if (not always and before + len(flat) + after <= WIDTH) or not (parts := _parts(value)):
        return flat
    first, last = _brackets(value)
    deeper = indent + 4
    lines = [
        f"{' ' * deeper}{label}{laid_out(part, indent=deeper, before=deeper + len(label), after=1)},"
        for label, part in parts
    ]
    return "\n".join([first, *lines, " " * indent + last])


def _flat(value: Any) -> str:
    match value:
        case Name():
            return value.text
        case str():
            return repr(value) if '"' in value and "'" not in value else json.dumps(value, ensure_ascii=False)
        case float():
            text = f"{value:.10g}"
            return text if "." in text or "e" in text else f"{text}.0"
        case tuple() | Mapping():
            first, last = _brackets(value)
            inside = ", ".join(label + _flat(part) for label, part in _parts(value))
            one = type(value) is tuple and len(value) == 1
            return f"{first}{inside}{',' if one else ''}{last}"
    return repr(value)


def _parts(value: Any) -> list[tuple[str, Any]]:
    """(what stands before it, part) of something that has parts."""
    match value:
        case Call():
            return [*(("", x) for x in value.arguments), *((f"{name}=", x) for name, x in value.named.items())]
        case Name():
            return []
        case tuple():
            return [("", x) for x in value]
        case Mapping():
            return [(f"{_flat(key)}: ", x) for key, x in value.items()]
    return []


def _brackets(value: Any) -> tuple[str, str]:
    if isinstance(value, Call):
        return f"{value.name}(", ")"
    return ("{", "}") if isinstance(value, Mapping) else ("(", ")")
