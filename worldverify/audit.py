"""How far a pre-pass can be trusted, found by asking the reference about a random part of what it rejected."""

from dataclasses import dataclass

from worldverify.kernels.statistics import exact_interval


@dataclass(frozen=True)
class Audit:
    """How often the reference contradicted rejections that were drawn at random."""

    rejected: int  # plans that the screen judged
    audited: int  # rejections that the reference judged as well
    wrong: int  # of these the reference does not say FAIL

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval (Clopper-Pearson) of the share of rejections that are wrong."""
        return exact_interval(self.wrong, self.audited, 0.95)

    def __str__(self) -> str:
        many = f"The screen rejected {self.rejected} plans"
        if not self.audited:
            return f"{many}; none was drawn for an audit."
        low, high = self.interval
        return (
            f"{many}; of {self.audited} drawn for an audit the reference contradicts {self.wrong} "
            f"({self.wrong / self.audited:.1%}; 95 % interval {low:.1%} to {high:.1%})."
        )
