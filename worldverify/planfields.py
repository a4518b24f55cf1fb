"""The actions of a plan, checked one field after the other: types, number, finite, units of orientation.

What depends on a scene (joint ranges, object names, reach) is checked where the plan is compiled.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldverify.action import LARGEST, MOBILE_SKILLS, ActionSpec, ArgumentKind
from worldverify.describe import describe, shorten
from worldverify.nearest import did_you_mean
from worldverify.refusal import Refusal
from worldverify.waypoint import Waypoint

GRIPPER_SLACK = 0.05  # of the opening; policies that succeed overshoot by this much
NORM_SLACK = 1e-3  # of an orientation, as written with four digits
NORM_EXACT = 1e-12  # nearer to 1 an orientation is left as it is, so that reading it again changes nothing
WHOLE_TURN = 2.0 * math.pi  # rad
TOKENS = (31744, 31999)  # the ids of OpenVLA's actions: decoding clips, so any other id would look like a full swing
_PLAIN_NUMBERS = frozenset((float, int))


class Fields:
    """Reads the fields of one plan and collects what was tolerated."""

    def __init__(self, spec: ActionSpec, task: str, path: str) -> None:
        self.spec = spec
        self.task = task  # how sentences name the task
        self.path = path  # how sentences name the list of actions
        self.warnings: list[str] = []
        self._clipped: list[str] = []
        self._rescaled: list[str] = []

    def array(self, value: object) -> NDArray[np.float64]:
        """Actions of a fixed width (T, width); of each chunk (n, chunk, width), those that are carried out."""
        table = self.table(self._unchunked(value), self.spec.width, self.path)
        self.check_length(len(table))
        if self.spec.normalisation.encoding == "tokens_256":
            self._check_tokens(table)
        table = self._clip_column(table)
        self._summarise()
        return table

    def table(self, value: object, width: int, path: str) -> NDArray[np.float64]:
        """Rows of finite numbers (T, width)."""
        if hasattr(value, "__array__"):
            table = self._from_array(value, width, path)
        else:
            if not isinstance(value, list | tuple):
                raise Refusal("wrong_type", f"{path} is {describe(value)}; it must be a list of actions.")
            self.check_length(len(value))
            rows = [self._row(row, width, f"{path}[{index}]") for index, row in enumerate(value)]
            table = np.array(rows, dtype=np.float64)
        self._check_table(table, path)
        return table

    def name(self, text: str, path: str) -> str:
        """A name that a file can hold."""
        check_unicode(text, path)
        return text

    def waypoints(self, value: object) -> tuple[Waypoint, ...]:
        """Poses of the gripper."""
        actions = self._actions(value)
        points = tuple(self._waypoint(item, f"{self.path}[{index}]") for index, item in enumerate(actions))
        self._check_times([point.time for point in points])
        self._summarise()
        return points

    def places(self, value: object) -> tuple[Mapping[str, object], ...]:
        """Places on the floor: {"position": (x, y)} with "yaw" and "time" where the model gives them."""
        actions = self._actions(value)
        places = tuple(self._place(item, f"{self.path}[{index}]") for index, item in enumerate(actions))
        self._check_times([place.get("time") for place in places])
        return places

    def skills(self, value: object) -> tuple[Mapping[str, object], ...]:
        """Calls of skills."""
        actions = self._actions(value)
        calls = tuple(self._skill(item, f"{self.path}[{index}]") for index, item in enumerate(actions))
        self._summarise()
        return calls

    def _actions(self, value: object) -> Sequence[object]:
        if not isinstance(value, list | tuple):
            raise Refusal("wrong_type", f"{self.path} is {describe(value)}; it must be a list of actions.")
        self.check_length(len(value))
        return value

    def check_length(self, count: int) -> None:
        """Refuses a list of actions that is empty, or longer than any plan."""
        if count == 0:
            raise Refusal("empty", f"{self.path} is empty; {self.task} wants at least one action.")
        if count > self.spec.horizon:
            raise Refusal(
                "too_long",
                f"{self.path} holds {count:,} actions; a plan holds at most {self.spec.horizon:,}.",
            )

    def _unchunked(self, value: object) -> object:
        """Chunks as one list of rows, each cut to the actions that are carried out before the next."""
        chunk, execute = self.spec.chunk, self.spec.execute
        if hasattr(value, "__array__"):
            array = value if isinstance(value, np.ndarray) else self._as_array(value, self.path)
            if array.ndim != 3 or chunk is None:
                return array
            if array.shape[1] != chunk:
                raise Refusal("wrong_width", f"{self.path} is an array of shape {array.shape}; {self._wants_chunks()}")
            return array[:, :execute].reshape(-1, array.shape[2])
        if not _is_nested(value):
            return value
        assert isinstance(value, list | tuple)
        rows: list[object] = []
        for index, one in enumerate(value):
            if chunk is None or not isinstance(one, list | tuple) or len(one) != chunk:
                raise Refusal("wrong_width", f"{self.path}[{index}] is {describe(one)}; {self._wants_chunks()}")
            rows += one[:execute]
        return rows

    def _wants_chunks(self) -> str:
        if self.spec.chunk is None:
            return f"{self.spec.name} is written in rows, not in chunks of rows."
        return f"{self.spec.name} has chunks of {self.spec.chunk} actions of {self.spec.width} numbers."

    def _check_tokens(self, table: NDArray[np.float64]) -> None:
        wrong = (table != np.round(table)) | (table < TOKENS[0]) | (table > TOKENS[1])
        if wrong.any():
            row, column = np.argwhere(wrong)[0].tolist()
            raise Refusal(
                "out_of_range",
                f"{self.path}[{row}][{column}] is {table[row, column]:g}, which is no token of an action; "
                f"they are {TOKENS[0]} to {TOKENS[1]}.",
            )

    def _row(self, row: object, width: int, path: str) -> list[float]:
        if not isinstance(row, list | tuple):
            raise Refusal("wrong_type", f"{path} is {describe(row)}; {self._wants(width)}")
        if len(row) != width:
            raise Refusal("wrong_width", f"{path} has {_values(len(row))}; {self._wants(width)}")
        if _PLAIN_NUMBERS.issuperset(map(type, row)):  # the common case, without a path for each number
            try:
                return list(map(float, row))
            except OverflowError:
                pass
        return [self._number(number, f"{path}[{index}]") for index, number in enumerate(row)]

    def _as_array(self, value: object, path: str) -> NDArray[np.generic]:
        try:
            array: NDArray[np.generic] = value if isinstance(value, np.ndarray) else np.asarray(value)
        except Exception as error:  # whatever another library's array raises
            raise Refusal("wrong_type", f"{path} cannot be read as an array: {shorten(str(error), 100)}.") from None
        return array

    def _from_array(self, value: object, width: int, path: str) -> NDArray[np.float64]:
        array = self._as_array(value, path)
        if array.dtype.kind not in "fiu" or isinstance(array, np.ma.MaskedArray):
            kind = "masked" if isinstance(array, np.ma.MaskedArray) else f"of type {array.dtype}"
            raise Refusal("wrong_type", f"{path} is an array {kind}; it must be a plain array of numbers.")
        if array.ndim != 2 or array.shape[1] != width:
            reason = f"{path} is an array of shape {array.shape}; {self._wants(width, '(T, width)')}"
            raise Refusal("wrong_width", reason)
        self.check_length(len(array))
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused as not finite
            return np.array(array, dtype=np.float64)

    def _check_table(self, table: NDArray[np.float64], path: str) -> None:
        for wrong in (~np.isfinite(table), np.abs(table) > LARGEST):
            if wrong.any():
                row, column = np.argwhere(wrong)[0].tolist()
                self._number(float(table[row, column]), f"{path}[{row}][{column}]")

    def _clip_column(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """The gripper's column within its range, where its numbers are not scaled."""
        scale = self.spec.normalisation
        if self.spec.gripper is None:
            return table
        column = self.spec.columns.index("gripper")
        scaled = scale.kind != "none" and (scale.mask is None or scale.mask[column])
        ranged = any(limits.component == "gripper" for limits in self.spec.ranges)
        if scaled or ranged or scale.encoding != "numbers":
            return table
        outside = (table[:, column] < self.spec.gripper.low) | (table[:, column] > self.spec.gripper.high)
        for row in np.flatnonzero(outside).tolist():
            table[row, column] = self._gripper(float(table[row, column]), f"{self.path}[{row}][{column}]")
        return table

    def _wants(self, width: int, shape: str = "") -> str:
        columns = self.spec.columns
        if width != len(columns):
            return f"{self.spec.name} wants {width} numbers."
        named = ", ".join(columns) if len(columns) <= 12 else f"{columns[0]} to {columns[-1]}"
        if shape:
            return f"{self.task} wants shape {shape} with width {len(columns)}: {named}."
        return f"{self.task} wants {len(columns)}: {named}."

    def _waypoint(self, value: object, path: str) -> Waypoint:
        grips = {} if self.spec.gripper is None else {"gripper": None}
        known = {"position": None, "orientation": None, **grips, "time": None}
        item = _object(value, path, known)
        if "position" not in item:
            raise Refusal("missing_key", f'{path} lacks "position": [x, y, z] in m.')
        gripper = self._number(item["gripper"], f"{path}.gripper") if "gripper" in item else None
        return Waypoint(
            position=self._position(item["position"], f"{path}.position"),
            orientation=self._orientation(item["orientation"], f"{path}.orientation")
            if "orientation" in item
            else None,
            gripper=None if gripper is None else self._gripper(gripper, f"{path}.gripper"),
            time=self._number(item["time"], f"{path}.time") if "time" in item else None,
        )

    def _place(self, value: object, path: str) -> Mapping[str, Any]:
        item = _object(value, path, {"position": None, "yaw": None, "time": None})
        if "position" not in item:
            raise Refusal("missing_key", f'{path} lacks "position": [x, y] in m.')
        place: dict[str, Any] = {"position": self._on_floor(item["position"], f"{path}.position")}
        if "yaw" in item:
            place["yaw"] = self._yaw(item["yaw"], f"{path}.yaw")
        if "time" in item:
            place["time"] = self._number(item["time"], f"{path}.time")
        return place

    def _on_floor(self, value: object, path: str) -> tuple[float, float]:
        x, y = self._vector(value, path, ("x", "y"), "a place on the floor in m")
        return x, y

    def _yaw(self, value: object, path: str) -> float:
        yaw = self._number(value, path)
        if abs(yaw) > WHOLE_TURN:
            raise Refusal(
                "out_of_range",
                f"{path} is {yaw:g}; a yaw is in rad, 0 along x and 1.57 along y, and at most a whole turn. "
                "Is it in degrees?",
            )
        return yaw

    def _position(self, value: object, path: str) -> tuple[float, float, float]:
        x, y, z = self._vector(value, path, ("x", "y", "z"), "a position in m")
        return x, y, z

    def _orientation(self, value: object, path: str) -> tuple[float, float, float, float]:
        w, x, y, z = self._vector(value, path, ("w", "x", "y", "z"), "a quaternion")
        norm = math.hypot(w, x, y, z)
        if abs(norm - 1.0) > NORM_SLACK:
            advice = "divide it by its norm" if norm > 0 else "[0, 1, 0, 0] points straight down"
            raise Refusal(
                "bad_quaternion",
                f"{path} has norm {norm:.6g}; a unit quaternion [w, x, y, z] has 1: {advice}.",
            )
        if abs(norm - 1.0) <= NORM_EXACT:
            return w, x, y, z
        if abs(norm - 1.0) > 1e-6:
            self._rescaled.append(path)
        return w / norm, x / norm, y / norm, z / norm

    def _vector(self, value: object, path: str, names: tuple[str, ...], what: str) -> list[float]:
        wanted = f"{what} is [{', '.join(names)}]"
        if not isinstance(value, list | tuple):
            raise Refusal("wrong_type", f"{path} is {describe(value)}; {wanted}.")
        if len(value) != len(names):
            raise Refusal("wrong_width", f"{path} has {_values(len(value))}; {wanted}.")
        if all(type(number) is float and -LARGEST <= number <= LARGEST for number in value):
            return list(value)  # as nearly always
        return [self._number(number, f"{path}[{index}]") for index, number in enumerate(value)]

    def _check_times(self, times: list[float | None]) -> None:
        given = [time for time in times if time is not None]
        if not given:
            return
        if len(given) != len(times):
            index = times.index(None)
            raise Refusal("bad_time", f'{self.path}[{index}] lacks "time"; give every waypoint one, or none.')
        before = None
        for index, time in enumerate(given):
            if time < 0 or (before is not None and time <= before):
                after = "0 or more" if before is None else f"more than the {before:g} s of the one before"
                raise Refusal("bad_time", f"{self.path}[{index}].time is {time:g} s; it must be {after}.")
            before = time

    def _skill(self, value: object, path: str) -> Mapping[str, object]:
        if isinstance(value, dict) and "skill" not in value:
            raise Refusal(
                "missing_key",
                f'{path} is {describe(value)} and lacks "skill": {", ".join(self.spec.skills)}.',
            )
        if not isinstance(value, dict):
            raise Refusal("wrong_type", f'{path} is {describe(value)}; a skill is {{"skill": name, ...}}.')
        name = value["skill"]
        if not isinstance(name, str):
            raise Refusal("wrong_type", f"{path}.skill is {describe(name)}; it must be the name of a skill.")
        if name not in self.spec.skills:
            hint = did_you_mean(name, self.spec.skills)
            raise Refusal("unknown_skill", f"{path}.skill is {shorten(name)}, which {self.task} does not have. {hint}")
        arguments = {**MOBILE_SKILLS[name].required, **MOBILE_SKILLS[name].optional}
        item = _object(value, path, {"skill": None, **arguments})
        for key, kind in MOBILE_SKILLS[name].required.items():
            if key not in item:
                raise Refusal("missing_key", f'{path} ({name}) lacks "{key}": {_KINDS[kind]}.')
        # In the order of the table, so that plans with the same content are written the same.
        return {
            "skill": name,
            **{key: self._argument(item[key], kind, f"{path}.{key}") for key, kind in arguments.items() if key in item},
        }

    def _argument(self, value: object, kind: ArgumentKind, path: str) -> object:
        if kind == "position" or (kind == "name or position" and isinstance(value, list | tuple)):
            return self._position(value, path)
        if kind == "orientation":
            return self._orientation(value, path)
        if kind == "place":
            return self._on_floor(value, path)
        if kind == "angle":
            return self._yaw(value, path)
        if kind in ("name", "name or position"):
            if not isinstance(value, str) or not value:
                raise Refusal("wrong_type", f"{path} is {describe(value)}; it must be {_KINDS[kind]}.")
            check_unicode(value, path)
            return value
        number = self._number(value, path)
        if number <= 0:
            raise Refusal("out_of_range", f"{path} is {number:g}; it must be {_KINDS[kind]}, more than 0.")
        return number

    def _number(self, value: object, path: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise Refusal("wrong_type", f"{path} is {describe(value)}; it must be a number.")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isnan(number):
            raise Refusal("not_finite", f"{path} is NaN; every value must be a finite number.")
        if math.isinf(number):
            raise Refusal("not_finite", f"{path} is infinite, or too large to be a number; every value must be finite.")
        if abs(number) > LARGEST:
            raise Refusal("out_of_range", f"{path} is {number:g}; no value of a plan is beyond {LARGEST:g}.")
        return number

    def _gripper(self, value: float, path: str) -> float:
        """The value within what open and closed span."""
        assert self.spec.gripper is not None
        low, high = self.spec.gripper.low, self.spec.gripper.high
        slack = GRIPPER_SLACK * (high - low)
        if not low - slack <= value <= high + slack:
            is_open, is_closed = self.spec.gripper.open, self.spec.gripper.closed
            takes = f"the gripper is {is_closed:g} closed to {is_open:g} open"
            if self.spec.gripper.mode == "relative":
                takes = f"a change of the gripper is {low:g} to {high:g}"
            raise Refusal("out_of_range", f"{path} is {value:g}; {takes}.")
        if not low <= value <= high:
            self._clipped.append(path)
        return min(max(value, low), high)

    def _summarise(self) -> None:
        for paths, what in (
            (self._clipped, "gripper values just outside of closed to open were clipped"),
            (self._rescaled, "orientations were scaled to norm 1"),
        ):
            if paths:
                self.warnings.append(f"{len(paths)} {what}, the first at {paths[0]}.")


def check_unicode(text: str, path: str) -> None:
    """Refuses half a surrogate pair, which no file can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Refusal("malformed", f"{path} is {shorten(text)}, which is not valid Unicode.") from None


_KINDS: dict[ArgumentKind, str] = {
    "name": "the name of a body or site",
    "position": "a position [x, y, z] in m",
    "name or position": "the name of a body or site, or a position [x, y, z] in m",
    "orientation": "a unit quaternion [w, x, y, z]",
    "length": "a length in m",
    "seconds": "a time in s",
    "place": "a place on the floor [x, y] in m",
    "angle": "an angle in rad",
}


def _object(value: object, path: str, known: Mapping[str, object]) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Refusal("wrong_type", f"{path} is {describe(value)}; it must be an object with {', '.join(known)}.")
    for key in value:
        if key not in known:
            raise Refusal("unknown_key", f"{path} has the unknown key {shorten(key)}. {did_you_mean(key, known)}")
    return value


def _is_nested(value: object) -> bool:
    """Whether a value is a list of lists of lists."""
    inner = value[0] if isinstance(value, list | tuple) and value else None
    return isinstance(inner, list | tuple) and bool(inner) and isinstance(inner[0], list | tuple)


def _values(count: int) -> str:
    return f"{count} value{'' if count == 1 else 's'}"
