"""Conformance suites: what an Engine, a Verifier and a Task must do. Each raises AssertionError with a sentence.

They need no test framework: call them from any test, or from a shell.
"""

from worldverify.testing.cheats import Attempt as Attempt
from worldverify.testing.engines import check_engine as check_engine
from worldverify.testing.seeds import Seeds as Seeds
from worldverify.testing.symmetry import Likeness as Likeness
from worldverify.testing.tasks import TaskReport as TaskReport
from worldverify.testing.tasks import check_task as check_task
from worldverify.testing.tasks import examine_task as examine_task
from worldverify.testing.toy import TOY as TOY
from worldverify.testing.toy import TOY_SPEC as TOY_SPEC
from worldverify.testing.toy import toy_task as toy_task
from worldverify.testing.verifiers import check_verifier as check_verifier
