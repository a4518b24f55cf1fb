"""How far formulas would be met if the world stood still from now on.

Works on NumPy and traced JAX arrays alike.
"""

from typing import Any

from worldverify.kernels.robustness import Formula, everywhere, interval

Array = Any


def standing(formulas: tuple[Formula, ...], margins: Array, last: Array) -> Array:
    """(B, C) robustness of margins (A, B, N+1) known up to sample last (B,), if that sample repeated itself for ever.

    It does so beyond the horizon too, for windows below the outermost operator that reach there.
    """
    xp = margins.__array_namespace__()
    end = margins.shape[-1] - 1
    parts: list[Formula] = []
    outermost = tuple(_outermost(formula, end, parts) for formula in formulas)
    ahead = max(_ahead(part) for part in parts)

    latest = xp.take_along_axis(margins, last[None, :, None], axis=2)
    beyond = xp.broadcast_to(latest, (*margins.shape[:2], ahead))
    known = xp.arange(end + 1 + ahead) <= last[:, None]
    held = xp.where(known, xp.concat([margins, beyond], axis=2), latest)
    values = xp.stack([everywhere(part, held, -float("inf"))[:, : end + 1] for part in parts])
    return interval(outermost, values, xp.full_like(last, end))[0]


def _outermost(formula: Formula, end: int, parts: list[Formula]) -> Formula:
    """The formula, with atoms for what stands below its outermost temporal operators; that goes into `parts`."""
    match formula:
        case ("and" | "or" as name, *both):
            return (name, *[_outermost(part, end, parts) for part in both])
        case ("at_end", part):
            return ("at_end", _atom(part, parts))
        case ("always" | "eventually" | "until" | "release" as name, a, b, *below):
            window = min(a, end), None if b is None else min(b, end)
            return (name, *window, *[_atom(part, parts) for part in below])
    return _atom(formula, parts)


def _atom(part: Formula, parts: list[Formula]) -> Formula:
    parts.append(part)
    return ("atom", len(parts) - 1)


def _ahead(formula: Formula) -> int:
    """Samples that a formula looks ahead at most; windows without an end, which stop at the horizon, not counted."""
    if formula[0] == "atom":
        return 0
    window = formula[2] if formula[0] in ("always", "eventually", "until", "release") else None
    return (window or 0) + sum(_ahead(part) for part in formula[1:] if isinstance(part, tuple))
