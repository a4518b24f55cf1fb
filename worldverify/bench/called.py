"""How a run was called, as its report says it."""

import re
import shlex
import sys


def command_line() -> str:
    """The command and its options, without where things lie on this machine."""
    words = [re.sub(r"^.*/", "", word) for word in sys.argv]
    return shlex.join(["worldverify", *words[1:]])
