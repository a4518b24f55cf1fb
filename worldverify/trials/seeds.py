"""Which worlds the trials of a call see: the same for all of its candidates, and others where a choice is audited."""

from hashlib import sha256

_FIRST = 2**52  # everyday seeds are smaller, and twice this is exact in any JSON


def trial_seed(seed: int, trial: int, *, audit: bool = False) -> int:
    """The seed of a trial (0, 1, ...) of a call with `seed`: what `verify(seed=..., randomise="all")` takes.

    2**52 + 2 x, and one more for an audit, where x is the first six bytes (big-endian) of the SHA-256 of the text
    "SEED/TRIAL". So no audit of any call sees a world that a selection has seen, and no trial that of a small seed.
    """
    drawn = int.from_bytes(sha256(f"{seed}/{trial}".encode()).digest()[:6], "big")
    return _FIRST + 2 * drawn + audit
