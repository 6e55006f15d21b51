# SPDX-License-Identifier: EUPL-1.2
"""Things that really happen in the city: smoke over a district, an accident with its queue.

They are no faults: the stations measure them rightly, and a detector ought to find them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from .noise import Floats, Instants


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
        peak: ug/m3 of PM2.5 in a plume, or the blocked share of a road, 0 to 1.
        ramp_ns: time it takes to rise, and to fade.
        note: what happened, for people.
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

    def reach(self, east_m: Floats, north_m: Floats) -> Floats:
        """Return how far the event acts at some places, 0 to 1."""
        distance = np.hypot(east_m - self.east_m, north_m - self.north_m)
        beyond = np.maximum(distance - self.radius_m, 0.0) / (0.4 * self.radius_m)
        reach: Floats = np.exp(-0.5 * beyond * beyond)
        return np.where(reach < 1e-3, 0.0, reach)

    def strength(self, east_m: Floats, north_m: Floats, time_ns: Instants) -> Floats:
        """Return the strength of the event at some places and instants."""
        rising = (time_ns - self.start_ns) / self.ramp_ns
        fading = (self.end_ns - time_ns) / self.ramp_ns
        course = np.clip(np.minimum(rising, fading), 0.0, 1.0)
        strength: Floats = self.peak * course * self.reach(east_m, north_m)
        return strength


def total_strength(
    events: tuple[Event, ...], kind: EventKind, place_m: tuple[Floats, Floats], time_ns: Instants
) -> Floats:
    """Return the sum of all events of one kind at some places and instants."""
    total = np.zeros(len(time_ns))
    for event in events:
        if event.kind == kind:
            total = total + event.strength(*place_m, time_ns)
    return total
