"""Units of the spec language: words and quotients of words, turned into SI factors and dimensions."""

import math
import re
from dataclasses import dataclass
from typing import NoReturn

from worldverify.refusal import Refusal

Dims = tuple[int, int, int, int]  # exponents of (m, rad, s, N)

NO_DIMS: Dims = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as written, such as `deg/s`, and what one of it is in SI."""

    text: str  # as written, without spaces; "" for no unit
    factor: float  # SI value of one unit
    dims: Dims  # exponents of (m, rad, s, N)


DIMENSIONLESS = Unit("", 1.0, NO_DIMS)

# word -> what it stands for. The SI word of a dimension comes before its multiples.
WORDS: dict[str, Unit] = {
    "m": Unit("m", 1.0, (1, 0, 0, 0)),
    "mm": Unit("mm", 0.001, (1, 0, 0, 0)),
    "cm": Unit("cm", 0.01, (1, 0, 0, 0)),
    "rad": Unit("rad", 1.0, (0, 1, 0, 0)),
    "deg": Unit("deg", math.pi / 180, (0, 1, 0, 0)),
    "s": Unit("s", 1.0, (0, 0, 1, 0)),
    "N": Unit("N", 1.0, (0, 0, 0, 1)),
    "Nm": Unit("Nm", 1.0, (1, 0, 0, 1)),
}

# dimensions -> the margin (SI) that counts as one when requirements of different units are compared
SCALES: dict[Dims, float] = {
    (1, 0, 0, 0): 0.01,  # m
    (0, 1, 0, 0): 0.05,  # rad
    (1, 0, -1, 0): 0.05,  # m/s
    (0, 1, -1, 0): 0.1,  # rad/s
    (0, 0, 0, 1): 1.0,  # N
    (1, 0, 0, 1): 0.5,  # Nm
    (0, 0, 1, 0): 0.1,  # s
    (1, 0, -2, 0): 0.5,  # m/s/s
}

# More words than this are a mistake; the limit also keeps factors far from overflow.
MAX_WORDS = 40

_QUANTITY = re.compile(r"\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*(.*?)\s*", re.DOTALL)


def refuse(reason: str) -> NoReturn:
    """What every part of the spec language raises."""
    raise Refusal("bad_spec", reason, cause="spec")


def default_scale(dims: Dims) -> float:
    """The margin in SI that counts as one for a unit; 1 for units that are not in SCALES."""
    return SCALES.get(dims, 1.0)


def times(a: Dims, b: Dims) -> Dims:
    """The dimensions of a product."""
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3])


def over(a: Dims, b: Dims) -> Dims:
    """The dimensions of a quotient."""
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3])


def parse_unit(text: str) -> Unit:
    """`m`, `deg/s`, `m/s/s`, `N*s`, `1/s`: words joined by `/` and `*`, read from left to right."""
    parts = [part.strip() for part in re.split(r"([*/])", text)]
    if parts == [""]:
        return DIMENSIONLESS
    if len(parts) > 2 * MAX_WORDS:
        refuse(f"A unit has at most {MAX_WORDS} words.")
    starts_with_one = parts[0] == "1" and len(parts) > 1 and parts[1] == "/"
    unit = DIMENSIONLESS if starts_with_one else unit_word(parts[0])
    factor, dims = unit.factor, unit.dims
    for sign, part in zip(parts[1::2], parts[2::2], strict=True):
        word = unit_word(part)
        factor = factor * word.factor if sign == "*" else factor / word.factor
        dims = times(dims, word.dims) if sign == "*" else over(dims, word.dims)
    return Unit("".join(parts), factor, dims)


def unit_word(word: str) -> Unit:
    """One base word, or a refusal that lists them."""
    if word in WORDS:
        return WORDS[word]
    listed = ", ".join(WORDS)
    refuse(f"Unknown unit {word!r}. Units: {listed}, and quotients such as m/s or deg/s.")


def si_unit(dims: Dims) -> Unit:
    """The SI unit of these dimensions, in words that `parse_unit` reads back."""
    if dims == NO_DIMS:
        return DIMENSIONLESS
    if sum(map(abs, dims)) > MAX_WORDS:
        refuse(f"A unit has at most {MAX_WORDS} words.")
    bases = ("m", "rad", "s", "N")
    above = [word for word, power in zip(bases, dims, strict=True) for _ in range(power)]
    below = [word for word, power in zip(bases, dims, strict=True) for _ in range(-power)]
    if dims == WORDS["Nm"].dims:
        above = ["Nm"]
    return Unit("/".join(["*".join(above) or "1", *below]), 1.0, dims)


def dims_text(dims: Dims) -> str:
    """How a person reads these dimensions: `m/s`, or `no unit`."""
    return si_unit(dims).text or "no unit"


def parse_quantity(text: str) -> tuple[float, Unit | None]:
    """`40 N` -> (40.0, newton); without a unit the second is None."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        refuse(f"{text!r} is not a number with a unit, such as '40 N'.")
    return float(found[1]), parse_unit(found[2]) if found[2] else None
