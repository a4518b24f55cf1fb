"""More plans than lanes in one program on the device: a lane whose plan is settled takes the next plan by itself.

Nothing goes to the host between rounds: states, controls and evidence of all plans lie on the device.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from worldverify.kernels.deciding import Decided, Question, decide, settled
from worldverify.kernels.mjx_program import Looked, StepLoop, Watch

Array = Any


class Queue(NamedTuple):
    """How plans go through the lanes; hashable, so that a program is compiled once for it."""

    lanes: int  # L, simulated side by side
    round: int  # substeps between two looks at the evidence
    refill: bool  # False: all plans of a wave of lanes end before the next wave begins


class _Work(NamedTuple):
    """L lanes at work on P plans, of which number P is nobody's: what idle lanes are given."""

    states: Array  # (L, nstate)
    watch: Watch
    plan: Array  # (L,) which plan each lane works on; P for none
    rounds: Array  # (L,) that it has done
    following: Array  # () the first plan that no lane has taken yet
    relative: Array  # (A, P+1, R, K) margins in scales, R rounds of K samples
    fault: Array  # (P+1, R, K) int32
    last: Array  # (P,) the last sample of each plan that was simulated; -1 for none


def through_lanes(
    loop: StepLoop,
    queue: Queue,
    question: Question,
    margins: Callable[[Looked], tuple[Array, Array]],
    *,
    atoms: int,
    samples: int,
    substeps: int,
    stop: bool,
) -> Callable[[Array, Array, Array, Array], tuple[Decided, Array]]:
    """A function to be jitted: (states (P, nstate), controls (T, P, nu), width (), plans ()) -> answers about P plans,
    and the last sample (P,) that was simulated of each.

    `margins` gives (A, L) margins in scales and (L,) faults of a sample. The last control is held up to sample N,
    `samples`. With `stop` a plan is settled when `settled` says so by `width` scales. Only the first `plans` are run.
    """
    lanes, length = queue.lanes, queue.round
    rounds = -(-(samples + 1) // length)

    def program(states: Array, controls: Array, width: Array, plans: Array) -> tuple[Decided, Array]:
        count, periods = states.shape[0], controls.shape[0]
        numbers = jnp.arange(lanes)

        def begin(work: _Work, free: Array) -> _Work:
            """Free lanes (L,) take the next plans, in their order."""
            wanted = work.following + jnp.cumsum(free) - 1
            some = free & (wanted < plans)
            plan = jnp.where(free, jnp.where(some, wanted, count), work.plan)
            fresh = states[jnp.where(free, jnp.minimum(plan, count - 1), 0)]
            now = jnp.where(free[:, None], fresh, work.states)
            watch = jax.tree.map(
                lambda new, old: jnp.where(free.reshape(-1, *[1] * (new.ndim - 1)), new, old),
                loop.watch(fresh),
                work.watch,
            )
            following = work.following + jnp.sum(some)
            done = jnp.where(free, 0, work.rounds)
            return work._replace(states=now, watch=watch, plan=plan, rounds=done, following=following)

        def turn(work: _Work) -> _Work:
            row = jnp.minimum(work.plan, count - 1)

            def held(j: Array) -> Array:
                return controls[jnp.minimum((work.rounds * length + j) // substeps, periods - 1), row]

            # A last round goes beyond the horizon; its last samples are looked at by nobody.
            now, watch, (relative, fault) = loop.run(work.states, work.watch, held, length, margins)
            all_relative = work.relative.at[:, work.plan, work.rounds].set(relative.transpose(1, 2, 0))
            all_fault = work.fault.at[work.plan, work.rounds].set(fault.T)
            last = jnp.minimum((work.rounds + 1) * length - 1, samples)
            over = last >= samples
            if stop:
                seen = all_relative[:, work.plan].reshape(atoms, lanes, -1)[..., : samples + 1]
                bits = all_fault[work.plan].reshape(lanes, -1)[:, : samples + 1]
                over = over | settled(question, seen, bits, last, width)
            lasts = work.last.at[work.plan].set(last, mode="drop")
            busy = work.plan < count
            free = over & busy
            after = _Work(
                now,
                watch,
                jnp.where(free, count, work.plan),
                work.rounds + 1,
                work.following,
                all_relative,
                all_fault,
                lasts,
            )
            idle = after.plan >= count
            return begin(after, idle if queue.refill else idle & jnp.all(idle))

        first = states[jnp.minimum(numbers, count - 1)]
        work = _Work(
            first,
            loop.watch(first),
            jnp.full(lanes, count),
            jnp.zeros(lanes, jnp.int32),
            jnp.asarray(0),
            jnp.zeros((atoms, count + 1, rounds, length), jnp.float32),
            jnp.zeros((count + 1, rounds, length), jnp.int32),
            jnp.full(count, -1),
        )
        work = begin(work, jnp.ones(lanes, bool))
        work = jax.lax.while_loop(lambda w: jnp.any(w.plan < count), turn, work)
        relative = work.relative[:, :count].reshape(atoms, count, -1)[..., : samples + 1]
        bits = work.fault[:count].reshape(count, -1)[:, : samples + 1]
        return decide(question, relative, bits, jnp.maximum(work.last, 0)), work.last

    return program
