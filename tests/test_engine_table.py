"""What the README says of engines and tasks is what the engines say."""

import re
from pathlib import Path

import pytest

import worldverify as wv

pytestmark = pytest.mark.xdist_group("mjx")
README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.parametrize("name", wv.tasks())
def test_the_readme_says_which_engines_simulate_a_task(name: str) -> None:
    from worldverify.kernels.mjx_model import Unsupported, prepared

    row = re.search(rf"^\| .*\| `{name}` \|.*\| (.*) \|$", README, re.MULTILINE)
    assert row is not None
    can = ["C"]
    for impl, said in (("warp", "Warp"), ("jax", "JAX")):
        try:
            prepared(wv.load(name).scene.model, impl)
        except Unsupported as error:
            assert "cylinder" in str(error)
        else:
            can.append(said)
    assert row[1] == ", ".join(can)
