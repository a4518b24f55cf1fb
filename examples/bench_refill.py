"""What does it save on a device that a lane whose plan is settled takes the next plan by itself?

python examples/bench_refill.py [--task NAME] [--engine mjx-warp] [--plans N] [--lanes N] [--rounds N] [--json FILE]:
the same plans in the same number of lanes, each to the horizon; until it is settled, wave by wave; and until it is
settled, with a lane refilled at once. In turn, A B C, C B A; a ratio is the median of those of single rounds. What the
engine finds is compared plan by plan; MuJoCo C, which judges again what float32 cannot settle, is not part of it.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import worldverify as wv
from worldverify.bench.clocks import in_turn, ratios, spread
from worldverify.bench.facts import loads, machine, scene_facts
from worldverify.compile import Compiled, compile_for
from worldverify.engines.backend import NAMES, backend_of, parse_engine
from worldverify.engines.device_physics import DevicePhysics
from worldverify.engines.making import physics_on
from worldverify.engines.physics import Job
from worldverify.plan import admit
from worldverify.variations import variations

WAYS = {
    "to the horizon": {"stop": False, "refill": False},
    "until settled, in waves": {"refill": False},
    "until settled, refilled": {},
}


def main() -> None:
    """Measure, and print a line for each way."""
    parser = argparse.ArgumentParser(description="Refilling the lanes of a device, on against off.")
    parser.add_argument("--task", default="ReachSafe-v0", help="see worldverify tasks")
    parser.add_argument("--engine", choices=NAMES[1:], default="mjx-warp")
    parser.add_argument("--on", choices=("cpu", "gpu"), default="cpu", help="which device (%(default)s)")
    parser.add_argument("--plans", type=int, default=64)
    parser.add_argument("--lanes", type=int, default=16, help="simulated side by side")
    parser.add_argument("--rounds", type=int, default=2, help="of two calls of each way")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the numbers go")
    arguments = parser.parse_args()
    if arguments.lanes & (arguments.lanes - 1) or arguments.lanes < 8 or arguments.plans % arguments.lanes:
        parser.error("--lanes is a power of two from 8 on, and --plans a multiple of it.")
    here, task = machine(), wv.load(arguments.task)
    states, controls = crowd(task, arguments.plans)
    physics = physics_on(backend_of(arguments.on, *parse_engine(arguments.engine)), threads=None, chunk=256)
    assert isinstance(physics, DevicePhysics)
    steps: dict[str, list[int]] = {}
    said: dict[str, list[Any]] = {}

    def way(name: str, rules: dict[str, bool]) -> Callable[[], None]:
        schedule = wv.Schedule(share=False, lanes=arguments.lanes, **rules)
        job = Job(task, False, False, None, lambda n: None, schedule=schedule)

        def judge() -> None:
            found = []
            # To the horizon all plans of a call have a lane each, so that the same lanes take several calls.
            size = arguments.plans if schedule.stop else arguments.lanes
            for first in range(0, arguments.plans, size):
                part = slice(first, first + size)
                found += physics._found(job, states[part], controls[part], roomy=False)
            steps[name] = [outcome.steps for outcome in found]
            said[name] = [(o.finding.status, o.finding.violated, o.finding.decided) for o in found]

        return judge

    ways = {name: way(name, rules) for name, rules in WAYS.items()}
    for judge in ways.values():
        judge()  # compiles
    walls = in_turn(ways, dict.fromkeys(ways, arguments.rounds), until=time.perf_counter() + 3600)
    first = next(iter(ways))
    rows = {}
    for name, seconds in walls.items():
        same = sum(one == other for one, other in zip(said[name], said[first], strict=True))
        gain, share = ratios(seconds, walls[first]), sum(steps[name]) / sum(steps[first])
        rows[name] = {
            "wall_s": spread(seconds),
            "speedup": spread(gain),
            "substeps": sum(steps[name]),
            "same": same,
            "walls_s": seconds,
        }
        print(
            f"{name:<26}{arguments.plans / float(np.median(seconds)):>8.2f} plans/s {np.median(gain):>6.2f} x"
            f"{share:>8.2f} of the substeps, {same} of {arguments.plans} answers the same"
        )
    waves, refilled = (walls[name] for name in list(WAYS)[1:])
    both = ratios(refilled, waves)
    print(f"refill on against off: {np.median(both):.2f} x")
    if arguments.json is not None:
        report = {
            "command": "python examples/bench_refill.py " + " ".join(Path(word).name for word in sys.argv[1:]),
            "machine": here,
            "scene": {**scene_facts(task), **loads(task, np.stack(controls))},
            "engine": {"name": arguments.engine, "device": arguments.on},
            "plans": arguments.plans,
            "lanes": arguments.lanes,
            "ways": rows,
            "refill_on_against_off": spread(both),
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def crowd(task: wv.Task, count: int) -> tuple[Any, list[Any]]:
    """Start states (B, nstate) and controls of plans of which about half fail, at all times."""
    plans = [
        admit(p, contracts=task.contracts, default_rate=task.rate, task=task.name) for p in variations(task, count)
    ]
    states = np.stack([task.start()] * count)
    made = compile_for(task, states, plans)
    assert all(isinstance(one, Compiled) for one in made)
    return states, [one.controls for one in made if isinstance(one, Compiled)]


if __name__ == "__main__":
    main()
