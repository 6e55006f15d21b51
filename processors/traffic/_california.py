# SPDX-License-Identifier: EUPL-1.2
"""What both California algorithms share: three features, a stage for each pair, and their words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, TypeVar

import numpy as np
from pydantic import Field

from lamppost.grouping import BoolArray

from ._incidents import FREE, IncidentRule
from ._pair_rule import Frame, PairSettings


class CaliforniaSettings(PairSettings):
    """The thresholds of both."""

    difference: float = Field(
        default=8.0, gt=0, description="Least difference of occupancy (OCCDF), percentage points."
    )
    relative_difference: float = Field(
        default=0.5, gt=0, le=1, description="Least difference over the one upstream (OCCRDF)."
    )
    downstream_drop: float = Field(
        default=0.3, description="Least relative fall downstream over two intervals (DOCCTD)."
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if self.downstream_drop < 0:
            yield "downstream_drop", "must not be below 0: a rise is no fall"


S = TypeVar("S", bound=CaliforniaSettings)


class CaliforniaRule(IncidentRule[S]):
    """Base of the algorithms: an own one says which stage follows which."""

    confirmed: ClassVar[int]
    """The stage from which on it holds."""
    beside: ClassVar[str] = ""
    """What else must hold, in words."""

    def fills(self) -> dict[str, np.generic]:
        """Start free."""
        return {"stage": np.uint8(FREE)}

    def step(self, frame: Frame) -> BoolArray:
        """Move every pair on by an interval; one of which too little is known is free."""
        stage = self.state["stage"]
        stage[:] = np.where(frame.known, self.following(frame), FREE)
        holds: BoolArray = stage >= self.confirmed
        return holds

    def following(self, frame: Frame) -> BoolArray:
        """Return the stage of each pair after an interval."""
        raise NotImplementedError

    def lasts(self, frame: Frame) -> BoolArray:
        """Return the pairs whose difference is large beside the occupancy upstream."""
        return frame.relative_difference >= self.settings.relative_difference

    def begins(self, frame: Frame) -> BoolArray:
        """Return the pairs all of whose features are those of an incident."""
        large = frame.difference >= self.settings.difference
        fell = frame.downstream_drop >= self.settings.downstream_drop
        return large & fell & self.lasts(frame)

    def reason(self, pair: int, frame: Frame) -> str:
        """Say which limits are passed."""
        least = self.settings.relative_difference
        return (
            f"difference {frame.difference[pair]:.0f} (limit {self.settings.difference:g}), "
            f"relative {frame.relative_difference[pair]:.2f} >= {least:g}"
            f" since occupancy downstream fell{self.beside}"
        )

    def clears_when(self) -> str:
        """Say what ends it."""
        limit = self.settings.relative_difference
        return f"the difference is less than {limit:g} of the occupancy upstream"
