# SPDX-License-Identifier: EUPL-1.2
"""Density from flow and speed: how many vehicles stand on a kilometre of a lane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from lamppost.batch import FloatArray
from lamppost.component import register
from lamppost.series import SeriesKey
from lamppost.stations import Station
from lamppost.wording import exactly
from processors._roads import lanes_at

from ._derivations import FLOW_AND_SPEED, RoadDerivation, RoadSettings
from ._together import Road


class DensityFromSpeedSettings(RoadSettings):
    """How long flow and speed wait for each other."""


def density(flow: FloatArray, speed: FloatArray, lanes: FloatArray) -> FloatArray:
    """Return vehicles on a kilometre of a lane; NaN where nothing moves.

    >>> density(np.array([1800.0]), np.array([90.0]), np.array([2.0]))
    array([10.])
    """
    found = np.full(len(flow), np.nan)
    np.divide(flow, speed * lanes, out=found, where=(speed > 0) & (flow >= 0))
    return found


@register("derivation")
class DensityFromSpeed(RoadDerivation[DensityFromSpeedSettings]):
    """Works out density per lane from flow and speed of the same instant.

    ``k = q / (v * lanes)``, the fundamental relation, in veh/km and lane. Lanes are those of the
    station; a series with a ``lane`` is about one. A vehicle count of an interval of known length
    stands for its flow.

    Source: the fundamental relation q = k v, which holds for the space-mean speed.

    Known failures: detectors report the time-mean speed, which is never below the space-mean one,
    so that density comes out too low, by a few per cent in free traffic and more when speeds vary.
    Without vehicles there is no speed, and so no density, not 0.
    """

    name: ClassVar[str] = "density_from_speed"
    Settings: ClassVar[type[DensityFromSpeedSettings]] = DensityFromSpeedSettings
    inputs: ClassVar[Mapping[str, int]] = FLOW_AND_SPEED
    quantity: ClassVar[str] = "density"

    @classmethod
    def describe(cls, settings: DensityFromSpeedSettings) -> str:
        """Say what is divided, and how long it waits."""
        return (
            "Works out density per lane, veh/km, as flow over speed and lanes; flow and speed of"
            f" one instant wait up to {exactly(settings.wait_s)} for each other."
        )

    def facts(self, key: SeriesKey, station: Station | None) -> tuple[float] | None:
        """Return the lanes."""
        lanes = lanes_at(key, station)
        return None if lanes is None else (lanes,)

    def value(self, road: Road) -> FloatArray:
        """Divide flow by speed."""
        return density(*road.values, *road.facts)
