"""How much verifier a generator needs: arithmetic by hand, and files of generators with what is wrong said."""

from pathlib import Path

import pytest

from worldverify.billing.generators import GeneratorError, generator_of, load_generators
from worldverify.billing.prices import load_prices
from worldverify.billing.ratio import Rate, ratio

GOOD = """
what = "mine"
gpu = "H100"
gpus = 2
tokens_per_s = 1000
tokens_per_plan = 100
source = "a measurement"
date = "2026-11"
"""


def file(folder: Path, text: str) -> Path:
    path = folder / "generators.toml"
    path.write_text(text)
    return path


def test_every_shipped_generator_has_a_priced_gpu_a_source_and_a_rate() -> None:
    prices = load_prices()
    for generator in load_generators().values():
        assert generator.plans_per_s > 0 and generator.source and generator.date
        assert generator.watts(prices) > 0 and generator.money_per_hour(prices) > 0


def test_the_ratio_is_what_arithmetic_says(tmp_path: Path) -> None:
    mine, prices = load_generators(file(tmp_path, "[mine]" + GOOD))["mine"], load_prices()
    verifier = Rate("all rules", cpu_s=0.5, joules=2.0, money=1e-5, source="by hand")
    found = ratio(mine, verifier, prices, (2, 4, 8))
    assert found.plans_per_s == 10 and found.cores == 5
    assert found.power_ratio == pytest.approx(20 / 1400) and found.megawatts_beside_100 == pytest.approx(
        100 * 20 / 1400
    )
    assert found.cost_ratio == pytest.approx(10 * 1e-5 * 3600 / 6.0)
    assert found.busy == {2: pytest.approx(0.4), 4: pytest.approx(0.8), 8: 1.0}
    told = found.to_json()
    assert told["generator"]["plans_per_s"] == 10 and told["busy"][0] == {"cores": 2, "share": pytest.approx(0.4)}


def test_a_file_adds_to_the_shipped_ones(tmp_path: Path) -> None:
    assert load_generators(file(tmp_path, "[mine]" + GOOD)).keys() == load_generators().keys() | {"mine"}


def test_a_name_with_a_typo_is_corrected() -> None:
    with pytest.raises(GeneratorError, match=r"No generator 'vlm-7b-h10'\. Did you mean 'vlm-7b-h100'\?"):
        generator_of("vlm-7b-h10", load_generators())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("tokens_per_s = 1000", "tokens_per_s = 0"), "tokens_per_s of mine is a number above 0; got 0"),
        (("tokens_per_s = 1000", "tokens_per_s = nan"), "tokens_per_s of mine is a number above 0; got nan"),
        (("tokens_per_plan = 100", 'tokens_per_plan = "many"'), "tokens_per_plan of mine is a number above 0"),
        (("gpus = 2", "gpus = 1.5"), "gpus of mine is a whole number from 1 on; got 1.5"),
        (("gpus = 2\n", ""), "mine has no gpus"),
        (('gpu = "H100"', "gpu = 100"), "gpu of mine is a text; got 100"),
        (('date = "2026-11"', 'date = "soon"'), "the date of mine is YYYY-MM"),
        (("what =", "wath = 1\nwhat ="), "mine has an unknown key 'wath'. Did you mean 'what'?"),
        (('date = "2026-11"', 'date = "2026-11"\nestimated = "no"'), "estimated of mine is true or false"),
    ],
)
def test_what_is_wrong_with_a_generator_is_said(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises(GeneratorError) as error:
        load_generators(file(tmp_path, "[mine]" + GOOD.replace(*change)))
    assert said in str(error.value)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="cannot be read: No such file"):
        load_generators(tmp_path / "none.toml")
    with pytest.raises(GeneratorError, match="is not TOML"):
        load_generators(file(tmp_path, "[mine"))
    with pytest.raises(GeneratorError, match=r"mine is a table, \[mine\]; got 3"):
        load_generators(file(tmp_path, "mine = 3"))
