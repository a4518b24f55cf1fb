"""The presets as a table: complete, valid, described, and never a guess."""

import inspect
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from worldverify.action import PLAIN, SKILLS, ActionSpec, Image, Normalisation
from worldverify.presets import AMBIGUOUS, PRESETS, describe_preset, names, preset

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "presets.md"
NEED_STATISTICS = {
    "openvla-bridge",
    "openvla-libero",
    "openvla-oft-libero",
    "openvla-oft-bridge",
    "openvla-oft-aloha",
    "lerobot-so101-range100",
}
FIXED_DEFAULTS = {
    name: preset(name).to_json() for name in ("openvla-libero", "voxel-bins", "gemini-er-calls", "cap-calls")
}


def normalisations(spec: ActionSpec) -> list[Normalisation]:
    return [spec.normalisation, *(each for _, arm in spec.arms for each in normalisations(arm))]


def docstring(name: str) -> str:
    module, function = PRESETS[name].split(":")
    return inspect.getdoc(getattr(import_module(module), function)) or ""


def rows_of_the_page() -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines()]
    return {row[0].strip("`"): row for row in cells if len(row) > 3 and row[0].startswith("`")}


@pytest.mark.parametrize("name", names())
def test_a_preset_is_a_valid_contract_of_its_own_name_and_survives_json(name: str) -> None:
    spec = preset(name)
    assert spec.name == name
    assert ActionSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize("name", names())
def test_no_preset_carries_statistics(name: str) -> None:
    spec = preset(name)
    assert all(scale.first is None and scale.second is None for scale in normalisations(spec))
    assert spec.needs_statistics == (name in NEED_STATISTICS)


@pytest.mark.parametrize("name", names())
def test_a_preset_is_described_in_a_sentence_and_says_its_source(name: str) -> None:
    sentence = describe_preset(name)
    assert re.fullmatch(r"[^ ].{20,118}\.", sentence)
    assert re.search(r"\bSources?:\s", docstring(name))


@pytest.mark.parametrize("name", names())
def test_a_preset_stands_in_the_table_of_the_page_with_its_version_shape_and_rate(name: str) -> None:
    spec = preset(name)
    row = rows_of_the_page()[name]
    assert spec.version in row[1]
    if spec.layout:
        shape = f"{spec.chunk} x {spec.width}" if spec.chunk else str(spec.width)
        assert shape == row[3]
        assert ("-" if spec.rate_hz is None else f"{spec.rate_hz:g} Hz") == row[6]
        assert ("yes" if spec.needs_statistics else "no") == row[7]


def test_the_page_lists_no_other_preset() -> None:
    assert set(rows_of_the_page()) == set(PRESETS)


def test_an_ambiguous_name_is_refused_with_every_name_that_it_could_mean() -> None:
    for alias, meant in AMBIGUOUS.items():
        assert alias not in PRESETS
        assert len(meant) >= 2
        assert set(meant) <= set(PRESETS)
        with pytest.raises(ValueError, match="could mean") as error:
            preset(alias)
        assert all(name in str(error.value) for name in meant)
        assert alias in PAGE.read_text()


def test_openpi_droid_is_two_contracts_of_the_same_width() -> None:
    velocity, position = (preset(name) for name in AMBIGUOUS["openpi-droid"])
    assert velocity.width == position.width == 8
    assert {kind for _, kind in velocity.representation} == {"velocity"}
    assert {kind for _, kind in position.representation} == {"absolute"}


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="Did you mean 'openvla-libero'"):
        preset("openvla-libreo")
    with pytest.raises(ValueError, match="No preset 'xyz'"):
        describe_preset("xyz")


def test_a_field_or_an_argument_may_be_changed() -> None:
    assert preset("chat-calls", position_unit="cm").position_unit == "cm"
    assert preset("openvla-libero", normalisation=PLAIN).needs_statistics is False
    assert preset("gemini-er-points", camera="wrist", use="path").frame == "camera:wrist"
    moved = preset("voxel-bins", lower=(0.0, 0.0, 0.0), upper=(1.0, 2.0, 4.0))
    assert moved.ranges[0].to_low == pytest.approx((0.005, 0.01, 0.02))
    assert preset("openpi-libero", chunk=50, execute=10).chunk == 50


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 5.0}, "no field 'rate'"),
        ({"name": "mine"}, "no field 'name'"),
        ({"rate_hz": -1.0}, "rate_hz"),
        ({"frame": "moon"}, "frame"),
    ],
)
def test_a_change_that_a_contract_cannot_have_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        preset("libero-osc_pose-1.4", **changes)


def test_statistics_of_two_arms_are_given_in_one_piece() -> None:
    first, second = tuple(map(float, range(14))), tuple(map(float, range(1, 15)))
    scale = Normalisation("min_max", "numbers", first, second, 1e-8, None, -1.0, 1.0)
    spec = preset("openvla-oft-aloha", normalisation=scale)
    assert not spec.needs_statistics
    assert [arm.normalisation.first for _, arm in spec.arms] == [first[:7], first[7:]]


def test_changing_a_copy_leaves_the_preset_as_it_is() -> None:
    preset("openvla-libero", rate_hz=10.0)
    preset("voxel-bins", lower=(0.0, 0.0, 0.0))
    for name, before in FIXED_DEFAULTS.items():
        assert preset(name).to_json() == before


def test_the_contracts_that_one_environment_reads_agree_on_its_controller() -> None:
    env = preset("libero-osc_pose-1.4")
    for name in ("openvla-libero", "openvla-oft-libero", "openpi-libero", "gr00t-parts"):
        spec = preset(name)
        for field in ("controller", "ranges", "representation", "rotation", "rotation_side", "frame", "rate_hz"):
            assert getattr(spec, field) == getattr(env, field), (name, field)
        assert spec.gripper is not None and env.gripper is not None
        assert spec.gripper.step == env.gripper.step


def test_gemini_calls_of_the_notebook_and_of_the_documentation_count_from_the_same_point() -> None:
    documented, notebook = (preset(name).image for name in ("gemini-er-calls", "gemini-cookbook-calls"))
    assert isinstance(documented, Image)
    assert isinstance(notebook, Image)
    assert (documented.order, notebook.order) == ("xy", "yx")
    assert documented.origin == notebook.origin[::-1]


def test_formats_of_calls_may_call_every_skill() -> None:
    symbolic = [preset(name) for name in names() if preset(name).space == "skill"]
    assert len(symbolic) == 5
    assert all(spec.skills == tuple(SKILLS) for spec in symbolic)


def test_looking_up_one_preset_does_not_load_the_others() -> None:
    code = (
        "import sys; from worldverify.presets import preset; preset('fetch-v4');"
        "loaded = [m for m in sys.modules if m.startswith('worldverify.presets.')];"
        "assert sorted(loaded) == ['worldverify.presets.fetch', 'worldverify.presets.kinds'], loaded;"
        "assert not {'jax', 'warp', 'scipy', 'matplotlib', 'pyarrow', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
