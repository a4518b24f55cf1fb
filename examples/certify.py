"""How often does a plan pass in randomised worlds, and how many trials does it take to say so?"""

import argparse
import time

import worldverify as wv
from worldverify.kernels.statistics import expected_trials


def main() -> None:
    """Judge the good and the bad plans of a task by a fixed number of trials and by a rule that stops."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", nargs="?", default="PickCube-v0")
    parser.add_argument("--p", type=float, default=0.95, help="the share that is to be shown (%(default)s)")
    parser.add_argument("--p0", type=float, default=0.8, help="the share that is too low (%(default)s)")
    parser.add_argument("--fixed", type=int, default=0, help="also so many trials of each plan, for comparison")
    arguments = parser.parse_args()
    task = wv.load(arguments.task)
    plans = {"good": task.good, **{f"bad: {name}": plan for name, plan in task.bad.items()}}
    rules = {"certify": wv.certify(arguments.p, arguments.p0)}
    if arguments.fixed:
        rules["fixed"] = arguments.fixed
    for label, rule in rules.items():
        clock = time.perf_counter()
        verdicts = wv.verify(task, list(plans.values()), on="cpu", trials=rule)
        took, count = time.perf_counter() - clock, sum(v.trials["n"] for v in verdicts)
        print(f"{label}: {count} trials, {sum(v.cost.steps for v in verdicts):,} physics steps, {took:.1f} s")
        for name, verdict in zip(plans, verdicts, strict=True):
            trials = verdict.trials
            low, high = trials["interval"]
            print(
                f"  {name:<18} {trials['successes']:>4} of {trials['n']:<4} {low:6.1%} to {high:6.1%}  "
                f"{trials['decision'] or ''}"
            )
    shares = (0.0, 0.5, arguments.p0, arguments.p, 1.0)
    expected = [f"{expected_trials(x, arguments.p0, arguments.p, 0.05, 0.05):.0f} ({x:g})" for x in shares]
    print(f"trials that Wald expects for a true share: {', '.join(expected)}")


if __name__ == "__main__":
    main()
