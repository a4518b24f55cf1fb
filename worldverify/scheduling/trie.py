"""Plans as a tree of what they have in common: each edge is simulated once."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from worldverify.kernels.prefixes import prefixes

Floats = NDArray[np.float64]


@dataclass(eq=False)
class Edge:
    """Control periods that some plans have in common. The edges below it begin where it ends, and differ at once."""

    first: int  # control period
    last: int  # the period after it
    plans: list[int]  # all that go this way, first in the call first
    below: list["Edge"] = field(default_factory=list)


def every_plan(plans: int, periods: int) -> list[Edge]:
    """Each plan by itself."""
    return [Edge(0, periods, [plan]) for plan in range(plans)]


def trie(starts: Floats, rows: Sequence[Floats]) -> list[Edge]:
    """The edges at the start states (B, nstate) of plans (P, nu) of equal length, in the order of the call."""
    matrix = np.stack(rows)
    periods = matrix.shape[1]
    order, shared = prefixes(np.ascontiguousarray(starts), matrix)
    roots: list[Edge] = []
    path: list[Edge] = []  # from a root to the plan before
    for plan, common in zip(order.tolist(), shared.tolist(), strict=True):
        while path and (common <= 0 or path[-1].first >= common):
            path.pop()
        if not path:
            path = [Edge(0, periods, [])]
            roots.append(path[0])
        elif common < path[-1].last:
            over = path[-1]
            rest = Edge(common, over.last, list(over.plans), over.below)
            over.last, over.below = common, [rest]
        if path[-1].last < periods:
            leaf = Edge(path[-1].last, periods, [])
            path[-1].below.append(leaf)
            path.append(leaf)
        for edge in path:
            edge.plans.append(plan)
    _in_order(roots)
    return roots


def _in_order(edges: list[Edge]) -> None:
    """The plans of every edge, and the edges, in the order of the call."""
    stack = [edges]
    while stack:
        level = stack.pop()
        for edge in level:
            edge.plans.sort()
            stack.append(edge.below)
        level.sort(key=lambda edge: edge.plans[0])
