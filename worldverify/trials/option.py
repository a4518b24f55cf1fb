"""The command line's way to ask for trials."""

from worldverify.trials.rules import Certify, certify

_FIELDS = ("p", "p0", "alpha", "beta", "most")


def certify_option(text: str) -> Certify:
    """`p=0.95,p0=0.90,alpha=0.05,beta=0.05,most=500`, or `0.95` alone. Raises ValueError."""
    given: dict[str, float | int] = {}
    for part in text.split(","):
        name, _, value = part.partition("=") if "=" in part else ("p", "", part)
        name = name.strip()
        if name not in _FIELDS or name in given:
            raise ValueError(
                f"{text!r} cannot be read: write p=0.95,p0=0.90, each of {', '.join(_FIELDS)} once at most."
            )
        try:
            given[name] = int(value) if name == "most" else float(value)
        except ValueError:
            kind = "a whole number" if name == "most" else "a number"
            raise ValueError(f"{name} must be {kind}; got {value.strip()!r}.") from None
    if "p" not in given:
        raise ValueError("p, the rate of passes that is to be shown, is missing: write p=0.95.")
    return certify(**given)  # type: ignore[arg-type]
