"""A call's bill, shared among its verdicts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from worldverify.billing.meter import Reading
from worldverify.billing.prices import Prices, money_of
from worldverify.cost import Cost


@dataclass(frozen=True)
class Compiling:
    """What reading and compiling the plans of a call took; each of them has the same part of it."""

    wall_s: float
    cpu_s: float


def shared(
    bills: Sequence[Cost], reading: Reading, compiling: Compiling, prices: Prices, gpu: str | None
) -> list[Cost]:
    """Bills that say what each verdict simulated, with their parts of what the whole call took.

    What is left after compiling is shared by substeps simulated, evenly where there were none. The parts add up to the
    reading. `gpu` is the kind in the price file; GPU time without one has no price, and so the bill no sum.
    """
    count, steps = len(bills), math.fsum(bill.steps for bill in bills)
    prices_guessed = prices.vcpu_hour.estimated or prices.gb_hour.estimated
    shares = []
    for bill in bills:
        part = bill.steps / steps if steps else 1 / count
        cpu_s = compiling.cpu_s / count + (reading.cpu_s - compiling.cpu_s) * part
        wall_s = compiling.wall_s / count + (reading.wall_s - compiling.wall_s) * part
        of_cpu = cpu_s / reading.cpu_s if reading.cpu_s > 0 else 1 / count
        gb_s = reading.gb_s * (wall_s / reading.wall_s if reading.wall_s > 0 else 1 / count)
        joules = reading.joules * of_cpu
        priced = not bill.gpu_s or gpu is not None
        guessed = prices_guessed or bool(gpu and bill.gpu_s and prices.gpu("gpu_hour", gpu).estimated)
        money = money_of(prices, cpu_s=cpu_s, gpu_s=bill.gpu_s, gb_s=gb_s, joules=joules, gpu=gpu) if priced else None
        shares.append(
            Cost(
                steps=bill.steps,
                steps_saved=bill.steps_saved,
                saved_by=bill.saved_by,
                cpu_s=cpu_s,
                gpu_s=bill.gpu_s,
                gb_s=gb_s,
                peak_bytes=reading.peak_bytes,
                wall_s=wall_s,
                compile_s=compiling.wall_s / count,
                bytes=bill.bytes,
                placement=bill.placement,
                cold=bill.cold,
                joules=joules,
                money=money,
                currency=prices.currency,
                estimated=(*reading.estimated, *(("money",) if guessed and priced else ())),
            )
        )
    return shares
