# SPDX-License-Identifier: EUPL-1.2
"""Headway from flow: how many seconds lie between two vehicles of a lane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from lamppost.batch import FloatArray
from lamppost.component import Settings, register
from lamppost.series import SeriesKey
from lamppost.stations import Station
from processors._roads import lanes_at

from ._derivations import FLOW, RoadDerivation
from ._together import Road


class HeadwayFromFlowSettings(Settings):
    """Nothing can be set."""


def headway(flow: FloatArray, lanes: FloatArray) -> FloatArray:
    """Return seconds from front to front; NaN where nobody passed.

    >>> headway(np.array([1800.0, 0.0]), np.array([1.0, 1.0]))
    array([ 2., nan])
    """
    found = np.full(len(flow), np.nan)
    np.divide(3600.0 * lanes, flow, out=found, where=flow > 0)
    return found


@register("derivation")
class HeadwayFromFlow(RoadDerivation[HeadwayFromFlowSettings]):
    """Works out the mean time between vehicles of a lane from flow.

    ``3600 * lanes / q`` seconds. Lanes are those of the station; a series with a ``lane`` is about
    one.

    Source: by definition of flow.

    Known failures: it is a mean; platoons behind a signal have much shorter headways within and
    long gaps between. Lanes are rarely used alike. Without vehicles there is none.
    """

    name: ClassVar[str] = "headway_from_flow"
    Settings: ClassVar[type[HeadwayFromFlowSettings]] = HeadwayFromFlowSettings
    inputs: ClassVar[Mapping[str, int]] = FLOW
    quantity: ClassVar[str] = "headway"

    def facts(self, key: SeriesKey, station: Station | None) -> tuple[float] | None:
        """Return the lanes."""
        lanes = lanes_at(key, station)
        return None if lanes is None else (lanes,)

    def value(self, road: Road) -> FloatArray:
        """Divide an hour by the flow of a lane."""
        return headway(*road.values, *road.facts)
