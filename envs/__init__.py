"""The tasks and the Gymnasium face."""

# name -> "module:function" that builds the task
TASKS: dict[str, str] = {
    "ReachSafe-v0": "worldverify.envs.reach_safe:reach_safe",
    "PickCube-v0": "worldverify.envs.pick_cube:pick_cube",
    "PutInBasket-v0": "worldverify.envs.put_in_basket:put_in_basket",
}
