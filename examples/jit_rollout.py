"""How does a whole search for a policy look as one jitted program, and how many steps a second does it make?

python examples/jit_rollout.py [TASK] [--on gpu] [--impl warp] [--lanes 32] [--policies 100]: random linear policies,
each tried in all lanes for the time of one horizon. Without TASK it is a pendulum, which compiles in seconds; a task
with an arm takes minutes on a CPU, where MJX is slow, and is for a GPU.
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import worldverify as wv
from worldverify.envs.functional import STATUSES, FunctionalEnv

PENDULUM = """
<mujoco>
  <option timestep="0.01" jacobian="dense"/>
  <worldbody>
    <body name="rod" pos="0 0 1">
      <joint name="hinge" axis="0 1 0" damping="0.2"/>
      <geom type="capsule" fromto="0 0 0 0 0 -.5" size=".02" mass="1"/>
    </body>
  </worldbody>
  <actuator><motor name="motor" joint="hinge" ctrlrange="-4 4"/></actuator>
</mujoco>
"""
SPEC = """
raised: eventually(always[0,0.5](abs(joint(hinge) - 1 rad) < 0.3 rad))
slow:   always(abs(joint_speed(hinge)) < 5 rad/s)
"""
PASS = STATUSES.index("PASS")


def main() -> None:
    """Print the answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", nargs="?", help="name of a task; a pendulum if there is none")
    parser.add_argument("--on", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--impl", choices=["jax", "warp"], default="jax")
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--policies", type=int, default=100)
    arguments = parser.parse_args()

    env = FunctionalEnv(
        _pendulum() if arguments.task is None else wv.load(arguments.task),
        arguments.lanes,
        on=arguments.on,
        impl=arguments.impl,
        autoreset_mode="same_step",
    )
    steps, (size,), width = env.actions.steps, env.single_observation_space.shape, env.actions.width
    print(f"{env.task.name} on {env.name}, {env.device}: {env.lanes} lanes, {steps} actions an episode")

    def returns(start: Any, weights: Any) -> Any:
        """Mean reward of an episode that a policy (size + 1, width) ends, episodes that end, and those that pass."""

        def act(carry: Any, _: None) -> tuple[Any, Any]:
            state, seen = carry
            actions = jnp.tanh(seen @ weights[:-1] + weights[-1])
            state, seen, reward, terminated, truncated, info = env.step(state, actions)
            return (state, seen), (reward, terminated | truncated, info["status"], info["valid"])

        _, (reward, over, status, valid) = jax.lax.scan(act, (start, env.observe(start)), length=steps)
        ended = jnp.sum(over & valid)
        return jnp.sum(jnp.where(valid, reward, 0.0)) / ended, ended, jnp.sum(over & (status == PASS))

    def search(start: Any, key: Any) -> Any:
        weights = jax.random.normal(key, (arguments.policies, size + 1, width))
        return jax.lax.map(lambda policy: returns(start, policy), weights)

    with jax.default_device(env.device):
        start = jax.jit(env.init)(jax.random.key(0))
        search = jax.jit(search)
        for what in ("compiled and run", "run again"):
            clock = time.perf_counter()
            mean, ended, passed = jax.block_until_ready(search(start, jax.random.key(1)))
            spent = time.perf_counter() - clock
            acted = arguments.policies * steps * env.lanes
            print(
                f"{what} in {spent:.2f} s: {acted / spent:,.0f} actions/s, {acted * env.task.substeps / spent:,.0f}"
                " physics steps/s"
            )
    best = int(np.nanargmax(mean))
    print(
        f"of {arguments.policies} policies the mean reward of an episode is {np.nanmean(mean):+.2f}, of the best "
        f"{mean[best]:+.2f}: {int(passed[best])} of its {int(ended[best])} episodes pass"
    )


def _pendulum() -> wv.Task:
    def nudge(generator: np.random.Generator, model: Any, data: Any) -> None:
        data.qpos[0] = generator.uniform(-0.2, 0.2)

    return wv.Task.from_mjcf(
        PENDULUM, spec=SPEC, horizon=2.0, rate=20.0, name="Pendulum", instruction="Raise it.", randomise=nudge
    )


if __name__ == "__main__":
    main()
