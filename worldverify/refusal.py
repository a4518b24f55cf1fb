"""Why something was not judged: a stable code, a cause and one sentence that says what would have worked."""

from typing import Literal, get_args

Cause = Literal["plan", "model", "spec", "infra"]

# code -> what it means. Codes are part of the public surface: add, never rename.
CODES: dict[str, str] = {
    # the text or the plan
    "empty": "there is nothing to read",
    "too_long": "the text or the plan is longer than any plan can be",
    "too_deep": "brackets are nested deeper than any plan needs",
    "truncated": "the text ends in the middle of a value",
    "malformed": "the text holds a broken value",
    "no_plan": "the text holds no value that could be a plan",
    "ambiguous": "the text holds two different values that could each be the plan",
    "unknown_format": "the value follows no action format that the task reads",
    "unknown_key": "the plan has a key that the format does not know",
    "missing_key": "the plan lacks a key that the format needs",
    "wrong_type": "a value has the wrong type: number as string, boolean, null, ...",
    "wrong_width": "an action has the wrong number of values",
    "not_finite": "a value is NaN, infinite, or too large to be a number",
    "out_of_range": "a value is outside the declared range",
    "bad_quaternion": "an orientation is not a unit quaternion",
    "bad_time": "times are missing, repeated, decreasing or negative",
    "wrong_rate": "the plan has another rate than the task",
    "too_many_steps": "the plan lasts longer than the horizon",
    "bad_contract": "the contract that the plan names is incomplete or contradicts itself",
    "missing_statistics": "the numbers are normalised, and the statistics to undo it were not given",
    "wrong_robot": "the contract is for another robot than the scene's",
    "unknown_skill": "a skill is not in the task's list",
    "unknown_object": "a skill names an object that is not in the scene",
    "no_camera": "a point of an image cannot be placed without the camera that took it",
    "outside_image": "a point lies outside of the image",
    "hits_nothing": "a point of the image shows nothing that could be reached",
    "wrong_object": "a point shows another object than the one it is said to show",
    "unreachable": "the arm cannot reach a target within its joint limits",
    "too_fast": "the plan asks for more speed than the arm has in the given time",
    # the simulation
    "diverged": "the simulated state became non-finite or absurd",
    "overflow": "contacts or constraints did not fit the memory, also after a retry",
    "raised": "the engine stopped with an error",
    "unbalanced": "the forces do not add up: the solver's answer is wrong",
    "unconverged": "the solver stopped at its iteration limit",
    "energy": "contacts or constraints gave more energy than they took",
    "tunnelling": "a thin object passed through another between two substeps",
    "initial_state": "the start state is not physical: objects overlap or are not finite",
    "precondition": "the start is not one that the task begins from, such as a goal that holds already",
    "not_a_number": "a requirement's value is not a number",
    # work that ended early
    "budget": "the budget of the call ended before the plan was decided",
    "interrupted": "the run was interrupted before the plan was decided",
    "outranked": "the plan cannot be the best any more, and only the best was asked for",
    # the spec and the model
    "bad_spec": "the spec cannot be compiled against the scene",
    "unmonitored_pair": "a hazard pair cannot collide in the compiled model",
    "bad_model": "the model cannot be compiled or simulated",
    "bad_state": "the given state does not fit the scene",
    # the machinery
    "engine_failed": "the engine failed for a reason that is not the plan's",
}


class Refusal(ValueError):
    """Raised where something cannot be judged; becomes an INVALID verdict inside a batch.

    `code` is one of CODES, `cause` says whose fault it is, `reason` is the sentence shown to a person.
    """

    def __init__(self, code: str, reason: str, cause: Cause = "plan") -> None:
        if code not in CODES:
            raise KeyError(f"Unknown refusal code {code!r}. Codes: {', '.join(CODES)}.")
        if cause not in get_args(Cause):
            raise ValueError(f"Unknown cause {cause!r}. Causes: {', '.join(get_args(Cause))}.")
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.cause: Cause = cause
