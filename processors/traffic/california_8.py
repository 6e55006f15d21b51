# SPDX-License-Identifier: EUPL-1.2
"""California algorithm #8: an incident between two stations, told from a wave of congestion."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from lamppost.component import register
from lamppost.grouping import BoolArray
from lamppost.wording import digits, percent

from ._california import CaliforniaRule, CaliforniaSettings
from ._incidents import FREE
from ._pair_rule import Frame

WAVE_1: Final = 1
WAVE_5: Final = 5
TENTATIVE: Final = 6
CONFIRMED: Final = 7
CONTINUING: Final = 8


class California8Settings(CaliforniaSettings):
    """The five thresholds."""

    wave_drop: float = Field(
        default=-0.4,
        lt=0,
        description="A relative fall downstream (DOCCTD) below this, thus a rise, is a wave.",
    )
    dense: float = Field(
        default=30.0,
        gt=0,
        le=100,
        description="Occupancy downstream (DOCC) from which a wave may pass, %.",
    )


@register("alert")
class California8(CaliforniaRule[California8Settings]):
    """Holds while occupancy upstream stays far above that downstream, and no wave has just passed.

    As ``california_7``, with a test for waves before. While the occupancy downstream is
    at least T5, no incident begins: a rise there (``DOCCTD < T2``) starts five intervals of wave,
    which count on (``DOCCTD >= T2``, or occupancy below T5 again) until the pair is free. A
    tentative or confirmed incident lives on while ``OCCRDF >= T3``; else the pair is free, or, from
    tentative with ``DOCCTD < T2`` and ``DOCC >= T5``, in the first interval of a wave. Free becomes
    tentative with ``OCCDF >= T1``, ``OCCRDF >= T3``, ``DOCCTD >= T4`` and ``DOCC < T5``. T1 to T5
    are ``difference``, ``wave_drop``, ``relative_difference``, ``downstream_drop`` and ``dense``.

    Source: T1 to T5 are those of the organic traffic control project (one source); the five
    intervals of a wave were meant as minutes.

    Known failures: as ``california_7``; in addition an incident right after a wave is seen up to
    five intervals late, and one whose downstream station is itself congested is not seen at all.
    """

    name: ClassVar[str] = "california_8"
    Settings: ClassVar[type[California8Settings]] = California8Settings
    confirmed: ClassVar[int] = CONFIRMED
    beside: ClassVar[str] = ", and no wave of congestion was passing"

    @classmethod
    def describe(cls, settings: California8Settings) -> str:
        """Say what begins an incident, what ends it, and what is a wave."""
        return (
            "It holds from the interval after one in which occupancy upstream exceeds that"
            f" downstream by {digits(settings.difference)} points and"
            f" {percent(settings.relative_difference)} of itself, while that downstream fell by"
            f" {percent(settings.downstream_drop)} or more over two intervals to less than"
            f" {digits(settings.dense)} %, as long as it exceeds it by"
            f" {percent(settings.relative_difference)}; not in the five intervals of a wave of"
            f" congestion, which is a rise downstream by more than {percent(-settings.wave_drop)}"
            f" to {digits(settings.dense)} % or more; {cls.intervals(settings)} (California #8)."
        )

    def following(self, frame: Frame) -> BoolArray:
        """Return what follows an incident, or a pair without one."""
        incident = self.state["stage"] >= TENTATIVE
        return np.where(incident, self._of_incident(frame), self._of_others(frame))

    def _of_incident(self, frame: Frame) -> BoolArray:
        """Return what follows a tentative, confirmed or continuing incident."""
        limits, stage = self.settings, self.state["stage"]
        wave = (frame.downstream_drop < limits.wave_drop) & (frame.occupancy_down >= limits.dense)
        ended = np.where(wave & (stage == TENTATIVE), WAVE_1, FREE)
        return np.where(self.lasts(frame), np.minimum(stage + 1, CONTINUING), ended)

    def _of_others(self, frame: Frame) -> BoolArray:
        """Return what follows a free pair, or one that a wave passes."""
        limits, stage = self.settings, self.state["stage"]
        dense = frame.occupancy_down >= limits.dense
        counted = np.where((stage >= WAVE_1) & (stage < WAVE_5), stage + 1, FREE)
        thin = np.where((stage == FREE) & self.begins(frame), TENTATIVE, counted)
        waved = np.where(frame.downstream_drop < limits.wave_drop, WAVE_1, counted)
        return np.where(dense, waved, thin)
