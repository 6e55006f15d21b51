# SPDX-License-Identifier: EUPL-1.2
"""What can be wrong with a station, labelled, and what each fault does to its values.

Faults of the line (silence, clock, broken payloads) act later, in `transmission`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from .calendar_time import HOUR_NS
from .events import Event
from .instruments import INSTRUMENTS, printed
from .noise import Floats, Instants, derive, uniform
from .sites import Columns, Places, Sites

SATURATED_HUMIDITY = 99.9
_SPIKE_SHARE = 0.15
_CHATTER_PER_S = 2.0


class FaultKind(StrEnum):
    """What can be wrong with a station."""

    STUCK = "stuck"
    SPIKES = "spikes"
    DRIFT = "drift"
    OFFSET_JUMP = "offset_jump"
    SENTINEL = "sentinel"
    HUMIDITY_SATURATED = "humidity_saturated"
    LOCKED_ON = "locked_on"
    NO_HITS = "no_hits"
    CHATTER = "chatter"
    SILENCE = "silence"
    CLOCK_EPOCH = "clock_epoch"
    CLOCK_DAY_AHEAD = "clock_day_ahead"
    CLOCK_HOUR_AHEAD = "clock_hour_ahead"
    NULL_VALUE = "null_value"
    NAN_VALUE = "nan_value"
    DUPLICATE = "duplicate"
    MALFORMED = "malformed"
    UNKNOWN_UNIT = "unknown_unit"
    UNKNOWN_QUANTITY = "unknown_quantity"


@dataclass(frozen=True)
class FaultLabel:
    """One fault or event at one station: at once the order to make it and the truth about it.

    Attributes:
        sensor: the station.
        quantity: the quantity that suffers, or None for the whole station.
        kind: a `FaultKind`, or an `EventKind` for what is no fault.
        start_ns: first instant.
        end_ns: first instant after it.
        note: what is wrong, for people.
    """

    sensor: str
    quantity: str | None
    kind: str
    start_ns: int
    end_ns: int
    note: str = ""

    @property
    def is_fault(self) -> bool:
        """Tell a fault from a real event."""
        return self.kind in FaultKind.__members__.values()

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Tell whether any instant of a half-open interval is affected."""
        return self.start_ns < end_ns and start_ns < self.end_ns


class Programme(Protocol):
    """What goes wrong and what happens, at any time: pure functions of the interval."""

    def faults_between(self, start_ns: int, end_ns: int) -> tuple[FaultLabel, ...]:
        """Return the faults that touch a half-open interval."""
        ...

    def events_between(self, start_ns: int, end_ns: int) -> tuple[Event, ...]:
        """Return the events that touch a half-open interval."""
        ...


@dataclass(frozen=True)
class ListedProgramme:
    """A programme that is a list; empty, it is a city where all is well."""

    faults: tuple[FaultLabel, ...] = ()
    events: tuple[Event, ...] = ()

    def faults_between(self, start_ns: int, end_ns: int) -> tuple[FaultLabel, ...]:
        """Return the faults that touch a half-open interval."""
        return tuple(fault for fault in self.faults if fault.overlaps(start_ns, end_ns))

    def events_between(self, start_ns: int, end_ns: int) -> tuple[Event, ...]:
        """Return the events that touch a half-open interval."""
        return tuple(e for e in self.events if e.start_ns < end_ns and start_ns < e.end_ns)


@dataclass(frozen=True)
class Moment:
    """Some readings of one faulty station: what an effect may look at."""

    sites: Sites
    places: Places
    time_ns: Instants
    fault: FaultLabel
    observe: Callable[[Places, Instants], Columns]


Effect = Callable[[Moment, str, Floats], Floats]


def _stuck(moment: Moment, quantity: str, _values: Floats) -> Floats:
    frozen = np.full(1, moment.fault.start_ns, dtype=np.int64)
    return np.full(len(moment.time_ns), moment.observe(moment.places[:1], frozen)[quantity][0])


