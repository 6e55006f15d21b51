# SPDX-License-Identifier: EUPL-1.2
"""Things that really happen in the city: smoke over a district, an accident with its queue.

They are no faults: the stations measure them rightly, and a detector ought to find them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from .noise import Floats, Instants
from .roads import Along

_SHORTAGE_KM = 3.0


class EventKind(StrEnum):
    """What can happen."""

    SMOKE_PLUME = "smoke_plume"
    TRAFFIC_INCIDENT = "traffic_incident"


@dataclass(frozen=True)
class Event:
    """One happening at one place, over the half-open interval of its time.

    Attributes:
        kind: what happens.
        east_m: metres east of the city's centre.
        north_m: metres north of the city's centre.
        radius_m: distance within which it acts in full.
        start_ns: first instant.
        end_ns: first instant after it.
        peak: µg/m³ of PM2.5 in a plume, or the blocked share of a road, 0 to 1.
        ramp_ns: time it takes to rise, and to fade.
        note: what happened, for people.
        place: position in the fleet of the station it happens at, -1 where it is at none.
    """

    kind: EventKind
    east_m: float
    north_m: float
    radius_m: float
    start_ns: int
    end_ns: int
    peak: float
    ramp_ns: int
    note: str
    place: int = -1

    def reach(self, east_m: Floats, north_m: Floats) -> Floats:
        """Return how far the event acts at some places, 0 to 1."""
        distance = np.hypot(east_m - self.east_m, north_m - self.north_m)
        beyond = np.maximum(distance - self.radius_m, 0.0) / (0.4 * self.radius_m)
        reach: Floats = np.exp(-0.5 * beyond * beyond)
        return np.where(reach < 1e-3, 0.0, reach)

    def strength(self, east_m: Floats, north_m: Floats, time_ns: Instants) -> Floats:
        """Return the strength of the event at some places and instants."""
        strength: Floats = self.course(time_ns) * self.reach(east_m, north_m)
        return strength

    def course(self, time_ns: Instants) -> Floats:
        """Return the strength of the event at its centre."""
        rising = (time_ns - self.start_ns) / self.ramp_ns
        fading = (self.end_ns - time_ns) / self.ramp_ns
        course: Floats = self.peak * np.clip(np.minimum(rising, fading), 0.0, 1.0)
        return course

    def shortage(self, along: Along) -> Floats:
        """Return how much each station lacks the traffic that an accident holds up, 0 to 1."""
        if self.kind != EventKind.TRAFFIC_INCIDENT or self.place < 0:
            return np.zeros(len(along.corridor))
        return np.nan_to_num(np.exp(-along.downstream_km(self.place) / _SHORTAGE_KM))


def total_strength(
    events: tuple[Event, ...], kind: EventKind, place_m: tuple[Floats, Floats], time_ns: Instants
) -> Floats:
    """Return the sum of all events of one kind at some places and instants."""
    total = np.zeros(len(time_ns))
    for event in events:
        if event.kind == kind:
            total = total + event.strength(*place_m, time_ns)
    return total


def road_strengths(
    events: tuple[Event, ...],
    along: Along,
    places: NDArray[np.int64],
    place_m: tuple[Floats, Floats],
    time_ns: Instants,
) -> tuple[Floats, Floats]:
    """Return how much accidents block the road, and how much they keep traffic away from it."""
    blockage, shortage = np.zeros(len(time_ns)), np.zeros(len(time_ns))
    for event in events:
        if event.kind == EventKind.TRAFFIC_INCIDENT:
            lacking = event.shortage(along)[places]
            behind = lacking > 0
            blockage += np.where(behind, 0.0, event.strength(*place_m, time_ns))
            shortage += lacking * event.course(time_ns)
    return np.minimum(blockage, 1.0), np.minimum(shortage, 1.0)
