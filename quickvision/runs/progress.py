"""How far a run is: its stages, what it has decided and found.

The first stage is "frozen", the second "unfrozen"; what a finished run is trained further are
stages of their own, "unfrozen-2", "unfrozen-3" and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from quickvision.training.lr_find import LRFind
from quickvision.training.solve import Solved

APART = 1000  # between the seeds of two stages; of several processes each has one of these


def stage_name(number: int) -> str:
    """Name a stage by its place, from 0.

    >>> [stage_name(number) for number in range(4)]
    ['frozen', 'unfrozen', 'unfrozen-2', 'unfrozen-3']
    """
    return "frozen" if not number else "unfrozen" if number == 1 else f"unfrozen-{number}"


def stage_of(said: str) -> str:
    """Return the stage that a row of the history is of: gradual steps are of the unfrozen one."""
    return said if said == "frozen" or said.startswith("unfrozen-") else "unfrozen"


def stage_number(name: str) -> int:
    """Return the place of a stage, from 0."""
    return 0 if name == "frozen" else int(name.partition("-")[2] or 1)


def weights_after(name: str) -> str:
    """Name the file of the weights that a stage ended with, as `learn.load` wants it."""
    return f"stage-{stage_number(name) + 1}"


def stage_seed(seed: int, name: str) -> int:
    """Return the seed of a stage: further ones draw other orders and augmentations."""
    return (seed + APART * max(0, stage_number(name) - 1)) % 2**63


@dataclass(frozen=True)
class Stage:
    """One stage, as it was trained."""

    name: str  # "frozen", "unfrozen", "unfrozen-2", ...
    epochs: int  # that were asked for
    lr: Any  # the rate, or the rates, at the top
    cached: bool = False  # it trained on cached features
    gradual: bool = False  # group by group
    adapted: bool = False  # batch norms had taken the statistics of the pictures before
    solved: float | None = None  # inverse penalty that its head was solved with at the end, if so
    way: float = 1.0  # share of its way that was kept before that


@dataclass
class Progress:
    """How far a run is: what it has decided and found."""

    epochs: tuple[int, ...] = (0, 0)  # of each stage, as planned; 0 where it is left out
    stages: list[Stage] = field(default_factory=list)  # those that are done
    rates: dict[str, float] = field(default_factory=dict)  # that were searched, by stage
    lr_finds: dict[str, LRFind] = field(default_factory=dict)  # what these searches saw
    timing: dict[str, float] = field(default_factory=dict)  # seconds by stage, in their order
    rows: list[dict[str, Any]] = field(default_factory=list)  # one an epoch, over all stages
    solved: Solved | None = None  # how the head was, as judged before the stage that is next
    way: float | None = None  # what the stage that trains has kept; None until its end is settled
    adapted: bool = False  # batch norms have the statistics of the pictures
    right: dict[str, list[bool]] = field(default_factory=dict)  # pictures after all stages but one
    best: dict[str, Any] | None = None  # the best epoch's row

    def is_done(self, stage: str) -> bool:
        """Say whether a stage is behind it."""
        return any(done.name == stage for done in self.stages)

    def rows_of(self, stage: str) -> list[dict[str, Any]]:
        """Return the rows of a stage; gradual steps are of the unfrozen one."""
        return [row for row in self.rows if stage_of(row["stage"]) == stage]

    def end(self, stage: Stage) -> None:
        """Put a stage behind it."""
        self.stages.append(stage)
        self.way = None

    @property
    def is_finished(self) -> bool:
        """Say whether all stages that are planned are behind it, and any was."""
        planned = [stage_name(number) for number, n in enumerate(self.epochs) if n]
        return bool(planned) and all(self.is_done(name) for name in planned)

    @property
    def undone(self) -> int:
        """Count the stages of which nothing was kept."""
        return sum(stage.way == 0 for stage in self.stages)

    def plan_more(self, epochs: int) -> str:
        """Plan a further stage, and name it: the first that trains all layers is "unfrozen"."""
        done = self.epochs if self.epochs[-1] else self.epochs[:-1]
        self.epochs = (*done, epochs)
        return stage_name(len(done))

    @property
    def where(self) -> str:
        """Say where it goes on."""
        if not self.rows:
            return "from its start"
        return f"after {self.rows[-1]['stage']} epoch {self.rows[-1]['epoch']}"

    def to_plain(self) -> dict[str, Any]:
        """Turn it into plain values, as JSON and checkpoints hold them."""
        finds = {name: {**vars(found)} for name, found in self.lr_finds.items()}
        for found in finds.values():
            found |= {name: np.asarray(found[name]).tolist() for name in ("lrs", "losses")}
            found["lr_range"] = [float(rate) for rate in found["lr_range"]]
        return {
            "epochs": list(self.epochs),
            "stages": [{**asdict(stage), "lr": _plain_rate(stage.lr)} for stage in self.stages],
            "rates": dict(self.rates),
            "lr_finds": finds,
            "timing": dict(self.timing),
            "rows": list(self.rows),
            "solved": None if self.solved is None else asdict(self.solved),
            "way": self.way,
            "adapted": self.adapted,
            "right": dict(self.right),
            "best": self.best,
        }

    @classmethod
    def from_plain(cls, state: Mapping[str, Any]) -> Progress:
        """Read what `to_plain` wrote."""
        solved, right = state.get("solved"), state.get("right")  # younger than the rest
        if isinstance(right, list):  # of the frozen stage, when there were but two
            right = {"frozen": right}
        finds = {}
        for name, found in state["lr_finds"].items():
            seen = {key: np.array(found[key]) for key in ("lrs", "losses")}
            finds[name] = LRFind(**{**found, **seen, "lr_range": tuple(found["lr_range"])})
        return cls(
            epochs=tuple(int(n) for n in state["epochs"]),
            stages=[Stage(**{**stage, "lr": _rate(stage["lr"])}) for stage in state["stages"]],
            rates=dict(state["rates"]),
            lr_finds=finds,
            timing=dict(state["timing"]),
            rows=list(state["rows"]),
            solved=Solved(**solved) if solved else None,
            way=state.get("way"),
            adapted=state.get("adapted", False),
            right=dict(right or {}),
            best=state["best"],
        )


def _plain_rate(rate: Any) -> Any:
    return [rate.start, rate.stop] if isinstance(rate, slice) else rate


def _rate(rate: Any) -> Any:
    return slice(*rate) if isinstance(rate, list) else rate
