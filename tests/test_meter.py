"""The meter reads what the machine tells, marks what it estimates, and shares the process among its calls."""

import ctypes
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from worldverify.billing.meter import Meter
from worldverify.billing.nvml import Nvml
from worldverify.billing.prices import load_prices
from worldverify.billing.rapl import Rapl

PRICES = load_prices()


def domain(root: Path, name: str, title: str, energy: int, most: int = 10**9) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(title + "\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    (folder / "energy_uj").write_text(f"{energy}\n")
    return folder


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_only_packages_count_and_a_counter_may_wrap(tmp_path: Path) -> None:
    first = domain(tmp_path, "intel-rapl:0", "package-0", 900, most=999)
    domain(tmp_path, "intel-rapl:0:0", "core", 5)
    domain(tmp_path, "intel-rapl:1", "package-1", 100)
    domain(tmp_path, "intel-rapl:2", "psys", 5)
    rapl = Rapl(tmp_path)
    before = rapl.read()
    assert before == {"intel-rapl:0": 900, "intel-rapl:1": 100}
    (first / "energy_uj").write_text("50\n")
    after = rapl.read()
    assert after is not None and rapl.between(before, after) == pytest.approx(150e-6)


def test_no_counters_or_unreadable_ones_are_told(tmp_path: Path) -> None:
    assert Rapl(tmp_path / "none").reason == "this machine shows no RAPL counters"
    folder = domain(tmp_path, "intel-rapl:0", "package-0", 5)
    (folder / "energy_uj").write_text("no number")
    rapl = Rapl(tmp_path)
    assert rapl.read() is None and rapl.reason == "the RAPL counters cannot be read"


def test_counters_that_only_root_may_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    domain(tmp_path, "intel-rapl:0", "package-0", 5)

    def refuse(*args: Any, **options: Any) -> str:
        raise PermissionError(13, "Permission denied")

    rapl = Rapl(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", refuse)
        assert rapl.read() is None
    assert rapl.reason == "the RAPL counters may not be read by this user"


def test_where_energy_cannot_be_read_it_is_nameplate_power_and_marked(tmp_path: Path) -> None:
    meter = Meter(PRICES, powercap=tmp_path / "none")
    mark = meter.start()
    burn(0.05)
    reading = meter.since(mark)
    assert reading.cpu_s >= 0.05 and reading.joules == pytest.approx(reading.cpu_s * PRICES.cpu_watts.value)
    assert reading.estimated == ("joules",) and "nameplate power of the CPU" in reading.reasons[0]
    assert 0 < reading.gb_s < 1e3 * reading.wall_s and reading.peak_bytes > 1e7


def test_a_process_has_its_share_of_the_packages_energy(tmp_path: Path) -> None:
    folder = domain(tmp_path, "intel-rapl:0", "package-0", 0)
    stat = tmp_path / "stat"
    stat.write_text("cpu  0 0 0 1000 0 0 0 0 0 0\n")
    meter = Meter(PRICES, powercap=tmp_path, stat=stat)
    mark = meter.start()
    burn(0.05)
    (folder / "energy_uj").write_text("8000000\n")
    stat.write_text("cpu  100 0 100 2000 0 0 0 0 0 0\n")  # 200 ticks were busy, by whomever
    reading = meter.since(mark)
    busy = 200 / 100
    assert reading.estimated == () and reading.reasons == ()
    assert reading.joules == pytest.approx(8.0 * reading.cpu_s / busy, rel=1e-6)


def test_counters_that_vanish_meanwhile_make_an_estimate(tmp_path: Path) -> None:
    folder = domain(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = Meter(PRICES, powercap=tmp_path)
    mark = meter.start()
    (folder / "energy_uj").unlink()
    assert meter.since(mark).estimated == ("joules",)


class Driver:
    """A stand-in for NVIDIA's library."""

    def __init__(self, millijoules: int | None, devices: int = 1) -> None:
        self.millijoules, self.devices = millijoules, devices

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        ctypes.cast(count, ctypes.POINTER(ctypes.c_uint))[0] = self.devices
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, handle: Any) -> int:
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, value: Any) -> int:
        if self.millijoules is None:
            return 3
        ctypes.cast(value, ctypes.POINTER(ctypes.c_ulonglong))[0] = self.millijoules
        return 0


def test_a_gpu_with_a_counter_is_measured(tmp_path: Path) -> None:
    driver = Driver(1000, devices=2)
    meter = Meter(PRICES, gpu="NVIDIA H100 80GB HBM3", powercap=tmp_path / "none", nvml=Nvml(driver))
    mark = meter.start()
    driver.millijoules = 4000
    reading = meter.since(mark, gpu_s=1.0)
    assert meter.gpu == "H100"
    assert reading.joules == pytest.approx(2 * 3.0 + reading.cpu_s * PRICES.cpu_watts.value)


def test_a_gpu_without_a_counter_or_a_driver_is_estimated_or_left_out(tmp_path: Path) -> None:
    blind = Meter(PRICES, gpu="NVIDIA H100", powercap=tmp_path, nvml=Nvml(Driver(None)))
    reading = blind.since(blind.start(), gpu_s=2.0)
    assert reading.joules == pytest.approx(1400 + reading.cpu_s * PRICES.cpu_watts.value)
    assert "the GPU has no energy counter: nameplate power of the GPU" in reading.reasons[1]
    unknown = Meter(PRICES, gpu="NVIDIA T1", powercap=tmp_path, nvml=Nvml(Driver(None)))
    assert "its energy is left out" in unknown.since(unknown.start(), gpu_s=2.0).reasons[1]


def test_a_machine_without_a_driver_has_no_nvml() -> None:
    nvml = Nvml()
    if nvml.reason is None:
        pytest.skip("This machine has an NVIDIA driver.")
    assert nvml.read() is None and nvml.reason in ("there is no NVML library", "NVML finds no GPU")


def test_calls_side_by_side_have_together_what_the_process_took() -> None:
    parts: list[float] = []

    def call() -> None:
        meter = Meter(PRICES)
        mark = meter.start()
        burn(0.2)
        parts.append(meter.since(mark).cpu_s)

    threads = [threading.Thread(target=call) for _ in range(3)]
    before = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(parts) == pytest.approx(time.process_time() - before, rel=0.05)


def test_work_within_work_is_part_of_it() -> None:
    meter = Meter(PRICES)
    outer = meter.start()
    inner = meter.start()
    burn(0.1)
    assert meter.since(inner).cpu_s >= 0.1
    burn(0.1)
    assert meter.since(outer).cpu_s >= 0.2


def test_processes_that_were_waited_for_count_where_that_is_asked_for() -> None:
    meter, own = Meter(PRICES, children=True), Meter(PRICES)
    marks = meter.start(), own.start()
    subprocess.run([sys.executable, "-I", "-c", "sum(range(10_000_000))"], check=True)
    assert meter.since(marks[0]).cpu_s > own.since(marks[1]).cpu_s + 0.05


def test_a_call_that_an_exception_ended_takes_no_part_any_more() -> None:
    meter = Meter(PRICES)
    mark = meter.start()
    del mark
    other = meter.start()
    burn(0.1)
    assert meter.since(other).cpu_s >= 0.1
