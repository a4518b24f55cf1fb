"""The tasks as text: all of them in a few lines each, or one with its prompt and spec."""

import textwrap

from worldverify.registry import load, tasks
from worldverify.task import Task

WIDTH = 100  # characters of a line of prose


def all_tasks() -> str:
    """For each task its name, time, instruction, requirements and formats."""
    return "\n\n".join(_brief(load(name)) for name in tasks())


def one_task(task: Task, seed: int) -> str:
    """The prompt for the start of a seed, the spec, and the plans that come with the task."""
    parts = [
        f"{task.name}: {_time(task)}",
        f"Prompt for a model (seed {seed}):",
        textwrap.indent(task.card(seed), "    "),
        "Spec:",
        textwrap.indent(str(task.spec).strip(), "    "),
    ]
    if task.good is not None:
        fails = f", and one that fails only it for each of {', '.join(task.bad)} (task.bad)" if task.bad else ""
        parts.append(f"It brings a plan that passes (task.good){fails}.")
    return "\n\n".join(parts)


def _brief(task: Task) -> str:
    lines = [f"{task.name}  {_time(task)}"]
    lines += textwrap.wrap(task.instruction, WIDTH, initial_indent="    ", subsequent_indent="    ")
    lines += [
        f"    requirements: {', '.join(r.name for r in task.spec.requirements)}",
        f"    formats:      {', '.join(task.contracts)}",
    ]
    return "\n".join(lines)


def _time(task: Task) -> str:
    return f"{task.horizon:g} s, {task.rate:g} actions a second, physics step {task.timestep:g} s"
