"""The tasks and the Gymnasium face."""

# name -> "module:function" that builds the task
TASKS: dict[str, str] = {
    "ReachSafe-v0": "worldverify.envs.reach_safe:reach_safe",
    "PushCube-v0": "worldverify.envs.push_cube:push_cube",
    "PickCube-v0": "worldverify.envs.pick_cube:pick_cube",
    "PickClutter-v0": "worldverify.envs.pick_clutter:pick_clutter",
    "PlaceOnPlate-v0": "worldverify.envs.place_on_plate:place_on_plate",
    "PutInBasket-v0": "worldverify.envs.put_in_basket:put_in_basket",
    "StackCube-v0": "worldverify.envs.stack_cube:stack_cube",
    "PegInsertion-v0": "worldverify.envs.peg_insertion:peg_insertion",
    "OpenDrawer-v0": "worldverify.envs.open_drawer:open_drawer",
    "CloseDrawer-v0": "worldverify.envs.close_drawer:close_drawer",
    "PressButton-v0": "worldverify.envs.press_button:press_button",
    "TurnKnob-v0": "worldverify.envs.turn_knob:turn_knob",
    "PlaceInDrawer-v0": "worldverify.envs.place_in_drawer:place_in_drawer",
    "CarryUpright-v0": "worldverify.envs.carry_upright:carry_upright",
    "WaypointCell-v0": "worldverify.envs.waypoint_cell:waypoint_cell",
    "Handover-v0": "worldverify.envs.handover:handover",
    "NavigateRoom-v0": "worldverify.envs.navigate_room:navigate_room",
    "NavigateCrowd-v0": "worldverify.envs.navigate_crowd:navigate_crowd",
    "FetchAcrossRoom-v0": "worldverify.envs.fetch_across_room:fetch_across_room",
    "PointPick-v0": "worldverify.envs.point_and_pick:point_and_pick",
    "LiberoTable-v0": "worldverify.envs.libero_table:libero_table",
    "VoxelPlace-v0": "worldverify.envs.voxel_workspace:voxel_place",
    "AppleInBowl-v0": "worldverify.envs.trajectory_tabletop:apple_in_bowl",
}
