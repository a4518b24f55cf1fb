"""Predicted rollouts: states that a model wrote, judged by the spec and by physics."""

from worldverify.rollouts.rollout import RolloutChecker as RolloutChecker
from worldverify.rollouts.rollout import check_rollout as check_rollout
from worldverify.rollouts.states import Noise as Noise
