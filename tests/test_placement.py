"""Which device a call goes to, on made-up measurements."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldverify.engines.caches import write_json
from worldverify.engines.placement import (
    TIE,
    Calibration,
    bucket_of,
    calibration_name,
    choose,
    compile_time,
    expected,
    load_calibration,
    save_calibration,
)

BUCKETS = [2**k for k in range(0, 16)]
times = st.floats(1e-7, 1e3)
plans = st.integers(1, 70_000)
measured = st.dictionaries(st.sampled_from(BUCKETS), times, min_size=1)


def known(
    cpu: dict[int, float], gpu: dict[int, float], compile_s: float | None = None, samples: int = 1
) -> Calibration:
    """A calibration from one call of each batch size; s a call."""
    made = Calibration()
    for n, seconds in cpu.items():
        made = made.with_call("cpu", n, samples, seconds)
    for n, seconds in gpu.items():
        made = made.with_call("gpu", n, samples, seconds, compile_s=compile_s)
    return made


@given(cpu=measured, gpu=measured, plans=plans, samples=st.integers(1, 5000), threads=st.integers(1, 128))
def test_the_faster_device_is_chosen_unless_they_are_close(
    cpu: dict[int, float], gpu: dict[int, float], plans: int, samples: int, threads: int
) -> None:
    calibration = known(cpu, gpu)
    on_cpu, on_gpu = (expected(calibration, d, plans, samples, threads=threads) for d in ("cpu", "gpu"))
    chosen = choose(calibration, plans, samples, threads=threads)
    assert not chosen.unknown
    if on_gpu * TIE < on_cpu:
        assert chosen.device == "gpu"
    else:
        assert chosen.device == "cpu"
    assert chosen.why.startswith(f"{chosen.device}: ") and chosen.why.endswith(".")


@given(cpu=measured, gpu=measured, plans=plans)
def test_a_gpu_that_cannot_be_used_is_never_chosen(cpu: dict[int, float], gpu: dict[int, float], plans: int) -> None:
    for calibration in (known(cpu, gpu), Calibration()):
        chosen = choose(calibration, plans, 100, threads=4, no_gpu="It failed its self-test.")
        assert (chosen.device, chosen.why, chosen.unknown) == ("cpu", "cpu: It failed its self-test.", ())


@given(seconds=times, n=plans, samples=st.integers(1, 5000), threads=st.integers(1, 128))
def test_a_call_as_measured_is_expected_to_take_what_it_took(
    seconds: float, n: int, samples: int, threads: int
) -> None:
    calibration = known({n: seconds}, {n: seconds}, samples=samples)
    assert expected(calibration, "gpu", n, samples, threads=threads) == pytest.approx(seconds)
    assert expected(calibration, "gpu", bucket_of(n), 2 * samples, threads=threads) == pytest.approx(2 * seconds)
    whole = bucket_of(n)
    calibration = known({whole: seconds}, {})
    assert expected(calibration, "cpu", whole, 1, threads=threads) == pytest.approx(seconds)


@given(cpu=measured, gpu=measured, threads=st.integers(1, 128))
def test_more_plans_than_were_ever_measured_take_longer_in_proportion(
    cpu: dict[int, float], gpu: dict[int, float], threads: int
) -> None:
    calibration, most = known(cpu, gpu), 2**17
    for device in ("cpu", "gpu"):
        one, two = (expected(calibration, device, n, 10, threads=1) for n in (most, 2 * most))
        assert two == pytest.approx(2 * one)


def test_a_gpu_takes_as_long_for_one_plan_as_for_a_few_and_a_cpu_does_not() -> None:
    calibration = known({64: 1.6}, {64: 0.4})
    assert expected(calibration, "gpu", 1, 1, threads=16) == pytest.approx(0.4)
    assert expected(calibration, "cpu", 16, 1, threads=16) == pytest.approx(0.4)
    assert expected(calibration, "cpu", 1, 1, threads=16) == pytest.approx(0.4)
    assert expected(calibration, "cpu", 17, 1, threads=16) == pytest.approx(0.8)


def test_break_even_lies_where_the_lines_cross() -> None:
    calibration = known({n: 0.01 * n for n in (16, 4096)}, {16: 1.0, 256: 1.0, 4096: 2.0})
    devices = [choose(calibration, n, 1, threads=1).device for n in (16, 64, 128, 4096)]
    assert devices == ["cpu", "cpu", "gpu", "gpu"]


def test_the_reason_names_both_times_and_the_cores() -> None:
    calibration = known({4096: 1.9}, {4096: 0.21})
    chosen = choose(calibration, 4096, 1, threads=16)
    assert chosen.why == "gpu: 0.21 s expected against 1.9 s on 16 CPU cores."
    assert not chosen.extrapolated
    assert choose(calibration, 100, 1, threads=16).extrapolated


def test_what_was_never_measured_is_asked_for() -> None:
    assert choose(Calibration(), 8, 100, threads=2).unknown == ("cpu", "gpu")
    chosen = choose(known({8: 1.0}, {}), 8, 100, threads=2)
    assert (chosen.device, chosen.unknown) == ("cpu", ("gpu",))
    assert "not measured yet on gpu" in chosen.why


def test_one_slow_call_changes_nothing() -> None:
    calibration = known({64: 1.0}, {64: 0.1})
    for seconds in (0.1, 0.1, 50.0):
        calibration = calibration.with_call("gpu", 64, 1, seconds)
    assert choose(calibration, 64, 1, threads=1).device == "gpu"


def test_a_machine_that_has_become_slower_is_noticed() -> None:
    calibration = known({64: 1.0}, {64: 0.1})
    for _ in range(5):
        calibration = calibration.with_call("gpu", 64, 1, 3.0)
    assert choose(calibration, 64, 1, threads=1).device == "cpu"


@pytest.mark.parametrize(
    ("n", "samples", "seconds"),
    [(0, 10, 1.0), (4, 0, 1.0), (4, 10, 0.0), (4, 10, float("nan")), (4, 10, float("inf")), (4, 10, -1.0)],
)
def test_what_is_no_measurement_is_not_kept(n: int, samples: int, seconds: float) -> None:
    calibration = known({8: 1.0}, {8: 1.0})
    assert calibration.with_call("gpu", n, samples, seconds) == calibration


def test_a_small_call_does_not_wait_for_a_compiler() -> None:
    calibration = known({64: 1.0}, {64: 0.1}, compile_s=30.0)
    cold = choose(calibration, 64, 1, threads=1)
    assert cold.device == "cpu" and cold.forgone_s == pytest.approx(0.9) and "compile for 30 s" in cold.why
    assert choose(calibration, 64, 1, threads=1, compiled={64}).device == "gpu"
    assert choose(calibration, 64, 500, threads=1).device == "gpu"
    assert compile_time(calibration, 4096) == 30.0


@given(
    calls=st.integers(0, 200),
    cpu=st.floats(1e-3, 10.0),
    gpu=st.floats(1e-3, 10.0),
    cold_s=st.floats(0.1, 100.0),
)
def test_waiting_for_the_compiler_costs_at_most_twice_what_hindsight_would(
    calls: int, cpu: float, gpu: float, cold_s: float
) -> None:
    calibration = known({64: cpu}, {64: gpu}, compile_s=cold_s)
    spent, forgone, compiled = 0.0, 0.0, set[int]()
    for _ in range(calls):
        chosen = choose(calibration, 64, 1, threads=1, compiled=compiled, forgone_s=forgone)
        if chosen.device == "gpu":
            spent += gpu if 64 in compiled else gpu + cold_s
            compiled.add(64)
        else:
            spent += cpu
        forgone += chosen.forgone_s
    assert spent <= 2 * TIE * min(calls * cpu, cold_s + calls * gpu) + 1e-9


def test_a_calibration_outlives_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLDVERIFY_CACHE", str(tmp_path / "cache"))
    name = calibration_name("scene", "NVIDIA Something", 16)
    assert load_calibration(name) == Calibration()
    calibration = known({8: 1.0, 64: 3.0}, {64: 0.5}, compile_s=7.0)
    assert save_calibration(name, calibration)
    assert load_calibration(name) == calibration
    others = itertools.product(("scene", "other"), ("NVIDIA Something", None), (16, 2))
    assert len({calibration_name(*other) for other in others}) == 8


@pytest.mark.parametrize(
    "kept",
    [
        [],
        {"step_s": 3},
        {"step_s": {"cpu": {"3": [1.0]}, "gpu": {"eight": [1.0]}}},
        {"step_s": {"cpu": {"0": [1.0], "9" * 5000: [1.0]}, "gpu": []}},
        {"step_s": {"cpu": {"8": ["fast", None, -1.0, True]}, "gpu": {"8": 1.0}}},
    ],
)
def test_a_calibration_that_nobody_measured_is_none(
    kept: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLDVERIFY_CACHE", str(tmp_path / "cache"))
    write_json("placement-x", kept)
    assert load_calibration("placement-x") == Calibration()
