"""Episodes on MJX as pure functions: a state and an action in, a state and what the action has brought out.

Traced by JAX, in float32. B lanes are B episodes, which do not hear of each other.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco

from worldverify.kernels.deciding import Decided, Question, decide
from worldverify.kernels.engine import Fault
from worldverify.kernels.measure import Expression, measure
from worldverify.kernels.mjx_program import Looked, StepLoop, Watch
from worldverify.kernels.mujoco_cpu import state_slice
from worldverify.kernels.potential import finite, potential, unpassed
from worldverify.kernels.robustness import Formula
from worldverify.kernels.standing import standing

Array = Any

STATUSES = ("PASS", "FAIL", "INVALID", "INCONCLUSIVE")
PASS, FAIL, INVALID, INCONCLUSIVE = range(len(STATUSES))

# What an engine in float32 lacks, or leaves to MuJoCo C: nobody knows whether the actions are to blame.
NOT_BLAMED = Fault.OVERFLOW | Fault.SUSPECT | Fault.RAISED | Fault.WARNED


class Rules(NamedTuple):
    """What episodes are judged by."""

    expressions: tuple[Expression, ...]  # the margins of A atoms
    scales: tuple[float, ...]  # (A,)
    formulas: tuple[Formula, ...]  # of C requirements
    samples: int  # N, physics substeps to the horizon
    substeps: int  # K, physics substeps of an action; they divide N
    reward_min: float
    reward_max: float  # of a PASS


class Reading(NamedTuple):
    """How a row of W numbers becomes controls: `ctrl[columns] = offset + scale * row`."""

    low: Array  # (W,) float32, the least of each number,
    high: Array  # (W,) float32, and the greatest
    slack: Array  # (W,) float32, how far beyond a number counts as that
    normalised: bool  # rows come in [-1, 1], which stands for that range
    columns: Array  # (W,) int, of ctrl
    scale: Array  # (W,) float32
    offset: Array  # (W,) float32


class EnvState(NamedTuple):
    """B episodes, a pytree of arrays. The lanes are the first axis of all but the key."""

    rows: Array  # (B, nstate) float32, MuJoCo integration states
    watch: Watch  # what the trust checks remember
    relative: Array  # (B, A, N+1) float32, margins in scales of the samples so far; what lies beyond means nothing
    fault: Array  # (B, N+1) int32, Fault bits of the same samples
    steps: Array  # (B,) int32, physics substeps so far
    standing: Array  # (B, C) float32, margins in scales if the world stood still from now on
    first: Array  # (B,) float32, the potential at the start
    status: Array  # (B,) int32, a place in STATUSES; INCONCLUSIVE while nothing is decided
    terminated: Array  # (B,) bool, decided
    truncated: Array  # (B,) bool, at the horizon, or nothing can be judged although no action is to blame
    key: Array  # of the starts that are drawn


class Turn(NamedTuple):
    """What an action has brought in B lanes."""

    reward: Array  # (B,) float32; NaN where `valid` is False
    valid: Array  # (B,) bool, whether a policy may be rewarded for it
    low: Array  # (B, C) bounds of the margins in scales, at the deciding sample once there is one
    high: Array  # (B, C)


class Episodes:
    """Pure functions over the states of B episodes; every one of them may be traced."""

    def __init__(self, loop: StepLoop, rules: Rules, reading: Reading) -> None:
        self._loop, self._rules, self._reading = loop, rules, reading
        self._ctrl = state_slice(loop.model, mujoco.mjtState.mjSTATE_CTRL)
        self.question = Question(rules.formulas, (rules.samples,) * len(rules.formulas), (True,) * len(rules.formulas))
        self._span = rules.reward_max - rules.reward_min

    def still(self, rows: Array) -> Array:
        """(B, C) margins in scales if the world stood still as it is in states (B, nstate)."""
        relative, _ = self._margins(self._loop.observe(rows, self._loop.watch(rows)))
        last = jnp.zeros(rows.shape[0], jnp.int32)
        return finite(standing(self._rules.formulas, relative[:, :, None], last))

    def empty(self, lanes: int, key: Array) -> EnvState:
        """B lanes without an episode, which stay as they are until they begin one."""
        rows = jnp.broadcast_to(jnp.asarray(self._loop.default), (lanes, self._loop.nstate))
        nothing = jnp.zeros((lanes, len(self._rules.formulas)), jnp.float32)
        return self.begun(rows, nothing, key)._replace(truncated=jnp.ones(lanes, bool))

    def begun(self, rows: Array, standing: Array, key: Array) -> EnvState:
        """New episodes at states (B, nstate), whose `still` is known."""
        lanes, samples = rows.shape[0], self._rules.samples + 1
        return EnvState(
            rows=rows,
            watch=self._loop.watch(rows),
            relative=jnp.zeros((lanes, len(self._rules.expressions), samples), jnp.float32),
            fault=jnp.zeros((lanes, samples), jnp.int32),
            steps=jnp.zeros(lanes, jnp.int32),
            standing=standing,
            first=potential(standing, self._span),
            status=jnp.full(lanes, INCONCLUSIVE, jnp.int32),
            terminated=jnp.zeros(lanes, bool),
            truncated=jnp.zeros(lanes, bool),
            key=key,
        )

    def again(self, state: EnvState, mask: Array, rows: Array, standing: Array) -> EnvState:
        """New episodes in the lanes of mask (B,), as `begun` has them; the others go on."""
        fresh = self.begun(rows, standing, state.key)
        # Evidence that lies beyond `steps` is never looked at, so the large fields stay as they are.
        fresh = fresh._replace(relative=state.relative, fault=state.fault)
        chosen: EnvState = _chosen(mask, fresh, state)
        return chosen

    def act(self, state: EnvState, actions: Array, acting: Array) -> tuple[EnvState, Turn]:
        """One action (B, W) in the lanes of acting (B,) that have not ended; the others stay as they are."""
        rules, loop = self._rules, self._loop
        acting = acting & ~(state.terminated | state.truncated)
        controls, fit = self._controls(state.rows, actions)
        moving = acting & fit
        # One substep more than the action has, of which only the sample is kept: the last one of an episode.
        rows, watch, (relative, faults) = loop.run(
            state.rows,
            state.watch,
            lambda j: controls,
            rules.substeps + 1,
            self._margins,
            upto=jnp.asarray(rules.substeps, jnp.int32),
        )
        rows, watch = _chosen(moving, (rows, watch), (state.rows, state.watch))
        after = self._recorded(state, moving, relative, faults)._replace(rows=rows, watch=watch)

        decided = self.decided(after)
        stands = decided.first < decided.bad
        wrong = ~stands & (decided.bad < self._known(after))
        status = jnp.where(
            acting & ~fit | wrong,
            INVALID,
            jnp.where(stands, jnp.where(decided.holds == decided.first, PASS, FAIL), INCONCLUSIVE),
        )
        fault = decided.fault & int(Fault.invalidating())
        blamed = (fault != 0) & ((fault & int(NOT_BLAMED)) == 0)
        valid = ~wrong | blamed
        ended = status != INCONCLUSIVE
        latest = self._standing(after)
        after = after._replace(
            standing=jnp.where(moving[:, None], latest, state.standing),
            status=jnp.where(acting, status, state.status).astype(jnp.int32),
            terminated=jnp.where(acting, ended & valid, state.terminated),
            truncated=jnp.where(acting, ~valid | ~ended & (after.steps >= rules.samples), state.truncated),
        )
        last = jnp.where(
            status == PASS,
            rules.reward_max,
            jnp.where(
                status == INVALID,
                jnp.where(valid, rules.reward_min, jnp.nan),
                unpassed(decided.low, decided.high, rules.reward_min, self._span),
            ),
        )
        before, now = potential(state.standing, self._span), potential(after.standing, self._span)
        over = after.terminated | after.truncated
        reward = jnp.where(acting, jnp.where(over, last - (before - state.first), now - before), 0.0)
        return after, Turn(reward.astype(jnp.float32), valid | ~acting, decided.low, decided.high)

    def decided(self, state: EnvState) -> Decided:
        """What the evidence so far decides. A sample that is still to come counts as one that cannot be believed."""
        known = jnp.arange(self._rules.samples + 1) < self._known(state)[:, None]
        relative = jnp.where(known[:, None], state.relative, jnp.nan)
        return decide(self.question, jnp.swapaxes(relative, 0, 1), jnp.where(known, state.fault, 0))

    def _known(self, state: EnvState) -> Array:
        """(B,) samples so far; after the last substep there is one more than substeps."""
        return state.steps + (state.steps == self._rules.samples).astype(jnp.int32)

    def _standing(self, state: EnvState) -> Array:
        last = jnp.maximum(self._known(state) - 1, 0)
        return finite(standing(self._rules.formulas, jnp.swapaxes(state.relative, 0, 1), last))

    def _controls(self, rows: Array, actions: Array) -> tuple[Array, Array]:
        """Controls (B, nu), and whether the actions (B, W) are numbers within their range, (B,)."""
        reading, held = self._reading, rows[:, self._ctrl]
        units = actions.astype(jnp.float32)
        if reading.normalised:
            share = 0.5 * (units + 1.0)
            mixed = reading.low * (1.0 - share) + reading.high * share
            units = jnp.where((share >= 0) & (share <= 1), jnp.clip(mixed, reading.low, reading.high), mixed)
        near = (units >= reading.low - reading.slack) & (units <= reading.high + reading.slack)
        units = jnp.where(near, jnp.clip(units, reading.low, reading.high), units)
        fit = jnp.all((units >= reading.low) & (units <= reading.high), axis=1)  # NaN is not
        told = held.at[:, reading.columns].set(reading.offset + reading.scale * units)
        return jnp.where(fit[:, None], told, held), fit

    def _recorded(self, state: EnvState, moving: Array, relative: Array, fault: Array) -> EnvState:
        """With the samples (K+1, A, B) and their faults (K+1, B) of the lanes that move."""
        samples, substeps = self._rules.samples, self._rules.substeps
        new = jnp.arange(substeps + 1)
        place = state.steps[:, None] + new
        kept = moving[:, None] & ((new < substeps) | (place == samples))
        place = jnp.where(kept, place, samples + 1)  # beyond the end, which is dropped
        lane = jnp.arange(place.shape[0])[:, None]
        return state._replace(
            relative=state.relative.at[lane, :, place].set(relative.transpose(2, 0, 1), mode="drop"),
            fault=state.fault.at[lane, place].set(fault.T, mode="drop"),
            steps=jnp.where(moving, state.steps + substeps, state.steps),
        )

    def _margins(self, looked: Looked) -> tuple[Array, Array]:
        """(A, B) margins of a sample in scales, and its faults (B,)."""
        measured = measure(self._rules.expressions, looked.value[:, None])[:, :, 0]
        return measured / jnp.asarray(self._rules.scales, measured.dtype)[:, None], looked.fault


def _chosen(mask: Array, new: Any, old: Any) -> Any:
    """`new` in the lanes of mask (B,), else `old`; what both share is not touched."""

    def one(a: Array, b: Array) -> Array:
        return b if a is b else jnp.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(one, new, old)
