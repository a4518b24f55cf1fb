"""How sentences name a value that was found where another was wanted."""


def describe(value: object) -> str:
    """A JSON value in a few words, for a sentence that says why it was not read."""
    if isinstance(value, dict):
        if not value:
            return "an empty object"
        return f"an object with {_keys(value)}"
    if isinstance(value, list | tuple):
        return _describe_list(list(value))
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, float | int):
        return f"the number {shorten(value)}"
    if isinstance(value, str):
        return f"the string {shorten(value)}"
    return "null" if value is None else f"a Python {type(value).__name__}"


def shorten(value: object, limit: int = 40) -> str:
    """How a value is quoted in a sentence: as Python prints it, on one line, at most `limit` characters."""
    if isinstance(value, int) and abs(value) > 10**limit:
        return "a whole number of very many digits"
    if isinstance(value, str) and len(value) > limit:
        return repr(value[: limit - 3] + "...")
    try:
        shown = repr(value)
    except Exception:  # a caller's own object, or a number with more digits than Python prints
        return f"a Python {type(value).__name__}"
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def place(text: str, at: int) -> str:
    """Where the character `at` of a text stands, as an editor shows it."""
    line = text.count("\n", 0, at) + 1
    return f"line {line}, column {at - text.rfind(chr(10), 0, at)}"


def _describe_list(items: list[object]) -> str:
    if not items:
        return "an empty list"
    first, kind = items[0], _kind(items[0])
    if any(_kind(item) != kind for item in items):
        return f"a list of {len(items)} values of mixed types"
    if isinstance(first, dict):
        return f"a list of {_counted(len(items), 'object')} with {_keys(first, nested=False)}"
    if isinstance(first, list | tuple) and first:
        return f"a list of {_counted(len(items), 'list')} of {_counted(len(first), _kind(first[0]))}"
    return f"a list of {_counted(len(items), kind)}"


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float | int):
        return "number"
    kinds = {str: "string", dict: "object", list: "list", tuple: "list", type(None): "null"}
    return kinds.get(type(value), type(value).__name__)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _keys(value: dict[object, object], *, nested: bool = True) -> str:
    """The names of some keys, and the lists that they hold: there one sees what was meant as actions."""
    shown = []
    for key, item in list(value.items())[:6]:
        inside = f" ({_describe_list(item)})" if nested and isinstance(item, list) else ""
        shown.append(shorten(key) + inside)
    more = f" and {len(value) - 6} more" if len(value) > 6 else ""
    return f"the key{'' if len(value) == 1 else 's'} {', '.join(shown)}{more}"
