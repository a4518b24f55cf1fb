"""What programs may not hold if they are only read: each construct by name, and what to write instead."""

import ast

from worldverify.describe import shorten
from worldverify.refusal import Refusal

ONE_BY_ONE = "write the calls themselves, one after the other"
LITERALLY = "write the value itself"
REFUSED: dict[type[ast.AST], tuple[str, str]] = {  # construct -> what the line does, what would work
    ast.FunctionDef: ("defines a function", ONE_BY_ONE),
    ast.AsyncFunctionDef: ("defines a function", ONE_BY_ONE),
    ast.Lambda: ("defines a function (lambda)", ONE_BY_ONE),
    ast.ClassDef: ("defines a class", ONE_BY_ONE),
    ast.While: ("loops with while", "write the calls themselves, or loop over a list with for"),
    ast.AsyncFor: ("loops with async for", ONE_BY_ONE),
    ast.Import: ("imports a module", "leave the import out and write plain numbers and lists"),
    ast.ImportFrom: ("imports from a module", "leave the import out; the functions are there"),
    ast.Return: ("returns from a function", ONE_BY_ONE),
    ast.Delete: ("deletes something with del", "leave it out"),
    ast.Try: ("catches errors with try", ONE_BY_ONE),
    ast.With: ("opens something with with", ONE_BY_ONE),
    ast.AsyncWith: ("opens something with async with", ONE_BY_ONE),
    ast.Raise: ("raises an error", "leave it out"),
    ast.Assert: ("checks something with assert", "leave it out"),
    ast.Global: ("declares a global name", "leave it out"),
    ast.Nonlocal: ("declares a nonlocal name", "leave it out"),
    ast.AnnAssign: ("declares a type", "leave the type out"),
    ast.Break: ("leaves a loop with break", "loop over the items that are meant"),
    ast.Continue: ("skips with continue", "loop over the items that are meant"),
    ast.Match: ("chooses with match", ONE_BY_ONE),
    ast.ListComp: ("builds a list with a comprehension", LITERALLY),
    ast.SetComp: ("builds a set with a comprehension", LITERALLY),
    ast.DictComp: ("builds a dict with a comprehension", LITERALLY),
    ast.GeneratorExp: ("builds values with a generator", LITERALLY),
    ast.Set: ("holds a set", "write a list"),
    ast.Await: ("awaits something", "call it without await"),
    ast.Yield: ("yields a value", ONE_BY_ONE),
    ast.YieldFrom: ("yields values", ONE_BY_ONE),
    ast.NamedExpr: ("sets a name inside an expression (:=)", "set it on a line of its own"),
    ast.Starred: ("unpacks with *", "write each value"),
    ast.JoinedStr: ("formats a string (f-string)", "write the string itself"),
    ast.IfExp: ("chooses with if ... else", LITERALLY),
    ast.Slice: ("takes a slice", "write each value, as in [p[0], p[1]]"),
    ast.Attribute: ("uses an attribute", "write plain numbers, lists and calls of the listed functions"),
}


def refusal(node: ast.AST, what: str, instead: str, code: str = "malformed") -> Refusal:
    """Says what the line of a node does, and what would have been read."""
    return Refusal(code, f"Line {getattr(node, 'lineno', 1)} {what}; {instead}.")


def construct(node: ast.AST) -> Refusal:
    """For a construct that is never read."""
    what, instead = REFUSED.get(type(node), (f"holds a construct ({type(node).__name__})", LITERALLY))
    if isinstance(node, ast.Import | ast.ImportFrom):
        module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        what = f"imports {shorten(module or '.')}"
    if isinstance(node, ast.Attribute):
        what = f"uses the attribute .{shorten(node.attr).strip(chr(39))}"
    return refusal(node, what, instead)
