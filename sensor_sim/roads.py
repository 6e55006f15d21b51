# SPDX-License-Identifier: EUPL-1.2
"""The roads under the detectors: lanes, speed on the empty road, and what is downstream of what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .noise import Floats, Keys, derive, uniform

_ONCE = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True)
class Road:
    """What the registry knows of the road at a station.

    Attributes:
        corridor: the road and direction it stands along.
        position_km: distance from the corridor's begin, in the direction of travel.
        lanes: lanes under the detector.
        free_flow_speed_km_h: speed on the empty road.
    """

    corridor: str
    position_km: float
    lanes: int
    free_flow_speed_km_h: float


NO_ROAD = Road("", 0.0, 0, 0.0)
"""Of a station that counts no traffic."""


def lanes_of(keys: Keys) -> Floats:
    """Return the lanes at each station."""
    return 1.0 + np.floor(3.0 * uniform(derive(keys, "lanes"), _ONCE))


def free_speed_of(keys: Keys) -> Floats:
    """Return the speed on the empty road at each station, km/h."""
    return 45.0 + 10.0 * lanes_of(keys) * uniform(derive(keys, "free speed"), _ONCE)


@dataclass(frozen=True)
class Along:
    """Where stations stand along their roads, one array element for each.

    Attributes:
        corridor: number of the corridor, -1 for none.
        position_km: distance from its begin.
    """

    corridor: NDArray[np.int64]
    position_km: Floats

    @classmethod
    def of(cls, roads: list[Road]) -> Along:
        """Number the corridors in order of first appearance."""
        numbers = {NO_ROAD.corridor: -1}
        for road in roads:
            numbers.setdefault(road.corridor, len(numbers) - 1)
        return cls(
            corridor=np.array([numbers[road.corridor] for road in roads], dtype=np.int64),
            position_km=np.array([road.position_km for road in roads], dtype=np.float64),
        )

    def downstream_km(self, origin: int) -> Floats:
        """Return how far downstream of a station each stands on its corridor; NaN elsewhere."""
        ahead = self.position_km - self.position_km[origin]
        same = (self.corridor == self.corridor[origin]) & (self.corridor >= 0)
        return np.where(same & (ahead > 0), ahead, np.nan)
