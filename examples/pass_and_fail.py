"""What do a pass and a fail look like? Draws key frames of both into one picture, the one in the README."""

import sys
from pathlib import Path

import mujoco

import worldverify as wv
from worldverify import png
from worldverify.render import RED, render
from worldverify.replay import run_again
from worldverify.report import contact_sheet

PLANS = {
    "good": '{"skills": [{"skill": "pick", "object": "cube"}]}',
    "drops it": '{"skills": [{"skill": "pick", "object": "cube"}, {"skill": "open_gripper"}]}',
}
TIMES = (0.0, 1.0, 1.72, 1.9)  # s


def main(target: Path) -> None:
    task = wv.load("PickCube-v0")
    images, statuses = [], []
    for name, verdict in zip(PLANS, wv.verify(task, list(PLANS.values())), strict=True):
        print(f"{name}: {verdict.status}. {verdict.reason}")
        run = run_again(task, verdict)
        assert run is not None and run.agrees
        for time in TIMES:
            data = task.scene.data(run.state_at(round(time / task.timestep)))
            mujoco.mj_forward(task.scene.model, data)
            late = verdict.first_violation is not None and time >= verdict.first_violation.time_s
            highlight = {"cube": RED} if late else {}
            images.append(render(task.scene.model, data, width=240, height=200, supersample=2, highlight=highlight))
            statuses.append(verdict.status)
    target.write_bytes(png.encode(contact_sheet(images, statuses, columns=len(TIMES))))
    print(f"Picture: {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "pass-and-fail.png"))
