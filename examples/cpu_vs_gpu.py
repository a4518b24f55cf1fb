"""CPU or GPU for my task, and for so many plans in a call? Measured here, or read from a recorded run.

python examples/cpu_vs_gpu.py [TASK] [--plans N,N] [--seconds S] [--recorded docs/benchmarks/FILE.json]
"""

import argparse

import numpy as np

from worldverify.bench.command import measure, recorded
from worldverify.bench.sweep import Wanted, label
from worldverify.engines.backend import parse_engines
from worldverify.options import whole
from worldverify.registry import tasks
from worldverify.usage import UsageError

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("task", nargs="?", default="PickCube-v0", metavar="TASK", choices=tasks())
parser.add_argument("--plans", type=lambda text: [whole(1)(n) for n in text.split(",")], default="1,32,1024,32768")
parser.add_argument("--engines", default="mujoco,mjx-warp")
parser.add_argument("--seconds", type=float, default=120.0, help="for measuring")
parser.add_argument("--recorded", help="answer from this run instead of measuring")
arguments = parser.parse_args()

try:
    if arguments.recorded:
        report = recorded(arguments.recorded)
    else:
        wanted = Wanted(engines=parse_engines(arguments.engines), batches=(1, 8, 32, 128, 512, 2048, 8192))
        report = measure([arguments.task], wanted, seconds=arguments.seconds, tell=lambda line: None)
except (UsageError, ValueError) as error:
    parser.error(str(error))
results = {result["task"]: result for result in report["tasks"]}
if arguments.task not in results:
    parser.error(f"Nothing is recorded of {arguments.task}, but of: {', '.join(results) or 'no task'}.")

machine, curves = report["machine"], {}
for row in results[arguments.task]["rows_measured"]:
    if row["checked"] and row["crowd"] == "varied" and row["cpus"] in (None, machine["usable_cpus"]):
        key = (row["engine"], row["cpus"], row["device"])
        curves.setdefault(key, []).append((row["batch"], row["plans_per_s"]["p50"]))

print(f"{arguments.task} on {machine['cpu']}, {machine['usable_cpus']} CPUs, {machine['gpu'] or 'no GPU'}:")
for plans in arguments.plans:
    # Within what was measured by logarithms, beyond it at the last rate.
    rates = {
        key: float(np.exp(np.interp(np.log(plans), *np.log(np.transpose(points))))) for key, points in curves.items()
    }
    engine, cpus, device = best = max(rates, key=rates.__getitem__)
    beyond = "" if plans <= max(b for b, _ in curves[best]) else " (at the rate of the largest batch measured)"
    print(f"{plans:>6} plans: {label(engine, cpus, device)}, {plans / rates[best]:.3g} s{beyond}")
if not any(device == "gpu" for _, _, device in curves):
    print("This run was not measured on a GPU, so it cannot say what one would do.")
