"""The page "What does verification cost?", written from a report: not one of its figures is typed by hand."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from worldverify.billing.table import (
    Grid,
    accounting_sentence,
    candidate_sentence,
    figure,
    part_of,
    price_grid,
    seconds,
)

WIDEST = 120  # characters of a line of prose
# s a step of three humanoids on an RTX PRO 6000, as mujoco_warp's pull request 1422 (2026) measured it.
OTHERS_STEP_S = 0.63e-3

Report = Mapping[str, Any]
Row = Mapping[str, Any]

TRY = """```console
$ worldverify cost --only accounting --candidates 8
```"""


def page(
    report: Report, bench: Report | None = None, *, ladder_picture: str | None = None, ratio_picture: str | None = None
) -> str:
    """Markdown. `bench`: a report of `worldverify bench`, for where a GPU loses. Pictures: as the page names them."""
    parts = [
        "# What does verification cost?",
        _prose(
            f"Measured by `{report['command']}` on {_where(report)}; every figure of this page comes from the file "
            "that it wrote. Run it on your own machine: without options it takes minutes, with `--plans FILE` it "
            "checks your plans, with `--json FILE` it keeps all numbers, and `--only` leaves parts out:"
        ),
        TRY,
        _prose(f"{candidate_sentence(report)} `~` marks an estimate: {_why(report)}."),
    ]
    if "ladder" in report:
        parts += _ladder(report, ladder_picture)
    if "overlay" in report:
        parts += _overlay(report)
    if "seeds" in report:
        parts += _seeds(report)
    if "ratio" in report:
        parts += _ratio(report, ratio_picture)
    parts += _where_to_run(report, bench)
    if "accounting" in report:
        parts += _accounting(report)
    parts += _prices(report)
    return "\n\n".join(parts) + "\n"


def _ladder(report: Report, picture: str | None) -> list[str]:
    rows = report["ladder"]
    first, by_name = rows[0], {row["name"]: row for row in rows}
    dearest = max(rows, key=lambda row: row["cpu_s"])
    said = (
        f"From {first['name']} to {dearest['name']} one check becomes {figure(dearest['times_the_first'])} times as "
        f"dear, from {seconds(first['cpu_s'])} of processor time to {seconds(dearest['cpu_s'])}."
    )
    reference = next((row for row in rows if row["reference"]), None)
    if reference is not None:
        said += (
            f" What it buys: {first['name']} lets {_share(first, 'accept')} of the candidates through that are wrong"
        )
        said += "".join(
            f", {name} {_share(by_name[name], 'accept')}"
            for name in ("kinematics", "one physics run")
            if name in by_name
        )
        said += f", measured against {reference['name']}."
    (costs, answers), notes = part_of("ladder", report)
    listed = [f"- **{row['name']}**: {row['what']}" for row in rows]
    return [
        "## The ladder",
        _prose(
            "The answers of mathematics were checked with a regular expression, code with a unit test in a process "
            "of its own, and what a robot is to do with physics. Here the same candidates are put to all of them:"
        ),
        "\n".join(listed),
        *([f"![what one check costs, and what it lets through]({picture})"] if picture else []),
        _prose(said),
        _markdown(costs),
        _markdown(answers),
        *map(_prose, notes),
    ]


def _overlay(report: Report) -> list[str]:
    rows = report["overlay"]
    said = ", ".join(f"{row['name']} {row['of_bare']:.3g}" for row in rows[1:])
    return [
        "## What each layer of software adds",
        _prose(f"Plans a second, as a multiple of what the {rows[0]['name']} does with the same plans: {said}."),
        *_part("overlay", report),
    ]


def _seeds(report: Report) -> list[str]:
    rows = report["seeds"]
    cold, last = rows[0], rows[-1]
    said = (
        "One user started a million verifier workloads in six hours. As separate jobs, each a new process, that takes "
        f"{figure(cold['cores_for_six_hours'])} cores of this kind for six hours; {last['name']}, in one process that "
        f"stays, {figure(last['cores_for_six_hours'])}: {figure(cold['core_hours'] / last['core_hours'])} times less "
        "processor time for the same verdicts."
    )
    return ["## A million plans", _prose(said), *_part("seeds", report)]


def _ratio(report: Report, picture: str | None) -> list[str]:
    rows = report["ratio"]
    generators = {row["generator"]["name"]: row["generator"] for row in rows}
    grid = [["generator", "plans/s", "tokens/s", "tokens a plan", "GPUs", "what", "source", "date"]]
    for name, one in generators.items():
        mark = "~" if one["estimated"] else ""
        grid.append(
            [
                name,
                mark + figure(one["plans_per_s"]),
                mark + figure(one["tokens_per_s"]),
                mark + figure(one["tokens_per_plan"]),
                f"{one['gpus']} x {one['gpu']}",
                one["what"],
                one["source"],
                one["date"],
            ]
        )
    return [
        "## How much verifier a generator needs",
        _prose(
            "A hundred megawatts of GPUs used to get by with less than one megawatt of CPUs. What they need now "
            "depends on how many plans a second the generator writes, and on which rung they are checked:"
        ),
        *([f"![power of the verifier against that of the generator]({picture})"] if picture else []),
        *_part("ratio", report),
        "The generators; `--generators FILE` adds yours, and `--generator-url URL` measures one:",
        _markdown(grid, words=(0, 4, 5, 6, 7)),
    ]


def _where_to_run(report: Report, bench: Report | None) -> list[str]:
    said = (
        "`worldverify cost --plans-per-s X`, or `--generator NAME`, says how many cores, or which GPU, at how many "
        "plans in a call, at what price and power. It chooses among machines that were measured: this one, and those "
        "that `--record FILE` measured elsewhere and `--fleet FILE` names here. A machine that nobody measured is "
        'listed as such; what lies beyond a measurement is said to be extrapolated. `verify(..., on="auto")` chooses '
        "call by call, by what it has measured on the machine (`docs/cpu-or-gpu.md`)."
    )
    parts = ["## Where it should run", _prose(said)]
    if "advice" in report:
        parts += _advice(report)
    if bench is None:
        return parts
    return [*parts, "### Where the GPU loses", *map(_prose, _losses(bench))]


def _advice(report: Report) -> list[str]:
    advice, currency = report["advice"], report["prices"]["currency"]
    grid = [["machine", "how many", "cores", "plans a call", f"~{currency} an hour", "~W", "measured", "note"]]
    for one in advice["choices"]:
        machine = one["machine"]
        grid.append(
            [
                machine["name"],
                f"{one['count']:,}",
                f"{one['count'] * machine['cores']:,}" if machine["device"] == "cpu" else "-",
                f"{one['batch']:,}",
                figure(one["money_per_hour"]),
                figure(one["watts"]),
                f"{machine['source']}, {machine['date']}, {machine['task']}",
                "; ".join(one["warnings"]),
            ]
        )
    parts = [_prose(f"For {figure(advice['plans_per_s'])} plans a second:"), _markdown(grid, words=(0, 6, 7))]
    if advice["not_measured"]:
        parts.append(_prose(f"Not measured, and so not advised: {', '.join(advice['not_measured'])}."))
    return parts


def _losses(bench: Report) -> list[str]:
    """What a recorded run says of engines that are made for a GPU, and what follows for one."""
    said, reckoned = [], []
    for task in bench["tasks"]:
        own = next((one for one in task["summary"] if one["engine"] == "mujoco"), None)
        lost = [one for one in task["summary"] if one["engine"] != "mujoco" and one["crossover_plans"] is None]
        if own is None or not lost:
            continue
        said += [
            f"`{task['task']}`, {one['engine']} on its {one['device'].upper()} device: "
            f"{figure(one['best_plans_per_s'])} plans a second at best, against {figure(own['best_plans_per_s'])} of "
            f"MuJoCo C on {own['cpus']} CPUs. It loses at every number of plans in a call that was measured."
            for one in lost
        ]
        reckoned.append(_reckoned(task, own))
    return [*said, *reckoned[:1], f"The run: `{bench['command']}`."]


def _reckoned(task: Row, own: Row) -> str:
    """Below how many plans in a call a GPU loses, by what one step takes it."""
    steps = max(row["steps_per_s"]["p50"] for row in task["rows_measured"] if _ours(row, own))
    return (
        "A GPU takes nearly the same time for one plan as for a thousand, so it loses wherever a call has fewer "
        f"plans than steps a second of the CPUs times seconds of one GPU step. These {own['cpus']} CPUs make "
        f"{figure(steps)} checked steps a second of `{task['task']}`. A GPU that took {1e3 * OTHERS_STEP_S:.2g} ms a "
        "step, as others measured for another scene (three humanoids, RTX PRO 6000, mujoco_warp pull request 1422), "
        f"would lose below {figure(steps * OTHERS_STEP_S)} plans in a call; against sixteen times as many CPUs, below "
        f"{figure(16 * steps * OTHERS_STEP_S)}. Reckoned, not measured."
    )


def _ours(row: Row, own: Row) -> bool:
    return bool(
        row["checked"] and row["engine"] == "mujoco" and row["cpus"] == own["cpus"] and row["crowd"] == "varied"
    )


def _accounting(report: Report) -> list[str]:
    said = (
        f"{accounting_sentence(report['accounting'])} Every verdict carries its bill (`verdict.cost`): steps "
        "simulated and saved, processor and GPU seconds, memory, energy and money; the parts of a call add up to "
        "what the process took."
    )
    return ["## What the bill itself costs", _prose(said)]


def _prices(report: Report) -> list[str]:
    prices = report["prices"]
    power = "Power is part of the hours" if prices["power_included"] else "Power is billed by the kWh"
    return [
        "## Prices",
        _prose(
            f"Money is what was measured, times these prices in {prices['currency']}. {power}. A file of your own "
            "(`--prices FILE`, or the environment variable `WORLDVERIFY_PRICES`) names what differs. Prices of "
            "memory and storage rose three- to fourfold in a year: look at the dates."
        ),
        _markdown(price_grid(prices), words=(0, 2, 3, 4)),
    ]


def _part(part: str, report: Report) -> list[str]:
    grids, said = part_of(part, report)
    return [*map(_markdown, grids), *map(_prose, said)]


def _where(report: Report) -> str:
    machine, versions = report["machine"], report["versions"]
    gpu = machine["gpu"] or "no GPU"
    return (
        f"{machine['usable_cpus']} CPUs ({machine['cpu']}, {gpu}), MuJoCo {versions['mujoco']}, Python "
        f"{machine['python']}"
    )


def _why(report: Report) -> str:
    rows = [row for part in ("ladder", "overlay") for row in report.get(part, ())]
    why = list(dict.fromkeys(reason for row in rows for reason in row["why_estimated"]))
    return "; ".join([*why, "a price or a rate that was not looked up at its source"])


def _share(row: Row, kind: str) -> str:
    share = row[f"false_{kind}_share"]
    return "an unknown share" if share is None else f"{share:.0%}"


def _markdown(grid: Grid, words: Sequence[int] = (0,)) -> str:
    """A table; the columns `words` are on the left, the others on the right."""
    marks = ["---" if i in words else "---:" for i in range(len(grid[0]))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (grid[0], marks, *grid[1:]))


def _prose(words: str) -> str:
    return "\n".join(wrap(words, WIDEST, break_on_hyphens=False, break_long_words=False))
