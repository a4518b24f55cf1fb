"""Bills add up: what the verdicts of a call cost is what the process took."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import worldverify as wv
from worldverify.billing.prices import PriceError, load_prices
from worldverify.cost import Cost, total
from worldverify.local import LocalVerifier
from worldverify.variations import variations

TASK = "PickCube-v0"
FIVE_PERCENT = 0.05  # of the process's processor time may be on nobody's bill


@pytest.fixture(scope="module")
def plans() -> list[Any]:
    task = wv.load(TASK)
    task.start()
    return [task.good, task.good, *task.bad.values(), *variations(task, 20, invalid=0.2)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "options",
    [{}, {"schedule": wv.Schedule.exhaustive()}, {"trials": 3}, {"fidelity": "screen"}, {"rank": "best"}],
    ids=["scheduled", "exhaustive", "trials", "screen", "ranked"],
)
def test_the_processor_time_of_all_verdicts_is_that_of_the_process(
    plans: list[Any], threads: int, options: dict[str, Any]
) -> None:
    verifier = LocalVerifier(threads=threads)
    before = time.process_time()
    verdicts = verifier.verify(TASK, plans, **options)
    took = time.process_time() - before
    verifier.close()
    assert sum(v.cost.cpu_s for v in verdicts) == pytest.approx(took, rel=FIVE_PERCENT)


def test_callers_side_by_side_are_not_billed_for_each_other(plans: list[Any]) -> None:
    bills: list[float] = []

    def call() -> None:
        verifier = LocalVerifier(threads=1)
        bills.append(sum(v.cost.cpu_s for v in verifier.verify(TASK, plans[:12])))

    threads = [threading.Thread(target=call) for _ in range(3)]
    before = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(bills) == pytest.approx(time.process_time() - before, rel=FIVE_PERCENT)


def test_what_was_simulated_more_costs_more_and_what_was_not_costs_its_reading(plans: list[Any]) -> None:
    verdicts = LocalVerifier(threads=1).verify(TASK, plans)
    (first, second), text = verdicts[:2], next(v for v in verdicts if v.cost.steps == 0 and v.status == "INVALID")
    assert second.cost.steps == 0 and first.cost.cpu_s > second.cost.cpu_s > 0
    assert text.cost.cpu_s == pytest.approx(second.cost.cpu_s)
    for verdict in verdicts:
        bill = verdict.cost
        assert bill.gb_s > 0 and bill.peak_bytes > 1e7 and bill.joules is not None and bill.joules > 0
        assert bill.money is not None and bill.money > 0 and bill.currency == "USD"
        assert bill.compile_s <= bill.wall_s and bill.queue_s == 0


def test_money_follows_the_price_file(plans: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.toml"
    said = 'source = "me"\ndate = "2026-11"\n'
    mine.write_text(f'currency = "EUR"\n[vcpu_hour]\nvalue = 3.6\n{said}[gb_hour]\nvalue = 0\n{said}')
    for verdicts in (wv.verify(TASK, plans[:3], on="cpu", prices=mine), by_environment(mine, plans, monkeypatch)):
        for verdict in verdicts:
            assert verdict.cost.currency == "EUR" and "money" not in verdict.cost.estimated
            assert verdict.cost.money == pytest.approx(verdict.cost.cpu_s * 1e-3)


def by_environment(mine: Path, plans: list[Any], monkeypatch: pytest.MonkeyPatch) -> wv.Verdicts:
    monkeypatch.setenv("WORLDVERIFY_PRICES", str(mine))
    return wv.verify(TASK, plans[:3], on="cpu")


def test_a_wrong_price_file_is_said_before_anything_is_simulated(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[kwh]\nvalue = -1\n")
    with pytest.raises(PriceError, match=r"kwh has no source"):
        wv.verify(TASK, [], on="cpu", prices=tmp_path / "bad.toml")
    with pytest.raises(ValueError, match="cannot be read"):
        wv.verify(TASK, [], on="cpu", prices=tmp_path / "none.toml")


def test_an_estimate_is_marked_in_the_verdict_line(plans: list[Any]) -> None:
    assert load_prices().vcpu_hour.estimated
    line = json.loads(json.dumps(wv.verify(TASK, plans[0], on="cpu")[0].to_json()))
    assert "money" in line["cost"]["estimated"] and line["cost"]["currency"] == "USD"


def test_bills_are_no_part_of_a_digest(plans: list[Any], tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('currency = "EUR"')
    one, other = wv.verify(TASK, plans[0], on="cpu"), wv.verify(TASK, plans[0], on="cpu", prices=mine)
    assert one[0].digest == other[0].digest and one[0].cost.currency != other[0].cost.currency


def test_a_sum_of_bills_knows_what_all_of_them_know() -> None:
    bills = [Cost(joules=1.0, money=2.0, currency="USD", peak_bytes=5, estimated=("joules",)), Cost(peak_bytes=7)]
    whole = total(bills)
    assert (whole.joules, whole.money, whole.peak_bytes) == (None, None, 7)
    assert total(bills[:1]).joules == 1.0 and total(bills).estimated == ("joules",)
    assert total([]) == Cost()
