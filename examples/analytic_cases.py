"""Do verdicts say what the formulas of mechanics say?

python examples/analytic_cases.py [--engine mujoco|mjx-warp|mjx-jax] [--on cpu|gpu] [--json FILE]: scenes whose outcome
a formula gives. A spec that it is as near to that as finite steps and soft contacts allow must PASS, its contrary FAIL.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from worldverify.analytic import cases
from worldverify.analytic.case import holds, judged, rounded
from worldverify.bench.facts import machine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=["mujoco", "mjx-warp", "mjx-jax"], default="mujoco")
    parser.add_argument("--on", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--json", type=Path, help="write the table here")
    arguments = parser.parse_args()
    engine, _, impl = arguments.engine.partition("-")
    clock, rows = time.perf_counter(), []
    print(f"{'case':<52}{'formula':>11}{'measured':>12}{'error':>10}{'allowed':>9}       inside outside")
    for exact in cases():
        case = rounded(exact) if impl else exact
        found = judged(case, on=arguments.on, engine=engine, impl=impl or None)
        right, error = holds(case, found), found.measured - case.value
        print(
            f"{case.name:<52}{case.value:>11.6g}{found.measured:>12.6g}{error:>10.1e}{case.allowance:>9.1e} "
            f"{case.unit:<5} {found.inside:<6} {found.outside:<7} {'' if right else f'WRONG {found.reason}'}".rstrip()
        )
        given = {"case": case.name, "formula": case.law, "value": case.value, "unit": case.unit}
        allowed = {"allowance": case.allowance, "because": case.because}
        rows.append({**given, **allowed, **found._asdict(), "error": error, "holds": right})
    right = sum(row["holds"] for row in rows)
    print(f"{right} of {len(rows)} as the formulas say, {time.perf_counter() - clock:.1f} s")
    if arguments.json:
        command = f"python examples/analytic_cases.py --engine {arguments.engine}"
        kept = {"command": command, "machine": machine(), "cases": rows}
        arguments.json.write_text(json.dumps(kept, indent=1) + "\n")
    return 0 if right == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
