"""How far a run is: what has been decided and found, in memory and as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from quickvision.training.lr_find import LRFind
from quickvision.runs.run import Stage


@dataclass
class RunState:
    """What a run has decided and found so far.

    Attributes:
        epochs: Frozen and unfrozen ones, as planned.
        stages: Those that are done.
        rates: Rates that were searched, by stage.
        lr_finds: What was seen in these searches.
        timing: Seconds by stage, in their order.
    """

    epochs: tuple[int, int]
    stages: list[Stage] = field(default_factory=list)
    rates: dict[str, float] = field(default_factory=dict)
    lr_finds: dict[str, LRFind] = field(default_factory=dict)
    timing: dict[str, float] = field(default_factory=dict)

    def is_done(self, stage: str) -> bool:
        """Say whether a stage is behind it."""
        return any(done.name == stage for done in self.stages)

    def to_plain(self) -> dict[str, Any]:
        """Write it down, for a checkpoint."""
        return {
            "epochs": self.epochs,
            "stages": [{**asdict(stage), "lr": _written(stage.lr)} for stage in self.stages],
            "rates": self.rates,
            "lr_finds": {name: vars(found) for name, found in self.lr_finds.items()},
            "timing": self.timing,
        }

    @classmethod
    def from_plain(cls, state: dict[str, Any]) -> RunState:
        """Read what `to_plain` wrote, from a checkpoint that has more in it."""
        frozen, unfrozen = state["epochs"]
        stages = [Stage(**{**stage, "lr": _read(stage["lr"])}) for stage in state["stages"]]
        finds = {}
        for name, found in state["lr_finds"].items():
            seen = {key: np.array(found[key]) for key in ("lrs", "losses")}
            finds[name] = LRFind(**{**found, **seen, "lr_range": tuple(found["lr_range"])})
        return cls((frozen, unfrozen), stages, dict(state["rates"]), finds, dict(state["timing"]))


def _written(rate: Any) -> Any:
    return [rate.start, rate.stop] if isinstance(rate, slice) else rate


def _read(rate: Any) -> Any:
    return slice(*rate) if isinstance(rate, list) else rate
