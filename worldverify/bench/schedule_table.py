"""`bench schedule` as lines for a terminal, at most WIDEST characters wide."""

from collections.abc import Mapping
from textwrap import wrap
from typing import Any

from worldverify.bench.schedule_comparison import ALL
from worldverify.bench.table import WIDEST
from worldverify.bench.table import heading as machine_heading

HEAD = (
    f"{'':<34}{'plans/s':>9}{'ratio':>8}{'least..most':>14}{'of bound':>10}{'CPU ratio':>11}{'substeps':>13}"
    f"{'same':>14}"
)
KEY = (
    "ratio: the rate over that of mujoco.batch to the horizon, the median over blocks of starts and its range; of "
    "bound: that ratio over the step bound, which is the substeps of the exhaustive run over those of the distinct "
    "control prefixes that decide some verdict; CPU ratio: by processor seconds of all threads instead of elapsed "
    "seconds, which other work on the machine disturbs less; same: verdicts that are those of our run with no rule, to "
    "the last bit of all margins and the digest (mujoco.batch, and what rests: in status and violated requirement). "
    "Reading and "
    "compiling plans is timed, too."
)
MEANT = {
    "passing": "pass",
    "malformed": "malformed",
    "equal": "of the admitted equal to one before",
    "shared": "of its controls shared with the nearest sibling",
}


def heading(machine: Mapping[str, Any]) -> list[str]:
    """Where this was measured, and what the columns mean."""
    lines = machine_heading(machine)
    return [*lines[: lines.index("") + 1], *wrap(KEY, WIDEST)]


def mix_lines(result: Mapping[str, Any]) -> list[str]:
    """One mix: what it asked for and what came, the ways, the rules."""
    contacts = result["contacts"]
    title = f"{result['mix']}: {result['plans']:,} plans of {result['task']} from {result['starts']:,} starts"
    lines = ["", f"{title}; {contacts['mean']:.1f} contacts a step (at most {contacts['peak']:.0f})."]
    lines += [*wrap(_rates(result), WIDEST, initial_indent="  ", subsequent_indent="  "), "", HEAD]
    lines += [_row(way, result["plans"]) for way in result["ways"]]
    bound = (
        f"Step bound {result['bound']:.2f}. Reading and compiling takes {result['compile_share']:.0%} of the time of "
        "mujoco.batch: where all of that has to be done, the most that saved steps can give is "
        f"{result['bound_with_compile']:.2f}."
    )
    lines += wrap(f"{bound} {_saved(result)}", WIDEST)
    if result["differences"]:
        lines.append(f"{result['differences']} VERDICTS DIFFER from the exhaustive run.")
    return lines


def latency_line(seconds: Mapping[str, Mapping[str, float]], plans: int) -> str:
    """What few candidates take."""
    said = ", ".join(f"{name} {1e3 * one['p50']:.0f} ms (p99 {1e3 * one['p99']:.0f})" for name, one in seconds.items())
    return f"{plans} candidates of 2 s from one state, llm, p50: {said}."


def projection_line(plans: int, rate: float, measured: int) -> str:
    """How long many plans would take, at the rate of a run."""
    return (
        f"Projected, not measured: {plans:,} plans of llm with a 2 s horizon take {plans / rate / 60:.1f} min at the "
        f"{rate:,.0f} plans/s of this run of {measured:,}."
    )


def _rates(result: Mapping[str, Any]) -> str:
    measured, asked = result["measured"], result["asked"]
    said = [
        f"{measured[name]:.1%} {what}" + ("" if asked is None else f" (asked {asked[name]:.0%})")
        for name, what in MEANT.items()
    ]
    at = measured["failed_at"]
    if at is not None:
        quantiles = "/".join(f"{float(q):.0%}" for q in at)
        said.append(f"failures at {'/'.join(f'{x:.0%}' for x in at.values())} of the horizon ({quantiles} of them)")
    return "; ".join(said) + "."


def _row(way: Mapping[str, Any], plans: int) -> str:
    ratio = way["ratio"]
    return (
        f"{way['name']:<34}{way['plans_per_s']:>9,.1f}{ratio['p50']:>8.2f}"
        f"{ratio['min']:>8.2f}..{ratio['max']:<4.2f}{way['of_bound']:>10.2f}{way['cpu_ratio']:>11.2f}"
        f"{way['steps']:>13,}{way['same']:>{13 - len(str(plans))}}/{plans}"
    )


def _saved(result: Mapping[str, Any]) -> str:
    saved: Mapping[str, int] = next((way["saved_by"] for way in result["ways"] if way["name"] == ALL), {})
    total = sum(saved.values())
    if not total:
        return "No rule saved a step."
    return "Of the steps saved, " + ", ".join(f"{rule} saved {n / total:.0%}" for rule, n in saved.items()) + "."
