"""worldverify: a physics verifier for robot actions written by vision-language(-action) models."""

from worldverify.usage import import_fault

if (_fault := import_fault()) is not None:
    raise ImportError(_fault)

from worldverify.action import ActionSpec as ActionSpec
from worldverify.budget import Budget as Budget
from worldverify.cost import Cost as Cost
from worldverify.local import LocalVerifier as LocalVerifier
from worldverify.plan import Plan as Plan
from worldverify.presets import preset as preset
from worldverify.refusal import Refusal as Refusal
from worldverify.registration import register_tasks
from worldverify.registry import load as load
from worldverify.registry import tasks as tasks
from worldverify.rollouts import Noise as Noise
from worldverify.rollouts import RolloutChecker as RolloutChecker
from worldverify.rollouts import check_rollout as check_rollout
from worldverify.scene import Scene as Scene
from worldverify.schedule import Schedule as Schedule
from worldverify.shield import Shield as Shield
from worldverify.spec import Spec as Spec
from worldverify.task import Task as Task
from worldverify.trials.best_of import best_of as best_of
from worldverify.trials.rules import certify as certify
from worldverify.verdict import Margin as Margin
from worldverify.verdict import Verdict as Verdict
from worldverify.verdict import Verdicts as Verdicts
from worldverify.verdict import Violation as Violation
from worldverify.verifier import Interrupted as Interrupted
from worldverify.verifier import Verifier as Verifier
from worldverify.verify import verify as verify
from worldverify.version import VERSION as __version__  # noqa: F401

register_tasks()
