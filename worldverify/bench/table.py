"""A benchmark as lines for a terminal, at most WIDEST characters wide."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from worldverify.bench.sweep import label

WIDEST = 120  # characters of a line
HEAD = (
    f"{'':<29}{'plans':>6}{'plans/s':>9}{'least..most':>15}{'steps/s':>11}{'p50 s':>8}{'p99 s':>8}"
    f"{'x mujoco':>9}{'of raw':>7}{'same':>12}{'again':>6}"
)
KEY = (
    "plans: in a call; plans/s: verified, the median and its range; p50 s, p99 s: of a call; x mujoco: the rate over "
    "that of mujoco on all CPUs; of raw: the rate over that of the same engine without sensors, checks and verdicts; "
    "same: verdicts that are those of MuJoCo C; again: judged a second time, by MuJoCo C."
)


def heading(machine: Mapping[str, Any]) -> list[str]:
    """Where this was measured, and what was not."""
    versions = {name: version for name, version in machine["versions"].items() if version}
    lines = [
        f"{machine['cpu']}, {machine['usable_cpus']} CPUs of {machine['cpus']} for this process; "
        + (f"{machine['gpu']}." if machine["gpu"] else "no GPU."),
        ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
    ]
    if machine["gpu"] is None:
        lines.append("Nothing here was measured on a GPU: engines made for one ran on a CPU device, which is slow.")
    if machine["load_1m_before"] > 0.3 * machine["usable_cpus"]:
        lines.append(f"This machine was busy (load {machine['load_1m_before']:g}): rates are lower than they could be.")
    return [*lines, "", *wrap(KEY, WIDEST)]


def task_lines(result: Mapping[str, Any]) -> list[str]:
    """One task: its scene, its rows, its starts, what it comes to, and what was left out."""
    lines = ["", *_scene(result), "", HEAD]
    for crowd, what in (("varied", None), ("alike", "the same, all plans alike:")):
        rows = [row for row in result["rows_measured"] if row["crowd"] == crowd]
        if rows and what:
            lines.append(what)
        lines += [line for row in sorted(rows, key=lambda r: r["batch"]) for line in _row(row)]
    said = [*_starts(result["starts"]), *(_sum(one) for one in result["summary"])]
    said += [*_second_opinions(result), *result["skipped"]]
    return [
        *lines,
        *(line for sentence in said for line in wrap(sentence, WIDEST, subsequent_indent="  ", break_on_hyphens=False)),
    ]


def _scene(result: Mapping[str, Any]) -> list[str]:
    facts = result["facts"]
    load = [
        f"{result[name]['mean']:.1f} {name} a step (95 % of plans below {result[name]['p95']:.1f}, at most "
        f"{result[name]['peak']:.0f})"
        for name in ("contacts", "rows")
    ]
    return [
        f"{result['task']}: {facts['nv']} degrees of freedom, {facts['pairs']} geom pairs, {facts['steps']} steps of "
        f"{1e3 * facts['timestep_s']:g} ms a plan,",
        f"  {facts['integrator']}, {facts['cone']} cones, condim {'/'.join(map(str, facts['condim']))},",
        f"  {', '.join(load)}.",
    ]


def _row(row: Mapping[str, Any]) -> list[str]:
    wall, plans = row["wall_s"], row.get("plans_per_s")
    rate = f"{_rate(plans['p50']):>9}" if plans else f"{'-':>9}"
    range_ = f"{_rate(plans['min'])}..{_rate(plans['max'])}" if plans else "-"
    agreed = row.get("agreement")
    cells = [
        f"{label(row['name'], row['cpus'], row['device']):<29}{row['batch']:>6}{rate}{range_:>15}",
        f"{row['steps_per_s']['p50']:>11,.0f}{wall['p50']:>8.3g}{wall['p99']:>8.3g}",
        _ratio(row.get("of_mujoco"), 9),
        _ratio(row.get("of_raw"), 7),
        f"{agreed['same']}/{agreed['plans']}".rjust(12) + f"{agreed['judged_again']:>6.0%}" if agreed else "",
    ]
    line = "".join(cells).rstrip()
    if agreed and agreed["false_pass"] + agreed["false_fail"]:
        return [line, f"  of these {agreed['false_pass']} FALSE PASS, {agreed['false_fail']} false FAIL"]
    return [line]


def _rate(value: float) -> str:
    """Three figures, and all that stand before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(value: Mapping[str, float] | None, width: int) -> str:
    if value is None:
        return " " * width
    return f"{value['p50']:>{width}.2g}" if value["p50"] < 0.1 else f"{value['p50']:>{width}.2f}"


def _second_opinions(result: Mapping[str, Any]) -> list[str]:
    """Engines whose every verdict was judged again: what was measured is not their speed."""
    rows = [row for row in result["rows_measured"] if row.get("agreement")]
    slowed = dict.fromkeys(row["engine"] for row in rows if row["agreement"]["judged_again"] == 1)
    return [
        f"{engine}: MuJoCo C judged every plan again, most often for want of a guard band, which worldverify parity "
        f"{result['task']} --engine {engine} --count 720 measures."
        for engine in slowed
    ]


def _starts(starts: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for one in starts:
        cold, warm = one["cold_cache_s"], one["warm_cache_s"]
        what = f"{cold['p50']:.1f} s with {'empty caches' if one['caches_empty'] else 'caches of other scenes'}"
        what += f", {warm['p50']:.1f} s with its own" if warm else ""
        room = f"; {one['bytes_per_lane'] / 1024:,.0f} KiB a lane" if one["bytes_per_lane"] else ""
        lines.append(f"A new process to its first verdict, {one['engine']} on the {one['device']}: {what}{room}.")
    return lines


def _sum(one: Mapping[str, Any]) -> str:
    name = label(one["engine"], one["cpus"], one["device"])
    best = f"{name}: {_rate(one['best_plans_per_s'])} verified plans/s at best, with {one['best_batch']} in a call"
    if "plans_per_dollar" in one:
        best += f", {one['plans_per_dollar']:,.0f} a dollar"
    if one["engine"] == "mujoco":
        return best + "."
    cross, pays = one["crossover_plans"], one["break_even_plans_warm_cache"]
    ratio = f"{one['of_best_mujoco']:.3g} x the best of MuJoCo C" if one["of_best_mujoco"] else "not compared"
    if cross is None:
        return f"{best}; {ratio}: it loses at every batch measured."
    start = "" if pays is None else f", and a new process has paid for itself after {pays:,.0f} plans"
    return f"{best}; {ratio}. Warm, it wins from {cross:,.0f} plans on{start}."
