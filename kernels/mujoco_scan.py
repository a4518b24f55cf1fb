"""The arithmetic of the trust checks sample by sample, to be compiled: one pass over a record where NumPy takes forty.

Says what `kernels.mujoco_checks` says with NumPy; where numba is not installed, that is what runs.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from worldverify.kernels.engine import Fault

Array = Any

CRUSHED, SUSPECT = 1, 2  # what must be looked at more closely

_NOT_FINITE, _ABSURD = int(Fault.NOT_FINITE), int(Fault.ABSURD)
_UNBALANCED, _UNCONVERGED, _ENERGISED = int(Fault.UNBALANCED), int(Fault.UNCONVERGED), int(Fault.ENERGISED)


@cache
def compiled() -> Callable[..., None] | None:
    """`scan` as machine code that runs without Python's lock; None where numba is missing or switched off."""
    try:
        import numba
    except ImportError:
        return None
    if getattr(numba.config, "DISABLE_JIT", 0):  # set by NUMBA_DISABLE_JIT=1
        return None
    made: Callable[..., None]
    try:
        made = numba.njit(nogil=True, error_model="numpy", cache=True)(scan)
    except RuntimeError:  # no folder to keep it in: it is compiled by every process
        made = numba.njit(nogil=True, error_model="numpy")(scan)
    return made


def scan(
    lanes: Array,
    qpos: Array,
    qvel: Array,
    qacc: Array,
    sensordata: Array,
    inertia: Array,
    smooth: Array,
    pull: Array,
    iterations: Array,
    centre: Array,
    spin: Array,
    last_qvel: Array,
    last_pull: Array,
    last_centre: Array,
    last_spin: Array,
    seen: Array,
    given: Array,
    through: Array,
    rows: Array,
    columns: Array,
    limits: Array,
    thin: Array,
    turning: Array,
    body: Array,
    timestep: float,
    most_iterations: int,
    most_residual: float,
    energy: float,
    energy_share: float,
    deepest: int,
    shallowest: float,
    adhesive: bool,
    fault: Array,
    look: Array,
    given_after: Array,
    through_after: Array,
) -> None:
    """Fault bits (n, K) of recorded samples, and which (n, K) must be looked at more closely.

    qpos to spin are records (n, K, ...) of lanes (n,); the last_... are what every lane showed last, if it was seen.
    limits (4,) are those of qpos, qvel, qacc and sensordata; thin, turning and body are `TunnelCheck.sweeps`. given and
    through, J, are sums for every lane; what they come to after these samples is written to ..._after (n,).
    """
    count, samples, nv = qvel.shape
    gap = np.empty(nv)
    for i in range(count):
        lane = lanes[i]
        gave, went = given[lane], through[lane]
        for k in range(samples):
            follows = k > 0 or seen[lane]
            bits = 0
            for field in range(4):
                if field == 0:
                    numbers = qpos[i, k]
                elif field == 1:
                    numbers = qvel[i, k]
                elif field == 2:
                    numbers = qacc[i, k]
                else:
                    numbers = sensordata[i, k]
                broken, large = False, False
                for j in range(numbers.shape[0]):
                    size = abs(numbers[j])
                    if not size <= limits[field]:
                        large = True
                        if not size < math.inf:
                            broken = True
                if broken:
                    bits |= _NOT_FINITE
                elif large:
                    bits |= _ABSURD

            # M qacc - qfrc_smooth - qfrc_constraint, in the order of `trust.force_gap`.
            for j in range(nv):
                gap[j] = -smooth[i, k, j] - pull[i, k, j]
            for entry in range(rows.shape[0]):
                row, column, value = rows[entry], columns[entry], inertia[i, k, entry]
                gap[row] = gap[row] + value * qacc[i, k, column]
                if row != column:
                    gap[column] = gap[column] + value * qacc[i, k, row]
            widest, strongest, unknown = 0.0, 0.0, False
            for j in range(nv):
                unknown = unknown or gap[j] != gap[j] or pull[i, k, j] != pull[i, k, j]
                widest, strongest = max(widest, abs(gap[j])), max(strongest, abs(pull[i, k, j]))
            if bits == 0 and (unknown or not widest / (1.0 + strongest) <= most_residual):
                bits |= _UNBALANCED

            for j in range(iterations.shape[2]):
                if iterations[i, k, j] >= most_iterations:
                    bits |= _UNCONVERGED

            work = 0.0
            if follows:
                speed, force = (qvel[i, k - 1], pull[i, k - 1]) if k > 0 else (last_qvel[lane], last_pull[lane])
                before, after = 0.0, 0.0
                for j in range(nv):
                    before += speed[j] * force[j]
                    after += qvel[i, k, j] * force[j]
                work = 0.5 * timestep * (before + after)
            gave, went = gave + work, went + abs(work)
            if not adhesive and gave > energy + energy_share * went:
                bits |= _ENERGISED
            fault[i, k] = bits

            closer = 0
            if deepest >= 0 and -sensordata[i, k, deepest] > shallowest:
                closer |= CRUSHED
            if follows:
                start, turn = (centre[i, k - 1], spin[i, k - 1]) if k > 0 else (last_centre[lane], last_spin[lane])
                for geom in range(thin.shape[0]):
                    x = centre[i, k, geom, 0] - start[geom, 0]
                    y = centre[i, k, geom, 1] - start[geom, 1]
                    z = centre[i, k, geom, 2] - start[geom, 2]
                    b, now = body[geom], spin[i, k]
                    one = turn[b, 0] * turn[b, 0] + turn[b, 1] * turn[b, 1] + turn[b, 2] * turn[b, 2]
                    two = now[b, 0] * now[b, 0] + now[b, 1] * now[b, 1] + now[b, 2] * now[b, 2]
                    turned = one if one > two or one != one else two
                    if not math.sqrt(x * x + y * y + z * z) + math.sqrt(turned) * turning[geom] <= 0.5 * thin[geom]:
                        closer |= SUSPECT
            look[i, k] = closer
        given_after[i], through_after[i] = gave, went
