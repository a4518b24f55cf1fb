"""The tasks and the Gymnasium face."""

# name -> "module:function" that builds the task
TASKS: dict[str, str] = {
    "ReachSafe-v0": "worldverify.envs.reach_safe:reach_safe",
    "PickCube-v0": "worldverify.envs.pick_cube:pick_cube",
    "PickClutter-v0": "worldverify.envs.pick_clutter:pick_clutter",
    "PutInBasket-v0": "worldverify.envs.put_in_basket:put_in_basket",
    "PointPick-v0": "worldverify.envs.point_and_pick:point_and_pick",
    "LiberoTable-v0": "worldverify.envs.libero_table:libero_table",
    "VoxelPlace-v0": "worldverify.envs.voxel_workspace:voxel_place",
    "AppleInBowl-v0": "worldverify.envs.trajectory_tabletop:apple_in_bowl",
}
