"""The bill as tables: rows of words, for a terminal of WIDEST characters or for a page."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from worldverify.bench.table import heading as machine_heading

WIDEST = 100  # characters of a line
GUESS = "~"  # before an estimate
KINDS = ("vcpu_hour", "gb_hour", "storage_gb_month", "kwh", "cpu_watts")  # prices that are one entry

Row = Mapping[str, Any]
Report = Mapping[str, Any]
Grid = list[list[str]]  # a heading, then rows; the first column is words, the others are figures


def heading(report: Report) -> list[str]:
    """Where this was measured, and on what."""
    here = machine_heading(report["machine"])
    lines = [*here[: here.index("")], candidate_sentence(report)]
    if report["machine"]["gpu"] is None:
        lines[2] = "No GPU was measured, and no figure of one is made up."
    prices = report["prices"]
    power = "power is part of the hours" if prices["power_included"] else "power is billed by the kWh"
    lines.append(f"Prices in {prices['currency']} from {prices['file']}; {power}.")
    lines.append(f"{GUESS} marks an estimate: nameplate power, or a price that was not looked up at its source.")
    return wrapped(lines)


def part_lines(part: str, report: Report) -> list[str]:
    """One part of a report for the terminal, after an empty line."""
    if part == "advice":
        return ["", *(piece for line in report[part]["said"] for piece in _folded(line))]
    grids, said = part_of(part, report)
    lines = ["", TITLES[part]] if grids else [""]
    for grid in grids:
        lines += ["", *aligned(grid)]
    return [*lines, "", *wrapped(said)] if grids else [*lines, *wrapped(said)]


def part_of(part: str, report: Report) -> tuple[list[Grid], list[str]]:
    """The tables of a part, and what is said below them."""
    rows, currency = report[part], report["prices"]["currency"]
    if part == "ladder":
        return [ladder_costs(rows, currency), ladder_answers(rows)], ladder_sentences(rows)
    if part == "overlay":
        return [overlay_grid(rows, currency)], [overlay_sentence(rows)]
    if part == "seeds":
        said = [seed_sentence(rows, report["machine"]["usable_cpus"]), kept_sentence(rows, currency)]
        return [seed_grid(rows, currency)], said
    if part == "ratio":
        return [ratio_grid(rows)], [ratio_sentence(rows)]
    return [], [accounting_sentence(rows)]


TITLES = {
    "ladder": "The ladder: the same candidates, each check dearer and seeing more",
    "overlay": "The overlay tax: the same plans through each layer of software",
    "seeds": "The seed experiment: separate jobs, one process, and the scheduler",
    "ratio": "The ratio: what verifier keeps one copy of a generator busy",
}


def candidate_sentence(report: Report) -> str:
    """What was checked."""
    some = report["candidates"]
    return f"{report['task']}: {some['count']:,} candidates, {some['distinct']:,} of them distinct, by {some['by']}."


def ladder_costs(rows: Sequence[Row], currency: str) -> Grid:
    """What one check takes."""
    grid = [["one check", "checked", "time", "CPU", f"x {rows[0]['name']}", "J", f"{currency} a million"]]
    for row in rows:
        grid.append(
            [
                row["name"],
                f"{row['checked']:,} of {row['of']:,}",
                seconds(row["wall_s"]),
                seconds(row["cpu_s"]),
                figure(row["times_the_first"]),
                _marked(row, "joules", row["joules"]),
                _marked(row, "money", 1e6 * row["money"]),
            ]
        )
    return grid


def ladder_answers(rows: Sequence[Row]) -> Grid:
    """What is accepted, and how often wrongly."""
    grid = [["what it says", "accepts", "false accepts", "false rejects"]]
    for row in rows:
        wrong = ["the reference", ""] if row["reference"] else [_false(row, "accept"), _false(row, "reject")]
        grid.append([row["name"], _share(row["accepted_share"]), *wrong])
    return grid


def ladder_sentences(rows: Sequence[Row]) -> list[str]:
    """What the columns mean, what was sampled, what was estimated."""
    said = []
    reference = next((row for row in rows if row["reference"]), None)
    if reference is None:
        said.append("No false shares: trials of this task would all be the same, so there is no certified physics.")
    else:
        said.append(
            f"False accepts: of the candidates that {reference['name']} does not accept, the share that a check does; "
            "false rejects: of those that it accepts, the share that a check does not; with exact 95 % intervals."
        )
    sampled = [row for row in rows if row["checked"] < row["of"]]
    if sampled:
        said.append(
            f"On a random sample: {', '.join(row['name'] for row in sampled)}. --full puts every check to all "
            "candidates."
        )
    return [*said, *estimates(rows)]


def overlay_grid(rows: Sequence[Row], currency: str) -> Grid:
    """What each layer of software costs."""
    grid = [["one plan through", "plans", "plans/s", "of bare", "CPU", "J", f"{currency} a million"]]
    for row in rows:
        grid.append(
            [
                row["name"],
                f"{row['plans']:,}",
                figure(row["plans_per_s"]),
                figure(row["of_bare"]),
                seconds(row["cpu_s"]),
                _marked(row, "joules", row["joules"]),
                _marked(row, "money", 1e6 * row["money"]),
            ]
        )
    return grid


def overlay_sentence(rows: Sequence[Row]) -> str:
    """What the layers are."""
    return "; ".join(f"{row['name']}: {row['what']}" for row in rows) + "."


def seed_grid(rows: Sequence[Row], currency: str) -> Grid:
    """A million plans, three ways."""
    grid = [[f"{rows[0]['plans']:,} plans", "measured", "hours here", "core-hours", "cores for 6 h", "kWh", currency]]
    for row in rows:
        grid.append(
            [
                row["name"],
                f"{row['measured_on']:,}",
                figure(row["hours_here"]),
                figure(row["core_hours"]),
                figure(row["cores_for_six_hours"]),
                _marked(row, "joules", row["kwh"]),
                _marked(row, "money", row["money_in_all"]),
            ]
        )
    return grid


def seed_sentence(rows: Sequence[Row], cores: int) -> str:
    """How far this reaches beyond what was measured."""
    times = ", ".join(f"{row['name']} {figure(row['extrapolated'])} times" for row in rows)
    return (
        f"Extrapolated in proportion from what was measured on {cores} cores: {times}. What the scheduler saves rests "
        "on how alike the candidates are."
    )


def kept_sentence(rows: Sequence[Row], currency: str) -> str:
    """What it takes to keep the verdicts."""
    kept = rows[-1]["kept"]
    mark = GUESS if kept["estimated"] else ""
    return (
        f"Kept as lines that can be replayed, {kept['line_bytes'] / 1e3:.3g} kB each, these verdicts fill "
        f"{figure(kept['gb'])} GB, {mark}{figure(kept['money_a_month'])} {currency} a month; with the evidence of "
        f"every substep, {kept['evidence_bytes'] / 1e3:.3g} kB each, {figure(kept['gb_with_evidence'])} GB, "
        f"{mark}{figure(kept['money_a_month_with_evidence'])} {currency}."
    )


def ratio_grid(rows: Sequence[Row]) -> Grid:
    """What keeps a generator busy."""
    cores = [one["cores"] for one in rows[0]["busy"]]
    grid = [["generator", "verifier", "plans/s", "cores", "power", "cost", "MW by 100", *(f"busy, {n}" for n in cores)]]
    for row in rows:
        mark = GUESS if row["generator"]["estimated"] else ""
        figures = (row["cores"], row["power_ratio"], row["cost_ratio"], row["megawatts_beside_100"])
        grid.append(
            [
                row["generator"]["name"],
                row["verifier"]["name"],
                mark + figure(row["plans_per_s"]),
                *(GUESS + figure(value) for value in figures),
                *(f"{one['share']:.0%}" for one in row["busy"]),
            ]
        )
    return grid


def ratio_sentence(rows: Sequence[Row]) -> str:
    """What the columns mean, and who waits for whom."""
    cores = [one["cores"] for one in rows[0]["busy"]]
    waiting = [row for row in rows if row["busy"][0]["share"] < 1]
    waits = "; ".join(f"{row['generator']['name']} ({row['verifier']['name']})" for row in waiting)
    who = f"With {cores[0]} cores these wait for their verifier: {waits}." if waiting else ""
    return (
        "cores: of this machine's kind, that keep up with one copy; power, cost: verifier to generator; MW by 100: of "
        "verifier beside 100 MW of that generator's GPUs, where less than 1 used to do; busy: share of the time that a "
        f"copy works if so many cores verify for it. {who}"
    ).rstrip()


def accounting_sentence(rows: Sequence[Row]) -> str:
    """What the bills themselves cost."""
    each = ", ".join(f"{row['share']:.2%} of a call of {row['plans']}" for row in rows)
    return f"The accounting itself takes {each}, in processor time."


def price_grid(prices: Mapping[str, Any]) -> Grid:
    """Every price with its source and date."""
    entries = [(name, prices[name]) for name in KINDS]
    for name in ("gpu_hour", "gpu_watts"):
        entries += [(f"{name}, {kind}", one) for kind, one in prices[name].items()]
    grid = [["price", "value", "unit", "source", "date"]]
    for name, one in entries:
        value = (GUESS if one["estimated"] else "") + f"{one['value']:g}"
        grid.append([name, value, one["unit"], one["source"], one["date"]])
    return grid


def estimates(rows: Sequence[Row]) -> list[str]:
    """Which figures are estimates, and why."""
    names = list(dict.fromkeys(name for row in rows for name in row["estimated"]))
    why = list(dict.fromkeys(reason for row in rows for reason in row["why_estimated"]))
    if not names:
        return []
    because = f" ({'; '.join(why)})" if why else ""
    return [f"Estimated: {', '.join(names)}{because}."]


def aligned(grid: Grid) -> list[str]:
    """Lines of a table: words on the left, figures on the right."""
    widths = [max(len(row[i]) for row in grid) for i in range(len(grid[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in grid
    ]


def wrapped(sentences: Sequence[str]) -> list[str]:
    """Lines of a terminal."""
    return [line for sentence in sentences for line in wrap(sentence, WIDEST, break_on_hyphens=False)]


def _folded(line: str) -> list[str]:
    return [line] if len(line) <= WIDEST else wrap(line, WIDEST, subsequent_indent="  ", break_on_hyphens=False)


def seconds(value: float) -> str:
    """A time with a unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= 0.9995 * size:  # what three digits round up to the unit
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def figure(value: float | None) -> str:
    """Three digits, and all that stand before the point."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _marked(row: Row, name: str, value: float | None) -> str:
    return (GUESS if name in row["estimated"] else "") + figure(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _false(row: Row, kind: str) -> str:
    share = row.get(f"false_{kind}_share")
    if share is None:
        return "-"
    low, high = row[f"false_{kind}_interval"]
    among = row["wrong_candidates" if kind == "accept" else "good_candidates"]
    return f"{share:.0%} ({low:.0%} to {high:.0%}) of {among}"