def _spikes(moment: Moment, quantity: str, values: Floats) -> Floats:
    keys = derive(moment.sites.key[moment.places], f"spikes {quantity}")
    hit = uniform(keys, moment.time_ns) < _SPIKE_SHARE
    return values + np.where(hit, INSTRUMENTS[quantity].spike, 0.0)


def _drift(moment: Moment, quantity: str, values: Floats) -> Floats:
    hours = (moment.time_ns - moment.fault.start_ns) / HOUR_NS
    drifted: Floats = values + INSTRUMENTS[quantity].drift_per_h * hours
    return drifted


def _offset_jump(_moment: Moment, quantity: str, values: Floats) -> Floats:
    return values + INSTRUMENTS[quantity].jump


def _sentinel(_moment: Moment, quantity: str, values: Floats) -> Floats:
    return np.full(len(values), INSTRUMENTS[quantity].sentinel)


def _humidity_saturated(_moment: Moment, _quantity: str, values: Floats) -> Floats:
    return np.full(len(values), SATURATED_HUMIDITY)


def _locked_on(_moment: Moment, quantity: str, values: Floats) -> Floats:
    held = {"occupancy": 100.0, "speed": np.nan}
    return np.full(len(values), held.get(quantity, 0.0))


def _no_hits(_moment: Moment, quantity: str, values: Floats) -> Floats:
    return np.full(len(values), np.nan if quantity == "speed" else 0.0)


def _chatter(moment: Moment, quantity: str, values: Floats) -> Floats:
    count = np.round(_CHATTER_PER_S * moment.sites.period_ns[moment.places] / 1e9)
    chattered = {"vehicle_count": count, "flow": np.full(len(values), 3600.0 * _CHATTER_PER_S)}
    return chattered.get(quantity, values)


_EFFECTS: Mapping[str, Effect] = {
    FaultKind.STUCK: _stuck,
    FaultKind.SPIKES: _spikes,
    FaultKind.DRIFT: _drift,
    FaultKind.OFFSET_JUMP: _offset_jump,
    FaultKind.SENTINEL: _sentinel,
    FaultKind.HUMIDITY_SATURATED: _humidity_saturated,
    FaultKind.LOCKED_ON: _locked_on,
    FaultKind.NO_HITS: _no_hits,
    FaultKind.CHATTER: _chatter,
}

# These numbers come from the electronics and pass no display's limits.
_UNLIMITED = frozenset({FaultKind.SENTINEL, FaultKind.CHATTER})


def distort(
    columns: Columns,
    faults: tuple[FaultLabel, ...],
    sites: Sites,
    places: Places,
    time_ns: Instants,
    observe: Callable[[Places, Instants], Columns],
) -> None:
    """Put the faults that act on values into the columns, in place.

    Args:
        columns: observed values by quantity, one for each reading.
        faults: faults that may touch the readings.
        sites: the stations.
        places: the station of each reading.
        time_ns: the instant of each reading.
        observe: returns what healthy stations observe, for values that stay where they were.
    """
    for fault in faults:
        effect = _EFFECTS.get(fault.kind)
        if effect is None or fault.sensor not in sites.index:
            continue
        place = sites.index[fault.sensor]
        touched = (places == place) & (time_ns >= fault.start_ns) & (time_ns < fault.end_ns)
        hit = np.flatnonzero(touched)
        if len(hit):
            moment = Moment(sites, places[hit], time_ns[hit], fault, observe)
            _distort_one(columns, moment, effect, hit)


def _distort_one(columns: Columns, moment: Moment, effect: Effect, hit: Places) -> None:
    fault = moment.fault
    place = moment.sites.index[fault.sensor]
    suffering = moment.sites.equipment[place] if fault.quantity is None else (fault.quantity,)
    for quantity in suffering:
        if quantity not in columns:
            continue
        values = effect(moment, quantity, columns[quantity][hit])
        columns[quantity][hit] = values if fault.kind in _UNLIMITED else printed(quantity, values)
