# SPDX-License-Identifier: EUPL-1.2
"""California algorithm #7, modified: an incident between two stations, from their occupancies."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from lamppost.component import register
from lamppost.grouping import BoolArray
from lamppost.wording import digits, percent

from ._california import CaliforniaRule, CaliforniaSettings
from ._incidents import FREE
from ._pair_rule import Frame

TENTATIVE: Final = 1
CONFIRMED: Final = 2
CONTINUING: Final = 3


class California7Settings(CaliforniaSettings):
    """The three thresholds."""


@register("alert")
class California7(CaliforniaRule[California7Settings]):
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
    confirmed: ClassVar[int] = CONFIRMED

    @classmethod
    def describe(cls, settings: California7Settings) -> str:
        """Say what begins an incident, and what ends it."""
        return (
            "It holds from the interval after one in which occupancy upstream exceeds that"
            f" downstream by {digits(settings.difference)} points and"
            f" {percent(settings.relative_difference)} of itself, while that downstream fell by"
            f" {percent(settings.downstream_drop)} or more over two intervals, as long as it"
            f" exceeds it by {percent(settings.relative_difference)}; {cls.intervals(settings)}"
            " (California #7)."
        )

    def following(self, frame: Frame) -> BoolArray:
        """Return what follows a free pair or an incident."""
        stage = self.state["stage"]
        lasting = np.where(self.lasts(frame), np.minimum(stage + 1, CONTINUING), FREE)
        return np.where(stage == FREE, np.where(self.begins(frame), TENTATIVE, FREE), lasting)
