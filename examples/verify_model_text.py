"""Would what a model just wrote work, and if not, what should it be told?"""

import worldverify as wv

# What two models wrote when asked `task.prompt`; read yours from an API.
ANSWERS = {
    "careful": """Here is the plan:
```json
{"skills": [{"skill": "pick", "object": "cube"}, {"skill": "lift", "height": 0.15}]}
```""",
    "careless": '{"skills": [{"skill": "pick", "object": "cube"}, {"skill": "open_gripper"}]}',
    "confused": '{"skills": [{"skill": "pick", "object": "red_block"}]}',
}


def main() -> None:
    """Judge the answers together, and say what came of each."""
    task = wv.load("PickCube-v0")
    print(task.prompt.splitlines()[0], end="\n\n")
    verdicts = wv.verify(task, list(ANSWERS.values()), seed=0)
    for name, verdict in zip(ANSWERS, verdicts, strict=True):
        print(f"{name}: {verdict.explain()}\n")
    print("rewards:", ", ".join(f"{reward:+.2f}" for reward in verdicts.reward))


if __name__ == "__main__":
    main()
