"""Calls whose positions depend on where objects are, once the scene is known."""

from collections.abc import Mapping, Sequence
from typing import Any

from worldverify.action import ActionSpec
from worldverify.decode import Begin
from worldverify.skills import Catalogue


def resolved(
    spec: ActionSpec, calls: Sequence[Mapping[str, Any]], begin: Begin, model: Any, data: Any, names: Catalogue
) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    """Calls of skills with plain names and positions, and what a person should know."""
    return tuple(calls), ()
