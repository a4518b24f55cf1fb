"""The guard band: how near to its opposite a verdict in float32 may lie before MuJoCo C has to look.

A band is measured by `worldverify parity` for one task on one engine. Without one every verdict is near.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import mujoco

from worldverify.engines.caches import read_json, version_of, write_json
from worldverify.identity import sha256
from worldverify.kernels.engine import EngineInfo
from worldverify.verdict import Status
from worldverify.version import VERSION

if TYPE_CHECKING:
    from worldverify.task import Task

Bounds = Mapping[str, tuple[float, float]]  # requirement -> (lo, hi), in margin scales

MOST_SHARE = 0.02  # of plans may lie inside: more would be judged twice, and the scene is too sensitive for float32
MOST_FLIPS = 0.01  # bound, at 95 %, of the probability that a verdict outside is wrong

SCHEMA = 1
SHIPPED = "measured.json"  # in worldverify.parity: bands of the shipped tasks

# What computes on each implementation besides the engine itself: another version may round otherwise.
_COMPUTES = {"jax": ("mujoco-mjx", "jax", "jaxlib"), "warp": ("mujoco-mjx", "warp-lang", "jax", "jaxlib")}


@dataclass(frozen=True)
class Band:
    """How far verdicts of an engine were trusted, and what came of it, for one task."""

    width: float  # margin scales; a verdict nearer to its opposite is inside
    plans: int  # judged by both engines
    share: float  # of them inside
    flips_inside: int  # verdicts that MuJoCo C contradicts
    flips_outside: int
    upper: float  # exact bound, at 95 %, of the probability of a flip outside, from plans that did not set the width
    report: str  # SHA-256 of the measurement
    agrees: bool = True  # fields and single steps of the engine are MuJoCo C's, as far as float32 can tell

    @property
    def unusable(self) -> str | None:
        """Why MuJoCo C must judge every plan in spite of the band, in a sentence, or None."""
        if not self.agrees:
            return "Fields or single steps of the engine differ from MuJoCo C's by more than float32 explains."
        if self.flips_outside:
            return f"{self.flips_outside} of {self.plans} verdicts outside of the band were wrong."
        if self.share > MOST_SHARE:
            return f"The band would hold {self.share:.1%} of the plans; at most {MOST_SHARE:.0%} may lie inside."
        if self.upper > MOST_FLIPS:
            return (
                f"{self.plans} plans show no more than that a verdict outside is wrong with a probability below "
                f"{self.upper:.2%}; below {MOST_FLIPS:.0%} is needed: compare more plans."
            )
        return None

    @property
    def refuted(self) -> bool:
        """Whether the band is unusable for another reason than that the plans were few."""
        return self.unusable is not None and (not self.agrees or self.flips_outside > 0 or self.upper <= MOST_FLIPS)


def depth(status: Status, final: Bounds | None) -> float:
    """How far a verdict is from its opposite, in margin scales, by the bounds over all that can be believed.

    A PASS turns if one requirement does, a FAIL only if all violated ones do. Anything else is not settled: 0.
    """
    if not final:
        return 0.0
    if status == "PASS":
        return max(0.0, min(low for low, _ in final.values()))
    if status == "FAIL":
        return max(0.0, *(-high for _, high in final.values()))
    return 0.0


def load_band(task: "Task", info: EngineInfo) -> Band | None:
    """The band to judge by on this engine, or None where none was measured or it must not be used.

    What the user's own machine found comes before what ships with worldverify, and an unusable one stands in its way.
    """
    band = kept_band(task, info)
    return None if band is None or band.unusable else band


def kept_band(task: "Task", info: EngineInfo) -> Band | None:
    """The band that was kept, or shipped, whatever it is good for."""
    key = band_key(task, info)
    record = read_json(_place(key))
    if record is None:
        record = next((r for r in _shipped() if isinstance(r, dict) and r.get("key") == key), None)
    return _read(record, key)


def save_band(task: "Task", info: EngineInfo, band: Band) -> bool:
    """Keep a band for this user; whether it could be written."""
    key = band_key(task, info)
    return write_json(_place(key), band_record(key, band))


def band_key(task: "Task", info: EngineInfo) -> dict[str, Any]:
    """All that a band depends on: what is asked of which scene, and what computes the answer, in which version."""
    return {
        "task": task.name,
        "scene": task.scene.digest,
        "spec": str(task.spec),
        "rate": task.rate,
        "horizon_s": task.horizon,
        **info._asdict(),
        "mujoco": mujoco.__version__,
        "worldverify": VERSION,
        "with": {name: version_of(name) for name in _COMPUTES.get(info.impl, ())},
    }


def band_record(key: Mapping[str, Any], band: Band) -> dict[str, Any]:
    """A band as JSON, with its key and a seal over both."""
    content = {"schema": SCHEMA, "key": dict(key), "band": asdict(band)}
    return {**content, "sha256": sha256(content)}


def _read(record: Any, key: Mapping[str, Any]) -> Band | None:
    """The band of a record that is whole and belongs to the key."""
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or record.get("key") != key:
        return None
    try:
        band = Band(**record["band"])
        whole = record["sha256"] == band_record(key, band)["sha256"]
        sound = math.isfinite(band.width) and band.width > 0 and 0 <= band.share <= 1 and 0 < band.upper <= 1
    except (KeyError, TypeError, ValueError):
        return None
    return band if whole and sound else None


def _shipped() -> list[Any]:
    """The records that come with worldverify."""
    try:
        text = resources.files("worldverify.parity").joinpath(SHIPPED).read_text(encoding="utf-8")
        bands = json.loads(text)["bands"]
    except (OSError, ValueError, KeyError, TypeError, ModuleNotFoundError):
        return []
    return bands if isinstance(bands, list) else []


def _place(key: Mapping[str, Any]) -> str:
    return f"band-{sha256(key)[:32]}"
