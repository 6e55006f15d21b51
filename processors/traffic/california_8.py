# SPDX-License-Identifier: EUPL-1.2
"""California algorithm #8: an incident between two stations, told from a wave of congestion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from lamppost.component import register
from lamppost.grouping import BoolArray
from lamppost.wording import digits, percent

from ._incidents import FREE, IncidentRule
from ._pair_rule import Frame, PairSettings

WAVE_1: Final = 1
WAVE_5: Final = 5
TENTATIVE: Final = 6
CONFIRMED: Final = 7
CONTINUING: Final = 8


class California8Settings(PairSettings):
    """The five thresholds."""

    difference: float = Field(
        default=8.0,
        gt=0,
        description="T1: least difference of occupancy (OCCDF), percentage points.",
    )
    wave_drop: float = Field(
        default=-0.4,
        lt=0,
        description="T2: a relative fall downstream (DOCCTD) below this, thus a rise, is a wave.",
    )
    relative_difference: float = Field(
        default=0.5, gt=0, le=1, description="T3: least difference over the one upstream (OCCRDF)."
    )
    downstream_drop: float = Field(
        default=0.3, description="T4: least relative fall downstream over two intervals (DOCCTD)."
    )
    dense: float = Field(
        default=30.0,
        gt=0,
        le=100,
        description="T5: occupancy downstream (DOCC) from which a wave may pass, %.",
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if self.downstream_drop < 0:
            yield "downstream_drop", "must not be below 0: a rise is no fall"


@register("alert")
class California8(IncidentRule[California8Settings]):
    """Holds while occupancy upstream stays far above that downstream, and no wave has just passed.

    As ``california_7``, with a test for waves before. While the occupancy downstream is
    at least T5, no incident begins: a rise there (``DOCCTD < T2``) starts five intervals of wave,
    which count on (``DOCCTD >= T2``, or occupancy below T5 again) until the pair is free. A
    tentative or confirmed incident lives on while ``OCCRDF >= T3``; else the pair is free, or, from
    tentative with ``DOCCTD < T2`` and ``DOCC >= T5``, in the first interval of a wave. Free becomes
    tentative with ``OCCDF >= T1``, ``OCCRDF >= T3``, ``DOCCTD >= T4`` and ``DOCC < T5``.

    Source: T1 to T5 are those of the organic traffic control project (one source); the five
    intervals of a wave were meant as minutes.

    Known failures: as ``california_7``; in addition an incident right after a wave is seen up to
    five intervals late, and one whose downstream station is itself congested is not seen at all.
    """

    name: ClassVar[str] = "california_8"
    Settings: ClassVar[type[California8Settings]] = California8Settings

    @classmethod
    def describe(cls, settings: California8Settings) -> str:
        """Say what begins an incident, what ends it, and what is a wave."""
        return (
            "It holds once occupancy upstream exceeds that downstream by"
            f" {digits(settings.difference)} points and {percent(settings.relative_difference)} of"
            f" itself while that downstream fell by {percent(settings.downstream_drop)} or more,"
            f" unless a wave of congestion just passed (from {digits(settings.dense)} % downstream"
            f" on, rising by {percent(-settings.wave_drop)} or more); {cls.intervals(settings)}"
            " (California #8)."
        )

    def fills(self) -> dict[str, np.generic]:
        """Start free."""
        return {"stage": np.uint8(FREE)}

    def step(self, frame: Frame) -> BoolArray:
        """Move every pair on by an interval."""
        stage = self.state["stage"]
        moved = np.where(stage >= TENTATIVE, self._of_incident(frame), self._of_others(frame))
        stage[:] = np.where(frame.known, moved, FREE)
        holds: BoolArray = stage >= CONFIRMED
        return holds

    def reason(self, pair: int, frame: Frame) -> str:
        """Say which limits are passed."""
        least = self.settings.relative_difference
        return (
            f"difference {frame.difference[pair]:.0f} (limit {self.settings.difference:g}), "
            f"relative {frame.relative_difference[pair]:.2f} >= {least:g}"
            f" since occupancy downstream fell, and no wave of congestion was passing"
        )

    def clears_when(self) -> str:
        """Say what ends it."""
        limit = self.settings.relative_difference
        return f"the difference is less than {limit:g} of the occupancy upstream"

    def _of_incident(self, frame: Frame) -> BoolArray:
        """Return what follows a tentative, confirmed or continuing incident."""
        limits, stage = self.settings, self.state["stage"]
        lasting = frame.relative_difference >= limits.relative_difference
        wave = (frame.downstream_drop < limits.wave_drop) & (frame.occupancy_down >= limits.dense)
        ended = np.where(wave & (stage == TENTATIVE), WAVE_1, FREE)
        return np.where(lasting, np.minimum(stage + 1, CONTINUING), ended)

    def _of_others(self, frame: Frame) -> BoolArray:
        """Return what follows a free pair, or one that a wave passes."""
        limits, stage = self.settings, self.state["stage"]
        dense = frame.occupancy_down >= limits.dense
        counted = np.where((stage >= WAVE_1) & (stage < WAVE_5), stage + 1, FREE)
        begins = (frame.difference >= limits.difference) & (stage == FREE)
        begins &= frame.relative_difference >= limits.relative_difference
        begins &= frame.downstream_drop >= limits.downstream_drop
        thin = np.where(begins, TENTATIVE, counted)
        waved = np.where(frame.downstream_drop < limits.wave_drop, WAVE_1, counted)
        return np.where(dense, waved, thin)
