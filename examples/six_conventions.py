"""What does one array of numbers do under six conventions?"""

import worldverify as wv
from worldverify.encode import encode
from worldverify.motion import begin_of, motion_of
from worldverify.presets import preset

FORMAT = (
    "simpler-widowx"  # steps of the tool in m and as rotation vectors, 5 a second; the gripper is 1 open, -1 closed
)
CLOSED_IS_ONE = {**preset(FORMAT).to_json()["gripper"], "open": -1.0, "closed": 1.0}
CONVENTIONS = {
    "as it was written": {},
    "steps taken for poses": {
        "representation": [["position", "absolute"], ["rotation", "absolute"]],
        "rotation_side": "none",
    },
    "1 closes, as in LIBERO": {"gripper": CLOSED_IS_ONE},
    "turns against the sign": {"rotation_sign": -1},
    "centimetres": {"position_unit": "cm"},
    "20 actions a second": {"rate_hz": 20.0},
}

task = wv.load("PickCube-v0")
start = task.start(0)
motion = motion_of(task, task.good, start, rate_hz=5.0, slower=1.5)
rows = encode(preset(FORMAT), motion, begin_of(task, start)).round(4).tolist()
print(len(rows), "actions, the third:", rows[2])

plans = [
    {"id": name, "format": FORMAT, "rate_hz": changes.get("rate_hz", 5.0), "contract": changes, "actions": rows}
    for name, changes in CONVENTIONS.items()
]
for verdict in wv.verify(task, plans):
    print(f"{verdict.id:24}{verdict.status:9}{verdict.reason}")
    for warning in verdict.warnings:
        print(f"{'':24}warning: {warning}")
