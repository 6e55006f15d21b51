# SPDX-License-Identifier: EUPL-1.2
"""The standard programme of a demo: faults and events that rotate through the city for ever.

It is a pure function of (fleet, seed, start, interval): it looks back into history and on into
the future alike. Each track always has exactly one faulty station of its own, so the share of
faulty stations stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .calendar_time import HOUR_NS, MINUTE_NS, SECOND_NS
from .events import Event, EventKind
from .faults import FaultKind, FaultLabel, Programme
from .fleet import AIR_QUALITY, TRAFFIC, Fleet, Station
from .noise import Floats, key_of
from .roads import Along

FAULTY_SHARE = 0.044
FAULT_NS = 6 * HOUR_NS
FIRST_CHANGE_NS = 20 * SECOND_NS
PLUME_EVERY_NS = 8 * HOUR_NS
PLUME_LEAD_NS = 20 * MINUTE_NS
PLUME_NS = 3 * HOUR_NS
INCIDENT_EVERY_NS = 3 * HOUR_NS
INCIDENT_LEAD_NS = 10 * MINUTE_NS
INCIDENT_NS = 55 * MINUTE_NS
PAIR_INCIDENT_DELAY_NS = 10 * MINUTE_NS
PAIR_INCIDENT_NS = 40 * MINUTE_NS

_FELT = 0.5

Order = tuple[FaultKind, str | None, str]

AIR_ORDERS: tuple[Order, ...] = (
    (FaultKind.STUCK, "pm2_5", "the sensor repeats its last value"),
    (FaultKind.SILENCE, None, "no messages: the power supply has failed"),
    (FaultKind.SPIKES, "pm2_5", "single spikes: insects in the chamber"),
    (FaultKind.HUMIDITY_SATURATED, "humidity", "water in the humidity sensor"),
    (FaultKind.CLOCK_EPOCH, None, "the clock started again in 1970"),
    (FaultKind.DRIFT, "pm2_5", "the fan is clogging, values creep up"),
    (FaultKind.MALFORMED, None, "the radio cuts messages short"),
    (FaultKind.SENTINEL, "pm2_5", "999.9 in place of a measurement"),
    (FaultKind.DUPLICATE, None, "every message is sent twice"),
    (FaultKind.OFFSET_JUMP, "temperature", "a lamp heats the housing"),
    (FaultKind.UNKNOWN_UNIT, "pm2_5", "new firmware with an invented unit"),
    (FaultKind.CLOCK_DAY_AHEAD, None, "the date is one day ahead"),
    (FaultKind.NULL_VALUE, "pm2_5", "the sensor is unplugged, its value is null"),
    (FaultKind.UNKNOWN_QUANTITY, "pm10", "new firmware with an invented name"),
    (FaultKind.SENTINEL, "temperature", "-200 in place of a measurement"),
    (FaultKind.CLOCK_HOUR_AHEAD, None, "local time marked as UTC"),
    (FaultKind.OFFSET_JUMP, "pm2_5", "a bonfire's ash in the chamber"),
    (FaultKind.NAN_VALUE, "pm2_5", "the word NaN in place of a number"),
    (FaultKind.STUCK, "humidity", "the humidity sensor repeats its last value"),
)
TRAFFIC_ORDERS: tuple[Order, ...] = (
    (FaultKind.LOCKED_ON, None, "the loop is occupied all the time"),
    (FaultKind.NO_HITS, None, "the loop sees no vehicle"),
    (FaultKind.CHATTER, None, "the loop counts the same vehicle many times"),
    (FaultKind.SILENCE, None, "no messages: the line is cut"),
    (FaultKind.STUCK, None, "the detector repeats its last values"),
    (FaultKind.SPIKES, "speed", "single impossible speeds"),
    (FaultKind.SENTINEL, "speed", "255 km/h: outstation error"),
    (FaultKind.MALFORMED, None, "the modem cuts messages short"),
    (FaultKind.CLOCK_HOUR_AHEAD, None, "local time marked as UTC"),
    (FaultKind.NULL_VALUE, "occupancy", "occupancy is null"),
    (FaultKind.DUPLICATE, None, "every message is sent twice"),
)


@dataclass(frozen=True)
class Track:
    """One chain of faults, each following the last, among stations no other track touches."""

    stations: tuple[Station, ...]
    orders: tuple[Order, ...]
    first: int
    stride: int
    origin_ns: int

    def faults_between(self, start_ns: int, end_ns: int) -> list[FaultLabel]:
        """Return the faults of this chain that touch a half-open interval."""
        first = (start_ns - self.origin_ns) // FAULT_NS
        last = (end_ns - 1 - self.origin_ns) // FAULT_NS
        return [self._fault(turn) for turn in range(first, last + 1)]

    def _fault(self, turn: int) -> FaultLabel:
        kind, quantity, note = self.orders[(self.first + turn * self.stride) % len(self.orders)]
        start_ns = self.origin_ns + turn * FAULT_NS
        station = self.stations[turn % len(self.stations)]
        return FaultLabel(station.sensor, quantity, kind, start_ns, start_ns + FAULT_NS, note)


@dataclass(frozen=True)
class RotatingProgramme:
    """Faults that move on every few hours, a smoke plume and an accident again and again."""

    fleet: Fleet
    seed: int
    start_at_ns: int

    def faults_between(self, start_ns: int, end_ns: int) -> tuple[FaultLabel, ...]:
        """Return the faults that touch a half-open interval."""
        if end_ns <= start_ns:
            return ()
        chains = (track.faults_between(start_ns, end_ns) for track in self.tracks)
        return tuple(fault for chain in chains for fault in chain)

    def events_between(self, start_ns: int, end_ns: int) -> tuple[Event, ...]:
        """Return the events that touch a half-open interval."""
        plumes = _turns(start_ns, end_ns, self.start_at_ns - PLUME_LEAD_NS, PLUME_EVERY_NS)
        crashes = _turns(start_ns, end_ns, self.start_at_ns - INCIDENT_LEAD_NS, INCIDENT_EVERY_NS)
        events: list[Event] = []
        if self._plume_places:
            events += [self._plume(turn) for turn in plumes]
        if self._roads:
            events += [self._incident(turn) for turn in crashes]
        if self._pairs:
            later = _turns(
                start_ns, end_ns, self.start_at_ns + PAIR_INCIDENT_DELAY_NS, INCIDENT_EVERY_NS
            )
            events += [self._pair_incident(turn) for turn in later]
        return tuple(event for event in events if event.end_ns > start_ns)

    @cached_property
    def tracks(self) -> tuple[Track, ...]:
        """The chains of faults."""
        return (*self._chains(AIR_QUALITY, AIR_ORDERS), *self._chains(TRAFFIC, TRAFFIC_ORDERS))

    @cached_property
    def _roads(self) -> tuple[Station, ...]:
        return _shuffled(self.fleet.of_kind(TRAFFIC), key_of(self.seed, "incidents"))

    @cached_property
    def _pairs(self) -> tuple[Station, ...]:
        """Stations with another one downstream, and traffic enough for both to tell."""
        along = Along.of([station.road for station in self.fleet.stations])
        ends = [
            station
            for place, station in enumerate(self.fleet.stations)
            if station.kind == TRAFFIC and np.isfinite(along.downstream_km(place)).any()
        ]
        return _shuffled(ends, key_of(self.seed, "pairs"))

    @cached_property
    def _plume_places(self) -> tuple[tuple[str, float, float], ...]:
        """Districts and the place of their most central air station, the fullest first."""
        east, north = self.fleet.position_m()
        districts: dict[str, list[int]] = {}
        for place, station in enumerate(self.fleet.stations):
            if station.kind == AIR_QUALITY:
                districts.setdefault(station.area, []).append(place)
        fullest = sorted(districts.items(), key=lambda item: (-len(item[1]), item[0]))
        return tuple((area, *_most_central(places, east, north)) for area, places in fullest)

    def _chains(self, kind: str, orders: tuple[Order, ...]) -> tuple[Track, ...]:
        stations = _shuffled(self.fleet.of_kind(kind), key_of(self.seed, "faults", kind))
        count = max(1, round(FAULTY_SHARE * len(stations))) if stations else 0
        return tuple(
            Track(
                stations=stations[chain::count],
                orders=orders,
                first=chain,
                stride=count,
                origin_ns=self.start_at_ns
                + FIRST_CHANGE_NS
                + _whole_seconds(chain * FAULT_NS // count),
            )
            for chain in range(count)
        )

    def _plume(self, turn: int) -> Event:
        area, east, north = self._plume_places[turn % len(self._plume_places)]
        start_ns = self.start_at_ns - PLUME_LEAD_NS + turn * PLUME_EVERY_NS
        return Event(
            kind=EventKind.SMOKE_PLUME,
            east_m=east,
            north_m=north,
            radius_m=900.0,
            start_ns=start_ns,
            end_ns=start_ns + PLUME_NS,
            peak=240.0,
            ramp_ns=4 * MINUTE_NS,
            note=f"smoke of a fire over {area}",
        )

    def _incident(self, turn: int) -> Event:
        station = self._roads[turn % len(self._roads)]
        east, north = self.fleet.position_m()
        place = self.fleet.stations.index(station)
        start_ns = self.start_at_ns - INCIDENT_LEAD_NS + turn * INCIDENT_EVERY_NS
        return Event(
            kind=EventKind.TRAFFIC_INCIDENT,
            east_m=float(east[place]),
            north_m=float(north[place]),
            radius_m=600.0,
            start_ns=start_ns,
            end_ns=start_ns + INCIDENT_NS,
            peak=0.9,
            ramp_ns=2 * MINUTE_NS,
            note=f"an accident with a queue at {station.name}",
            place=place,
        )

    def _pair_incident(self, turn: int) -> Event:
        """Return an accident that blocks the road between two stations at once."""
        station = self._pairs[turn % len(self._pairs)]
        place = self.fleet.stations.index(station)
        east, north = self.fleet.position_m()
        start_ns = self.start_at_ns + PAIR_INCIDENT_DELAY_NS + turn * INCIDENT_EVERY_NS
        return Event(
            kind=EventKind.TRAFFIC_INCIDENT,
            east_m=float(east[place]),
            north_m=float(north[place]),
            radius_m=300.0,
            start_ns=start_ns,
            end_ns=start_ns + PAIR_INCIDENT_NS,
            peak=0.9,
            ramp_ns=MINUTE_NS,
            note=f"an accident just behind {station.name}",
            place=place,
        )


def standard_programme(fleet: Fleet, seed: int, start_at_ns: int) -> RotatingProgramme:
    """Return the programme of a demo whose live part starts at `start_at_ns`."""
    return RotatingProgramme(fleet, seed, start_at_ns)


def labels_between(
    programme: Programme, fleet: Fleet, start_ns: int, end_ns: int
) -> list[FaultLabel]:
    """Return the truth about an interval: every fault, and every event at each station it hits."""
    labels = list(programme.faults_between(start_ns, end_ns))
    for event in programme.events_between(start_ns, end_ns):
        labels += event_labels(event, fleet)
    return sorted(labels, key=lambda label: (label.start_ns, label.sensor, label.kind))


def event_labels(event: Event, fleet: Fleet) -> list[FaultLabel]:
    """Return one label for each station that clearly feels an event."""
    smoke = event.kind == EventKind.SMOKE_PLUME
    kind, quantity = (AIR_QUALITY, "pm2_5") if smoke else (TRAFFIC, "speed")
    along = Along.of([station.road for station in fleet.stations])
    # Traffic that an accident holds up is missing behind it, but what comes through is not slow.
    reach = np.where(event.shortage(along) > 0, 0.0, event.reach(*fleet.position_m())).tolist()
    return [
        FaultLabel(station.sensor, quantity, event.kind, event.start_ns, event.end_ns, event.note)
        for station, felt in zip(fleet.stations, reach, strict=True)
        if station.kind == kind and felt >= _FELT
    ]


def _turns(start_ns: int, end_ns: int, origin_ns: int, every_ns: int) -> range:
    """Return the turns of a repeating event that may touch an interval (none outlasts its turn)."""
    if end_ns <= start_ns:
        return range(0)
    return range((start_ns - origin_ns) // every_ns, (end_ns - 1 - origin_ns) // every_ns + 1)


def _whole_seconds(duration_ns: int) -> int:
    return duration_ns // SECOND_NS * SECOND_NS


def _shuffled(stations: Sequence[Station], key: int) -> tuple[Station, ...]:
    order = np.random.default_rng(key).permutation(len(stations))
    return tuple(stations[place] for place in order.tolist())


def _most_central(places: list[int], east: Floats, north: Floats) -> tuple[float, float]:
    middle_east, middle_north = east[places].mean(), north[places].mean()
    distance = np.hypot(east[places] - middle_east, north[places] - middle_north)
    best = places[int(np.argmin(distance))]
    return float(east[best]), float(north[best])
