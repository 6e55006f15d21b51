# SPDX-License-Identifier: EUPL-1.2
"""California algorithm #7, modified: an incident between two stations, from their occupancies."""

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

TENTATIVE: Final = 1
CONFIRMED: Final = 2
CONTINUING: Final = 3


class California7Settings(PairSettings):
    """The three thresholds."""

    difference: float = Field(
        default=8.0, gt=0, description="Least difference of occupancy (OCCDF), percentage points."
    )
    relative_difference: float = Field(
        default=0.5, gt=0, le=1, description="Least difference over the one upstream (OCCRDF)."
    )
    downstream_drop: float = Field(
        default=0.3,
        description="Least relative fall downstream over two intervals (DOCCTD).",
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if self.downstream_drop < 0:
            yield "downstream_drop", "must not be below 0: a rise is no fall"


@register("alert")
class California7(IncidentRule[California7Settings]):
    """Holds while occupancy upstream stays far above that downstream, where it had fallen.

    Free becomes tentative with ``OCCDF >= difference``, ``OCCRDF >= relative_difference``
    and ``DOCCTD >= downstream_drop``; tentative becomes confirmed and then continuing for as long
    as ``OCCRDF >= relative_difference``, else free. It holds from confirmed on. ``OCCDF`` is the
    occupancy upstream minus that downstream, ``OCCRDF`` the same over the one upstream, ``DOCCTD``
    the relative fall downstream over two intervals; a denominator of 0 gives 0.

    Source: 8, 0.5 and 0.3 are those of the organic traffic control project (one source), which
    cites Smith 2002. The classical #7 asks for a low occupancy downstream in place of its fall.

    Known failures: it needs a fall downstream within two intervals, so an incident that builds up
    slowly, or in traffic too thin for a shortage downstream, is not seen. A ramp, a signal or a
    broken detector between both looks like an incident. Waves of congestion are not told apart
    (see ``california_8``).
    """

    name: ClassVar[str] = "california_7"
    Settings: ClassVar[type[California7Settings]] = California7Settings

    @classmethod
    def describe(cls, settings: California7Settings) -> str:
        """Say what begins an incident, and what ends it."""
        return (
            "It holds once occupancy upstream exceeds that downstream by"
            f" {digits(settings.difference)} points and {percent(settings.relative_difference)} of"
            f" itself while that downstream fell by {percent(settings.downstream_drop)} or more,"
            f" and as long as it exceeds it by {percent(settings.relative_difference)};"
            f" {cls.intervals(settings)} (California #7)."
        )

    def fills(self) -> dict[str, np.generic]:
        """Start free."""
        return {"stage": np.uint8(FREE)}

    def step(self, frame: Frame) -> BoolArray:
        """Move every pair on by an interval."""
        limits, stage = self.settings, self.state["stage"]
        lasting = frame.relative_difference >= limits.relative_difference
        begins = lasting & (frame.difference >= limits.difference)
        begins &= frame.downstream_drop >= limits.downstream_drop
        following = np.where(lasting, np.minimum(stage + 1, CONTINUING), FREE)
        moved = np.where(stage == FREE, np.where(begins, TENTATIVE, FREE), following)
        stage[:] = np.where(frame.known, moved, FREE)
        holds: BoolArray = stage >= CONFIRMED
        return holds

    def reason(self, pair: int, frame: Frame) -> str:
        """Say which limits are passed."""
        least = self.settings.relative_difference
        return (
            f"difference {frame.difference[pair]:.0f} (limit {self.settings.difference:g}), "
            f"relative {frame.relative_difference[pair]:.2f} >= {least:g}"
            f" since occupancy downstream fell"
        )

    def clears_when(self) -> str:
        """Say what ends it."""
        limit = self.settings.relative_difference
        return f"the difference is less than {limit:g} of the occupancy upstream"
