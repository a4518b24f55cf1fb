"""What the caller of the command line can put right, told in one sentence."""

import os
from pathlib import Path


class UsageError(Exception):
    """Ends a command with exit status 2; the message is the sentence."""


def cannot_write(path: str | Path, error: OSError) -> UsageError:
    """The sentence for a file or folder that cannot be written."""
    return UsageError(f"Cannot write {path}: {error.strerror or error}.")


def cannot_read(path: str | Path, error: OSError) -> UsageError:
    """The sentence for a file that cannot be read."""
    return UsageError(f"Cannot read {path}: {error.strerror or error}.")


def import_fault() -> str | None:
    """Why MuJoCo cannot be imported here, in a sentence, or None if it can.

    `import mujoco` loads the OpenGL library that MUJOCO_GL names, and ends in an obscure error where there is none.
    """
    try:
        import mujoco  # noqa: F401
        from mujoco import batch  # noqa: F401
    except Exception as error:  # whatever an import may end in
        said = f"{type(error).__name__}: {error}".rstrip(".")
        for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM"):
            if os.environ.get(name):
                return (
                    f"MuJoCo cannot be imported while {name}={os.environ[name]} ({said}). Unset {name}: worldverify "
                    "draws without OpenGL."
                )
        return f"MuJoCo cannot be imported ({said}). Install it with: pip install 'mujoco>=3.17'."
    return None
