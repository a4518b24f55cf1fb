"""Points and boxes of an image, with what the model calls them."""

import json
import re
from collections.abc import Mapping

from worldverify.action import ActionSpec
from worldverify.describe import describe, shorten
from worldverify.literal import BrokenValue, ValueParser
from worldverify.nearest import did_you_mean
from worldverify.planfields import Fields
from worldverify.refusal import Refusal
from worldverify.syntax.form import Actions, Form, is_row

POINTS = {"point": "point", "point_2d": "point", "box_2d": "box", "bbox_2d": "box", "box": "box"}
ANSWER = "answer"  # RoboBrain: what was found, as a string, beside its thoughts


def example(spec: ActionSpec) -> str:
    """The shape, in the order of the contract."""
    order = "y, x" if spec.image is not None and spec.image.order == "yx" else "x, y"
    return f'[{{"point": [{order}], "label": "cube"}}, ...]'


def is_plan(value: object) -> bool:
    """Points with labels, bare points, a box, or an object whose answer is one of these."""
    if isinstance(value, dict):
        return ANSWER in value or any(key in value for key in POINTS)
    if not isinstance(value, list) or not value:
        return False
    first = value[0]
    return is_row(value) or is_row(first) or (isinstance(first, dict) and any(key in first for key in POINTS))


def parse(value: object, fields: Fields) -> Actions:
    """{"point": [...], "label"} or {"box": [...], "label"} each, in the order in which they were written."""
    if isinstance(value, Mapping) and ANSWER in value:
        value = _answer(value[ANSWER])
    if isinstance(value, Mapping) or is_row(value):
        value = [value]
    if not isinstance(value, list | tuple):
        raise Refusal("wrong_type", f"The plan is {describe(value)}; it must be {example(fields.spec)}.")
    fields.check_length(len(value))
    return tuple(_mark(item, f"{fields.path}[{i}]", fields) for i, item in enumerate(value))


def write(actions: Actions, spec: ActionSpec) -> str:
    """The points as JSON."""
    return json.dumps([dict(action) for action in actions if isinstance(action, Mapping)])


def _answer(value: object) -> object:
    """The value inside a string such as '[(318, 445), (293, 466)]'."""
    if not isinstance(value, str):
        return value
    start = re.search(r"\[", value)
    if start is None:
        raise Refusal("no_plan", f"The answer is {shorten(value)}, which holds no list of points.")
    parser = ValueParser(value, start.start())
    try:
        parser.run()
    except BrokenValue as error:
        raise Refusal("malformed", f"The answer {shorten(value)} is broken: {error.why}.") from None
    return parser.root


def _mark(item: object, path: str, fields: Fields) -> Mapping[str, object]:
    """One point or box."""
    if is_row(item):
        assert isinstance(item, list | tuple)
        item = {"box" if len(item) == 4 else "point": item}
    if not isinstance(item, Mapping):
        raise Refusal("wrong_type", f"{path} is {describe(item)}; it must be one of {example(fields.spec)}.")
    for key in item:
        if key not in POINTS and key != "label":
            hint = did_you_mean(key, [*POINTS, "label"])
            raise Refusal("unknown_key", f"{path} has the unknown key {shorten(key)}. {hint}")
    found = [key for key in item if key in POINTS]
    if len(found) != 1:
        raise Refusal("missing_key", f"{path} is {describe(dict(item))}; it needs one point or one box.")
    kind = POINTS[found[0]]
    width = 4 if kind == "box" else 2
    numbers = fields.table([item[found[0]]], width, f"{path}.{found[0]}")[0].tolist()
    mark: dict[str, object] = {kind: numbers}
    if item.get("label") is not None:
        label = item["label"]
        if not isinstance(label, str):
            raise Refusal("wrong_type", f"{path}.label is {describe(label)}; it must be a name.")
        mark["label"] = fields.name(label, f"{path}.label")
    return mark


FORMS = {"points": Form(None, example, is_plan, parse, write)}
