"""Success semantics are read off the goals."""

import pytest

from worldverify.spec import Spec
from worldverify.success import Success, success_of

CASES = {
    "reached: eventually(inside(a, b))": Success(True, None, False, False),
    "held: eventually[0,6](always[0,0.5](inside(a, b)))": Success(False, 0.5, False, False),
    "stays: at_end(inside(a, b))": Success(False, None, True, False),
    "safe: always(contact_load(a, b) < 3 N)": Success(False, None, False, False),
    "let_go: eventually(always[0,1](inside(a, b) and contact_load(hand, a) < 0.1 N))": Success(False, 1.0, False, True),
    "let_go: at_end(0.1 N > contact_force(hand, a))": Success(False, None, True, True),
    "grasped: at_end(contact_load(hand, a) > 0.5 N)": Success(False, None, True, False),
    "order: (pos(a).z < 1 m) until (inside(a, b))": Success(True, None, False, False),
    "kept: eventually(always(inside(a, b)))": Success(False, None, True, False),
    "go: eventually(always[0,1](inside(a, b))) and always(inside(a, c) implies eventually(inside(a, b)))": Success(
        False, 1.0, True, False
    ),
    "first: eventually(inside(a, b) and eventually(always[0,2](inside(a, c))))": Success(False, 2.0, False, False),
}


@pytest.mark.parametrize(("text", "wanted"), CASES.items(), ids=[text.split(":")[1].strip() for text in CASES])
def test_what_a_goal_asks_for(text: str, wanted: Success) -> None:
    assert success_of(Spec.parse(text)) == wanted


def test_a_goal_to_be_kept_to_the_horizon_is_final() -> None:
    assert str(success_of(Spec.parse("a: eventually(always[0,0.5](inside(a, b)))\nb: at_end(inside(a, b))"))) == (
        "held 0.5 s, final"
    )
    assert str(success_of(Spec.parse("a: always(inside(a, b))"))) == "guards only"
