"""How is a whole plan rewarded in one step, for instance what a model just wrote?"""

import json

import gymnasium

import worldverify as wv

gymnasium.register_envs(wv)

ANSWERS = {
    "a good answer": '{"skills": [{"skill": "pick", "object": "cube"}]}',
    "it lets go": '{"skills": [{"skill": "pick", "object": "cube"}, {"skill": "open_gripper"}]}',
    "out of reach": '{"waypoints": [{"position": [1.5, 0.0, 0.2]}]}',
    "cut off": '{"skills": [{"skill": "pick", "obj',
    "prose": "I would first move the arm above the cube, and then close the gripper.",
}


def main() -> None:
    """Print the answer."""
    env = gymnasium.make("worldverify/PickCube-Plan-v0")
    env.reset(seed=0)
    task = env.get_wrapper_attr("task")
    still = [[*task.arm.home, 1.0]] * task.steps  # the action space: joint targets and the gripper, for every step
    for name, answer in {**ANSWERS, "standing still": json.dumps({"actions": still})}.items():
        env.reset(seed=0)
        _, reward, _, _, info = env.step(answer)
        print(f"{reward:+.2f}  {info['status']:<7}  {name}: {info['reason']}")
    env.close()


if __name__ == "__main__":
    main()
