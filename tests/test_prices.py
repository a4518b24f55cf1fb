"""Price files: what is wrong with one is said in a sentence, and what it does not say is the shipped one's."""

from pathlib import Path

import pytest

from worldverify.billing.prices import BY_GPU, UNITS, PriceError, gpu_kind, load_prices, money_of

GOOD = 'source = "an invoice"\ndate = "2026-11"'


def file(folder: Path, text: str) -> Path:
    path = folder / "prices.toml"
    path.write_text(text)
    return path


def test_every_shipped_price_has_a_source_a_date_and_a_unit() -> None:
    told = load_prices().to_json()
    entries = [told[name] for name in UNITS] + [one for name in BY_GPU for one in told[name].values()]
    assert len(entries) > 10
    for entry in entries:
        assert entry["value"] > 0 and entry["source"] and entry["date"] >= "2020" and entry["unit"]
    assert told["gpu_hour"].keys() == told["gpu_watts"].keys()


def test_a_file_names_only_what_differs(tmp_path: Path) -> None:
    mine = load_prices(file(tmp_path, f"[vcpu_hour]\nvalue = 0.5\n{GOOD}\n[gpu_hour.B200]\nvalue = 7\n{GOOD}\n"))
    shipped = load_prices()
    assert (mine.vcpu_hour.value, mine.vcpu_hour.estimated) == (0.5, False)
    assert mine.gb_hour == shipped.gb_hour
    assert mine.gpu_hour["B200"].value == 7 and mine.gpu_hour["H100"] == shipped.gpu_hour["H100"]


def test_the_environment_names_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLDVERIFY_PRICES", str(file(tmp_path, 'currency = "EUR"')))
    assert load_prices().currency == "EUR"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[vcpu_hour]\nvalue = -1\n" + GOOD, "the value of vcpu_hour is a number from 0 on, per vCPU-hour; got -1"),
        ('[vcpu_hour]\nvalue = "cheap"\n' + GOOD, "is a number from 0 on, per vCPU-hour; got 'cheap'"),
        ("[vcpu_hour]\nvalue = true\n" + GOOD, "is a number from 0 on, per vCPU-hour; got True"),
        ("[kwh]\nvalue = nan\n" + GOOD, "the value of kwh is a number from 0 on, per kWh; got nan"),
        ("[kwh]\nvalue = inf\n" + GOOD, "the value of kwh is a number from 0 on, per kWh; got inf"),
        ("[kwh]\n" + GOOD, "kwh has no value. Write [kwh] value = 0.03"),
        ('[kwh]\nvalue = 1\ndate = "2026-11"', "kwh has no source"),
        ('[kwh]\nvalue = 1\nsource = "me"', "kwh has no date"),
        ('[kwh]\nvalue = 1\nsource = " "\ndate = "2026-11"', "the source of kwh says in words"),
        ('[kwh]\nvalue = 1\nsource = "me"\ndate = "last week"', "the date of kwh is YYYY-MM or YYYY-MM-DD"),
        ("[kwh]\nvalue = 1\nunit = 3\n" + GOOD, "kwh has an unknown key 'unit'"),
        ('[kwh]\nvalue = 1\nestimated = "no"\n' + GOOD, "estimated of kwh is true or false; got 'no'"),
        ("kwh = 0.08", "kwh is a table with value, source and date; got 0.08"),
        ("gpu_hour = 3", "gpu_hour is a table by kind of GPU, such as [gpu_hour.H100]; got 3"),
        ("[gpu_hour.H100]\nvalue = -3\n" + GOOD, "the value of gpu_hour.H100 is a number from 0 on"),
        ("[vcpu_hours]\nvalue = 1\n" + GOOD, "unknown entry 'vcpu_hours'. Did you mean 'vcpu_hour'?"),
        ("currency = 3", 'currency is a name such as "USD"; got 3'),
        ('power_included = "yes"', "power_included is true or false; got 'yes'"),
        ("[kwh\nvalue", "is not TOML"),
    ],
)
def test_what_is_wrong_with_a_price_file_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PriceError) as error:
        load_prices(file(tmp_path, text))
    assert said in str(error.value) and "prices.toml" in str(error.value)


def test_a_file_that_is_not_there_or_no_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match="cannot be read: No such file"):
        load_prices(tmp_path / "none.toml")
    (tmp_path / "image.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PriceError, match="cannot be read: it is not text"):
        load_prices(tmp_path / "image.toml")


def test_money_is_what_arithmetic_says(tmp_path: Path) -> None:
    entries = {"vcpu_hour": 0.04, "gb_hour": 0.01, "storage_gb_month": 0.3, "kwh": 0.5}
    text = "".join(f"[{name}]\nvalue = {value}\n{GOOD}\n" for name, value in entries.items())
    rented = load_prices(file(tmp_path, f"{text}[gpu_hour.H100]\nvalue = 3.6\n{GOOD}\n"))
    month = 30 * 24 * 3600
    asked = {"cpu_s": 7200.0, "gb_s": 3600.0, "gpu_s": 10.0, "gpu": "H100", "stored_byte_s": 2e9 * month}
    assert money_of(rented, **asked, joules=3.6e6) == pytest.approx(0.08 + 0.01 + 0.01 + 0.6)
    owned = load_prices(file(tmp_path, f"power_included = false\n{text}[gpu_hour.H100]\nvalue = 3.6\n{GOOD}\n"))
    assert money_of(owned, **asked, joules=3.6e6) == pytest.approx(0.7 + 0.5)


def test_a_gpu_without_a_price_is_said_with_those_that_have_one() -> None:
    with pytest.raises(PriceError, match=r"no gpu_hour for a GPU 'H10'\. .*H100"):
        money_of(load_prices(), gpu_s=1.0, gpu="H10")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA L40S", None),
        ("NVIDIA L4", "L4"),
        (None, None),
    ],
)
def test_a_gpu_is_found_by_what_its_driver_calls_it(name: str | None, kind: str | None) -> None:
    assert gpu_kind(name, load_prices()) == kind
