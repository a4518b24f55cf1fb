"""What the accounting itself costs, as a share of the verdicts that it is done for."""

import time
from collections.abc import Sequence
from typing import Any

from worldverify.billing.meter import Meter
from worldverify.billing.prices import Prices
from worldverify.billing.shares import Compiling, shared
from worldverify.local import LocalVerifier
from worldverify.task import Task

CALLS = (1, 64)  # plans in a call: the meter is read once a call, and the bill shared among all of them
REPEATS = 50
AIM = 0.01


def accounting(task: Task, lines: Sequence[Any], prices: Prices) -> list[dict[str, Any]]:
    """A row for each size of a call: s of processor time that the bills took, and that the call took."""
    verifier, meter, rows = LocalVerifier(), Meter(prices), []
    for count in CALLS:
        some = lines[:count]
        verifier.verify(task, some)
        mark = meter.start()
        verdicts = verifier.verify(task, some)
        whole = meter.since(mark)
        bills = [verdict.cost for verdict in verdicts]
        clock = time.thread_time()
        for _ in range(REPEATS):
            mark = meter.start()
            compiling = Compiling(*meter.so_far(mark))
            shared(bills, meter.since(mark), compiling, prices, None)
        took = (time.thread_time() - clock) / REPEATS
        rows.append({"plans": len(some), "cpu_s": took, "call_cpu_s": whole.cpu_s, "share": took / whole.cpu_s})
    verifier.close()
    return rows
