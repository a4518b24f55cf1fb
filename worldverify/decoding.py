"""What the command decode does: files in, what their plans mean out."""

import json
from collections.abc import Sequence

from worldverify.action import ActionSpec
from worldverify.explain import Explained, explain
from worldverify.planpaths import plans_of
from worldverify.table import printable
from worldverify.task import Task


def decode_files(
    paths: Sequence[str], format: ActionSpec | None, task: Task | None, *, seed: int, as_json: bool
) -> bool:
    """Print what each plan means; whether all of them mean something."""
    found = [explain(raw, format, task, seed) for raw in plans_of(paths, declared=format is not None)]
    if as_json:
        print("\n".join(json.dumps(each.to_json(), allow_nan=False) for each in found))
    else:
        print("\n\n".join(_text(number, each) for number, each in enumerate(found, 1)))
    return all(each.code is None for each in found)


def _text(number: int, each: Explained) -> str:
    lines = [printable(each.id or f"plan {number}")]
    broad = max((len(label) for label, _ in each.meaning), default=0)
    lines += [f"  {label:<{broad}}  {printable(said)}" for label, said in each.meaning]
    lines += [f"  warning: {printable(warning)}" for warning in each.warnings]
    if each.code is not None:
        lines.append(f"  refused ({each.code}): {printable(each.reason or '')}")
    return "\n".join(lines)
