"""What is not simulated because it cannot change a verdict: rules that can be switched on and off."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Rules that save physics. None but `rest` changes a margin or a digest; the others together are the default."""

    stop: bool = True  # a plan is simulated until it is decided, not to the horizon
    refill: bool = True  # a lane whose plan is decided takes the next plan at once
    share: bool = True  # what plans have in common from one start state is simulated once
    midphase: bool = True  # bounding boxes are compared before shapes are, where that saves time
    rest: bool = False  # what lies still costs nothing: margins move, statuses and violated requirements do not
    lanes: int | None = None  # simulated side by side; None: chosen
    chunk: int | None = None  # physics substeps between two looks at the evidence; None: chosen

    def __post_init__(self) -> None:
        for name in ("stop", "refill", "share", "midphase", "rest"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False; got {getattr(self, name)!r}.")
        for name in ("lanes", "chunk"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ValueError(f"{name} must be a whole number from 1 on, or None; got {value!r}.")

    @classmethod
    def exhaustive(cls) -> "Schedule":
        """Every plan by itself, to the horizon: what all rules are tested against."""
        return cls(stop=False, refill=False, share=False, midphase=False)


ALL_RULES = Schedule()
NO_RULE = Schedule.exhaustive()
