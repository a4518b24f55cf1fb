"""Which machines verify a stream of plans: the cheapest by exhaustive search, and nothing that was not measured."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worldverify.billing.advice import PARTS, advice_lines, advise, break_even_plans, cheapest_mix
from worldverify.billing.fleet import Machine, load_machine, recorded
from worldverify.billing.prices import load_prices
from worldverify.engines.placement import Calibration, Device, choose
from worldverify.usage import UsageError

PRICES = load_prices()


def cpu(rate: float = 100.0, cores: int = 2, name: str = "EPYC", kind: str = "x86_64") -> Machine:
    rates = {1: 0.4 * rate, 64: rate, 256: rate}
    return Machine(name, "cpu", kind, cores, "PickCube-v0", rates, "2026-11-23", "by hand")


def gpu(rate: float = 4000.0, kind: str = "H100") -> Machine:
    rates = {1: rate / 4096, 64: rate / 64, 4096: rate}
    return Machine(f"NVIDIA {kind}", "gpu", kind, 1, "PickCube-v0", rates, "2026-11-23", "by hand")


def test_the_count_the_price_and_the_power_are_what_arithmetic_says() -> None:
    (choice,) = advise(1050.0, [cpu()], PRICES).choices
    assert (choice.count, choice.batch) == (11, 64)
    assert choice.money_per_hour == pytest.approx(22 * PRICES.vcpu_hour.value)
    assert choice.watts == pytest.approx(22 * PRICES.cpu_watts.value)
    assert any("several machines" in warning for warning in choice.warnings)


def test_one_machine_within_what_was_measured_extrapolates_nothing() -> None:
    (choice,) = advise(90.0, [cpu()], PRICES).choices
    assert choice.count == 1 and choice.warnings == ()
    (small,) = advise(30.0, [cpu()], PRICES, batch=1).choices
    assert small.count == 1 and small.batch == 1


def test_a_batch_beyond_what_was_measured_says_so() -> None:
    (choice,) = advise(10.0, [cpu()], PRICES, batch=5000).choices
    assert "5000 plans in a call lie beyond the measured 1 to 256" in choice.warnings[0]


def test_the_cheapest_comes_first_and_what_was_not_measured_is_named() -> None:
    advice = advise(4000.0, [cpu(), gpu()], PRICES)
    prices = [one.money_per_hour for one in advice.choices]
    assert prices == sorted(prices)
    assert "H100" not in advice.not_measured and {"A100", "H200"} <= set(advice.not_measured)
    said = "\n".join(advice_lines(advice, "USD"))
    assert "Not measured, and so not advised: A100" in said and "is faster than EPYC (2 cores) from" in said


def test_a_mix_is_the_cheapest_of_all_mixes() -> None:
    machines = [cpu(90.0), cpu(70.0, cores=1, name="Graviton", kind="aarch64"), gpu(700.0, "L4"), gpu(2600.0, "A100")]
    generator = np.random.default_rng(0)
    for wanted in generator.uniform(50, 6000, 25):
        rates = [(one, one.rate(one.best_batch)[0]) for one in machines]
        mix, money = cheapest_mix(wanted, rates, PRICES)
        done = sum(rate * mix.get(one.name, 0) for one, rate in rates)
        assert done >= wanted * (1 - 1e-9)
        costs = [one.money_per_hour(PRICES) for one, _ in rates]
        assert money == pytest.approx(
            sum(cost * mix.get(one.name, 0) for cost, (one, _) in zip(costs, rates, strict=True))
        )
        best = min(_filled_up(some, wanted, rates, costs) for some in itertools.product(range(90), range(10), range(4)))
        # Rates are rounded down to a part of the stream: at most one more of the dearest machine.
        assert best - 1e-9 <= money <= best * (1 + 60 / PARTS) + max(costs) * 0.5


def _filled_up(some: tuple[int, ...], wanted: float, rates: list[tuple[Machine, float]], costs: list[float]) -> float:
    """What so many of all kinds but the first cost, the rest made up of the first."""
    left = wanted - sum(n * rate for n, (_, rate) in zip(some, rates[1:], strict=True))
    return sum(n * c for n, c in zip(some, costs[1:], strict=True)) + costs[0] * max(0, np.ceil(left / rates[0][1]))


def test_more_machines_than_there_are_parts_is_still_an_answer() -> None:
    mix, money = cheapest_mix(1e9, [(cpu(), 100.0)], PRICES)
    assert mix == {"EPYC": 10_000_000} and money > 0


def test_the_break_even_is_the_first_power_of_two_at_which_the_gpu_is_faster() -> None:
    even = break_even_plans(cpu(), gpu())
    assert even is not None and gpu().rate(even)[0] > cpu().rate(even)[0]
    assert gpu().rate(even // 2)[0] <= cpu().rate(even // 2)[0]
    assert break_even_plans(cpu(), gpu(rate=1.0)) is None


def test_a_recorded_machine_can_be_read_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    path.write_text(recorded(cpu()))
    again = load_machine(path)
    assert again.plans_per_s == cpu().plans_per_s and again.source == str(path)
    assert json.loads(path.read_text())["machine"]["versions"]["mujoco"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 7}, "is not a recorded machine of schema 1"),
        ({"device": "tpu"}, "device is one of cpu, gpu; got 'tpu'"),
        ({"cores": 0}, "cores is a whole number from 1 on; got 0"),
        ({"plans_per_s": {}}, "plans_per_s gives a rate for each number of plans"),
        ({"plans_per_s": {"1": -3}}, "'1': -3, which is no number of plans with a rate"),
        ({"plans_per_s": {"many": 3}}, "'many': 3, which is no number of plans with a rate"),
        ({"name": None}, "name is a text; got None"),
    ],
)
def test_what_is_wrong_with_a_recorded_machine_is_said(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(json.loads(recorded(cpu())) | change))
    with pytest.raises(UsageError) as error:
        load_machine(path)
    assert said in str(error.value)


def test_a_file_that_is_no_machine_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Cannot read"):
        load_machine(tmp_path / "none.json")
    (tmp_path / "text.json").write_text("no")
    with pytest.raises(UsageError, match="it is not JSON"):
        load_machine(tmp_path / "text.json")


def test_auto_picks_the_device_that_is_faster_in_truth() -> None:
    """Counts how often the choice of on="auto" is the truly faster device, from noisy measurements."""
    generator, right, asked = np.random.default_rng(0), 0, 0
    for _ in range(200):
        cpu_step, gpu_step = generator.uniform(2e-5, 2e-4), generator.uniform(2e-4, 2e-3)
        threads, samples = int(generator.integers(2, 33)), 1000
        known = Calibration()
        for plans in (1, 16, 64, 256, 1024, 4096):
            noise = generator.lognormal(0, 0.05, 2)
            rounds = -(-plans // threads)
            known = known.with_call("cpu", plans, samples, rounds * cpu_step * samples * noise[0])
            known = known.with_call("gpu", plans, samples, gpu_step * samples * noise[1])
        for plans in (1, 8, 64, 512, 4096):
            times: dict[Device, float] = {"cpu": -(-plans // threads) * cpu_step, "gpu": gpu_step}
            if 0.8 < times["cpu"] / times["gpu"] < 1.25:
                continue  # either will do
            chosen = choose(known, plans, samples, threads=threads, compiled=frozenset({1, 8, 64, 512, 4096}))
            asked += 1
            right += chosen.device == min(times, key=lambda device: times[device])
    assert asked > 500 and right / asked >= 0.98
