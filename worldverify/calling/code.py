"""Programs that are lists of calls, read through their syntax tree. Nothing is ever executed.

Whitelisted calls, literals, arithmetic on literals, names, and loops over literals are read; where a program asks for
the position of an object, the answer stays symbolic. Everything else is refused with the name of the construct.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple, NoReturn

from worldverify.calling.arithmetic import Answer, binary, compared, literal, part, scaled_by, size, told
from worldverify.calling.constructs import LITERALLY, ONE_BY_ONE, REFUSED, construct, refusal
from worldverify.calling.position import Coordinate, Position, position_of
from worldverify.calling.text import Program, check, programs
from worldverify.describe import shorten
from worldverify.nearest import did_you_mean
from worldverify.refusal import Refusal

MAX_CALLS = 1_000
MAX_WORK = 100_000  # expressions looked at and values copied, loops unrolled


@dataclass(frozen=True)
class Signature:
    """How one function is called, and what its call means."""

    parameters: tuple[str, ...] = ()  # in the order of positional arguments
    optional: tuple[str, ...] = ()  # those of them that may be left out
    gives: Literal["action", "position", "answer", "nothing"] = "action"
    # action: a step of the plan. position: where the object that the first argument names is, kept symbolic.
    # answer: something known only on the robot. nothing: left out of the plan, as with say("...").
    width: int = 3  # coordinates of a position
    receiver: str = ""  # the object whose method it may also be: "robot" for robot.open_gripper()
    refused: str = ""  # why a call of it cannot be read: half a sentence


@dataclass(frozen=True)
class Call:
    """One step of the plan."""

    name: str
    arguments: Mapping[str, object]  # literals; lists and tuples are tuples; Coordinate and Position where symbolic
    line: int  # of the text, 1 is the first


class Query(NamedTuple):
    """A place where the program asks for a position."""

    of: str  # the object
    line: int
    after: int  # calls before it


class Calls(NamedTuple):
    """What a program says."""

    calls: tuple[Call, ...]  # in the order in which they would have run
    queries: tuple[Query, ...]
    warnings: tuple[str, ...]  # one sentence for everything that was tolerated


def read_calls(text: str | bytes, allowed: Mapping[str, Signature]) -> Calls:
    """The calls of the one program in `text`; `allowed` are the functions that it may call.

    Takes bounded time and memory whatever the text is. Raises Refusal, and nothing else.
    """
    found = programs(text, allowed)
    contents = {program.source.strip() for program in found.programs}
    names = ", ".join(f"{name}({', '.join(one.parameters)})" for name, one in allowed.items() if not one.refused)
    if not contents:
        raise Refusal("no_plan", f"The text holds no program, only prose. Call {names}.")
    if len(contents) > 1:
        lines = ", ".join(str(program.line) for program in found.programs[:8])
        raise Refusal(
            "ambiguous",
            f"The text holds {len(found.programs)} programs that differ, on lines {lines}. Write one, in one block.",
        )
    program = found.programs[0]
    warnings = list(found.warnings)
    if len(found.programs) > 1:
        warnings.append(f"The same program stands {len(found.programs)} times in the text; it was read once.")
    walk = _Walk(allowed)
    body = _parsed(program)
    if len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value, _DATA):
        raise Refusal("unknown_format", f"Line {body[0].lineno} holds data and no call. Call {names}.")
    try:
        walk.block(body)
    except RecursionError:  # the caller's own stack is nearly used up
        raise _too_deep() from None
    if not walk.calls:
        raise Refusal("no_plan", f"The program has no step for the robot. Call {names}.")
    return Calls(tuple(walk.calls), tuple(walk.queries), (*warnings, *walk.warnings()))


_DATA = ast.Dict | ast.List | ast.Tuple | ast.Set | ast.Constant


def _parsed(program: Program) -> list[ast.stmt]:
    check(program)
    try:
        # The newlines make the tree count lines as the text does.
        return ast.parse("\n" * (program.line - 1) + program.source).body
    except SyntaxError as error:
        line = error.lineno or program.line
        said = program.source.split("\n")[line - program.line : line - program.line + 1]
        what = f" ({shorten(said[0].strip())})" if said else ""
        raise Refusal("malformed", f"Line {line}{what} is not Python: {error.msg[:100]}.") from None
    except (RecursionError, MemoryError):
        raise _too_deep() from None
    except ValueError as error:  # a null character
        raise Refusal("malformed", f"The program is not Python: {str(error)[:100]}.") from None


def _too_deep() -> Refusal:
    return Refusal("too_deep", "The program is nested too deep. Write one call a line.")


class _Walk:
    """Follows the statements, and keeps the calls that they would make."""

    def __init__(self, allowed: Mapping[str, Signature]) -> None:
        self.allowed = allowed
        self.names: dict[str, object] = {}
        self.calls: list[Call] = []
        self.queries: list[Query] = []
        self.left_out: dict[str, list[int]] = {}  # function that gives nothing -> lines
        self.work = 0

    def warnings(self) -> Iterable[str]:
        """What was tolerated on the way."""
        for name, lines in self.left_out.items():
            times = "once" if len(lines) == 1 else f"{len(lines)} times, first"
            yield f"{name}(...) was left out ({times} on line {lines[0]}): it does not move the robot."
        late = [query for query in self.queries if query.after]
        if late:
            yield (
                f"Line {late[0].line} asks where {shorten(late[0].of)} is after the plan has begun; "
                "it was read as where it is at the start."
            )

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Statements, one after the other."""
        for node in body:
            self._spend(node)
            match node:
                case ast.Expr(value=ast.Call() as call):
                    self._call(call)
                case ast.Expr(value=ast.Constant(value=str())):
                    pass  # a remark between quotes
                case ast.Expr(value=value):
                    self._bare(value)
                case ast.Assign(targets=targets, value=value):
                    given = self._value(value)
                    for target in targets:
                        self._bind(target, given)
                case ast.AugAssign(target=ast.Name() as name, op=op, value=value):
                    self.names[name.id] = binary(node, self._lookup(name), op, self._value(value))
                case ast.For(orelse=[]):
                    for item in self._items(node.iter):
                        self._bind(node.target, item)
                        self.block(node.body)
                case ast.If():
                    self.block(node.body if self._condition(node.test) else node.orelse)
                case ast.Pass():
                    pass
                case ast.For():
                    raise refusal(node, "has a loop with else", ONE_BY_ONE)
                case ast.AugAssign():
                    raise refusal(node, "changes a list in place", "write the new list")
                case _:
                    raise construct(node)

    def _spend(self, node: ast.AST, amount: int = 1) -> None:
        self.work += amount
        if self.work > MAX_WORK:
            raise refusal(
                node, f"is reached after {MAX_WORK:,} steps of reading", "write fewer and shorter loops", "too_long"
            )

    def _bare(self, node: ast.expr) -> NoReturn:
        if isinstance(node, ast.Name):
            begun = [name for name in self.allowed if name.startswith(node.id)]
            what = "names a function without calling it" if node.id in self.allowed else "is only a name"
            hint = f"write {begun[0]}(...), if the text was not cut there" if begun else ONE_BY_ONE
            raise refusal(node, f"({shorten(node.id)}) {what}", hint)
        self._value(node)
        raise refusal(node, "holds a value that no call uses", "leave it out, or call a function with it")

    def _bind(self, target: ast.expr, value: object) -> None:
        if isinstance(target, ast.Name):
            if target.id in self.allowed:
                raise refusal(target, f"gives the function {target.id} another meaning", "use another name")
            self.names[target.id] = value
            return
        if isinstance(target, ast.Subscript):
            raise refusal(target, "changes a list in place", "write the new list")
        if not isinstance(target, ast.Tuple | ast.List):
            raise construct(target)
        items = value.coordinates if isinstance(value, Position) else value
        if not isinstance(items, tuple):
            raise refusal(target, f"unpacks {told(value)}", "unpack a list", "wrong_type")
        if len(items) != len(target.elts):
            raise refusal(
                target,
                f"unpacks {len(items)} values into {len(target.elts)} names",
                "write as many names",
                "wrong_width",
            )
        for name, item in zip(target.elts, items, strict=True):
            self._bind(name, item)

    def _items(self, node: ast.expr) -> Sequence[object]:
        """What a loop goes over."""
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("range", "zip", "enumerate")
        ):
            if node.keywords:
                raise refusal(node, f"gives {node.func.id} a named argument", "leave the name out")
            if node.func.id == "range":
                return self._range(node, [self._value(argument) for argument in node.args])
            lists = [self._items(argument) for argument in node.args]
            self._spend(node, sum(map(len, lists)))
            if node.func.id == "enumerate":
                if len(lists) != 1:
                    raise refusal(node, f"numbers {len(lists)} lists", "write enumerate(list)", "wrong_width")
                return tuple(enumerate(lists[0]))
            return tuple(zip(*lists, strict=False))  # the shortest ends it, as in Python
        return self._listed(node, self._value(node))

    def _range(self, node: ast.Call, values: list[object]) -> Sequence[object]:
        bounds = [value for value in values if type(value) is int]
        if len(bounds) != len(values) or not 1 <= len(bounds) <= 3 or bounds[2:] == [0]:
            raise refusal(node, "has a range that is not made of whole numbers", "write range(3)", "wrong_type")
        steps = range(*bounds)
        if len(steps) > MAX_CALLS:
            raise refusal(node, f"repeats {len(steps):,} times", f"repeat at most {MAX_CALLS:,} times", "too_long")
        return steps

    def _listed(self, node: ast.AST, value: object) -> tuple[object, ...]:
        if not isinstance(value, tuple):
            raise refusal(node, f"loops over {told(value)}", "loop over a list or range(n)", "wrong_type")
        return value

    def _condition(self, node: ast.expr) -> bool:
        value = self._value(node)
        if isinstance(value, Answer | Coordinate | Position):
            raise refusal(node, f"decides by {told(value)}", "write the calls without the condition")
        if not isinstance(value, bool):
            raise refusal(node, f"decides by {told(value)}", "write True or False, or a comparison", "wrong_type")
        return value

    def _value(self, node: ast.expr) -> object:
        self._spend(node)
        match node:
            case ast.Constant():
                return literal(node)
            case ast.Name():
                return self._lookup(node)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return tuple(self._value(item) for item in items)
            case ast.Dict():
                return self._dict(node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                return scaled_by(node, self._value(operand), -1 if isinstance(sign, ast.USub) else 1)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._condition(operand)
            case ast.BinOp(left=left, op=op, right=right):
                return binary(node, self._value(left), op, self._value(right))
            case ast.BoolOp(op=op, values=values):
                sides = (self._condition(value) for value in values)
                return all(sides) if isinstance(op, ast.And) else any(sides)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return compared(node, self._value(left), op, self._value(right))
            case ast.Subscript(value=value, slice=index) if not isinstance(index, ast.Slice):
                return part(node, self._value(value), self._value(index))
            case ast.Subscript(slice=index):
                raise construct(index)
            case ast.Call():
                return self._call(node)
            case _:
                raise construct(node)

    def _lookup(self, node: ast.Name) -> object:
        if node.id not in self.names:
            if node.id in self.allowed:
                raise refusal(node, f"uses the function {node.id} without calling it", f"write {node.id}(...)")
            raise refusal(node, f"uses the name {shorten(node.id)}", "no line before sets it")
        value = self.names[node.id]
        self._spend(node, size(value))
        return value

    def _dict(self, node: ast.Dict) -> Mapping[object, object]:
        items: dict[object, object] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            name = None if key is None else self._value(key)
            if not isinstance(name, str | int):
                raise refusal(node, "has a dict with keys that are no strings", "write {'name': value}", "wrong_type")
            if name in items:
                raise refusal(node, f"has a dict with the key {shorten(name)} twice", "write it once", "malformed")
            items[name] = self._value(item)
        return MappingProxyType(items)

    def _call(self, node: ast.Call) -> object:
        """A step, a question or nothing; what it gives where it stands in an expression."""
        self._spend(node)
        name, signature = self._function(node)
        if signature.refused:
            raise Refusal("unknown_skill", f"Line {node.lineno} calls {name}(), which {signature.refused}.")
        if signature.gives == "nothing":
            self._check_ignored(node)
            self.left_out.setdefault(name, []).append(node.lineno)
            return None
        arguments = self._arguments(node, name, signature)
        if signature.gives == "position":
            of = arguments[signature.parameters[0]]
            if not isinstance(of, str) or not of:
                raise refusal(node, f"asks {name}() for {told(of)}", "name one object", "wrong_type")
            self.queries.append(Query(of, node.lineno, len(self.calls)))
            return position_of(of, signature.width)
        if signature.gives == "action":
            if len(self.calls) >= MAX_CALLS:
                raise refusal(node, f"makes more than {MAX_CALLS:,} calls", "write fewer", "too_long")
            self.calls.append(Call(name, MappingProxyType(arguments), node.lineno))
        return Answer(name)

    def _function(self, node: ast.Call) -> tuple[str, Signature]:
        function = node.func
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            signature = self.allowed.get(function.attr)
            if signature is not None and signature.receiver == function.value.id:
                return function.attr, signature
            known = [f"{one.receiver}.{name}" for name, one in self.allowed.items() if one.receiver]
            said = f"{function.value.id}.{function.attr}"
            if function.value.id not in {one.receiver for one in self.allowed.values()}:
                raise construct(function)
            raise Refusal("unknown_skill", f"Line {node.lineno} calls {shorten(said)}. {did_you_mean(said, known)}")
        if isinstance(function, ast.Attribute):
            raise construct(function)
        if not isinstance(function, ast.Name):
            raise refusal(node, "calls something that is not a name", ONE_BY_ONE)
        if function.id not in self.allowed:
            known = [name for name, one in self.allowed.items() if not one.refused]
            hint = did_you_mean(function.id, known)
            raise Refusal(
                "unknown_skill",
                f"Line {node.lineno} calls {shorten(function.id)}, which is no function of this format. {hint}",
            )
        return function.id, self.allowed[function.id]

    def _arguments(self, node: ast.Call, name: str, signature: Signature) -> dict[str, object]:
        known = signature.parameters
        if len(node.args) > len(known):
            wanted = f"it takes {', '.join(known)}" if known else "it takes none"
            raise refusal(node, f"gives {name}() {len(node.args)} values", wanted, "wrong_width")
        given: list[tuple[str, ast.expr]] = list(zip(known, node.args, strict=False))
        for keyword in node.keywords:
            if keyword.arg is None:
                raise refusal(node, "unpacks with **", "write each value")
            given.append((keyword.arg, keyword.value))
        arguments: dict[str, object] = {}
        for parameter, value in given:
            if parameter not in known:
                hint = did_you_mean(parameter, known) if known else "It takes none."
                raise Refusal("unknown_key", f"Line {node.lineno} gives {name}() {shorten(parameter)}. {hint}")
            if parameter in arguments:
                raise refusal(node, f"gives {name}() its {parameter} twice", "give it once")
            arguments[parameter] = self._value(value)
            if isinstance(arguments[parameter], Answer):
                raise refusal(value, f"uses {told(arguments[parameter])}", LITERALLY)
        for parameter in known:
            if parameter not in arguments and parameter not in signature.optional:
                raise refusal(
                    node, f"calls {name}() without its {parameter}", f"write {name}({', '.join(known)})", "missing_key"
                )
        return arguments

    def _check_ignored(self, node: ast.Call) -> None:
        """What a call that is left out is given need not be read, but it may not hide a step of the plan."""
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            for inner in ast.walk(argument):
                self._spend(inner)
                if isinstance(inner, ast.Call) and self._function(inner)[1].gives not in ("position", "answer"):
                    raise refusal(inner, "has a call within a call that is left out", "call it on a line of its own")
                if type(inner) in REFUSED and not isinstance(inner, ast.JoinedStr | ast.IfExp | ast.Slice):
                    raise construct(inner)
