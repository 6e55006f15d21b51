# SPDX-License-Identifier: EUPL-1.2
"""The simulated city: what its stations send, in history and live.

Every message is a pure function of the seed, the station and the time, so any cut of time gives
the same messages. The caller paces and publishes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .calendar_time import SECOND_NS
from .dialects import Report, in_own_unit, value_list
from .faults import FaultLabel, Programme, distort
from .fleet import Fleet
from .messages import Message
from .noise import Instants
from .observation import observe
from .programme import labels_between
from .sites import Columns, Places, Sites
from .transmission import DUPLICATE_DELAY_NS, LINE_FAULTS, transmit

LONGEST_BATCH = 120


@dataclass(frozen=True)
class City:
    """A fleet, a seed and a programme of what goes wrong."""

    fleet: Fleet
    seed: int
    programme: Programme

    def history(self, start_ns: int, end_ns: int, step_s: float = 300.0) -> Iterator[Message]:
        """Yield the past as batches: one message for each station and up to 120 times.

        A step equal to the stations' period gives exactly the readings that live time would.
        """
        step_ns = round(step_s * SECOND_NS)
        for window_ns in range(start_ns, end_ns, LONGEST_BATCH * step_ns):
            until_ns = min(window_ns + LONGEST_BATCH * step_ns, end_ns)
            steps = np.full(len(self.fleet), step_ns, dtype=np.int64)
            yield from self._messages(window_ns, until_ns, steps, LONGEST_BATCH)

    def messages_between(self, start_ns: int, end_ns: int) -> list[Message]:
        """Return every message sent in the half-open interval, in order of sending."""
        # The second copy of a duplicate may fall due later than the window of its first.
        reach_ns = start_ns - DUPLICATE_DELAY_NS
        messages = self._messages(reach_ns, end_ns, self.sites.period_ns, 1)
        due = [m for m in messages if start_ns <= m.due_at_ns < end_ns]
        return sorted(due, key=lambda message: (message.due_at_ns, message.topic))

    def labels_between(self, start_ns: int, end_ns: int) -> list[FaultLabel]:
        """Return the truth about an interval: faults, and events at each station they reach."""
        return labels_between(self.programme, self.fleet, start_ns, end_ns)

    def readings(self, places: Places, time_ns: Instants) -> Columns:
        """Return the values that stations show at some instants, with all faults of values."""
        if not len(time_ns):
            return {}
        span = int(time_ns.min()), int(time_ns.max()) + 1
        events = self.programme.events_between(*span)
        columns = observe(self.sites, events, places, time_ns)
        faults = self.programme.faults_between(*span)
        distort(columns, faults, self.sites, places, time_ns, self._healthy)
        return columns

    @cached_property
    def sites(self) -> Sites:
        """The stations as columns."""
        return Sites(self.fleet, self.seed)

    def _healthy(self, places: Places, time_ns: Instants) -> Columns:
        events = self.programme.events_between(int(time_ns.min()), int(time_ns.max()) + 1)
        return observe(self.sites, events, places, time_ns)

    def _messages(
        self, start_ns: int, end_ns: int, step_ns: Instants, batch: int
    ) -> Iterator[Message]:
        places, due_ns = _schedule(self.sites.phase_ns, step_ns, start_ns, end_ns)
        if not len(places):
            return
        time_ns = due_ns // SECOND_NS * SECOND_NS
        columns = self.readings(places, time_ns)
        faults = self._line_faults(int(time_ns.min()), int(time_ns.max()) + 1)
        for first, last in _runs(places):
            sensor_faults = faults.get(self.fleet.stations[places[first]].sensor, ())
            for cut in _cuts(time_ns[first:last], sensor_faults, batch):
                rows = slice(first + cut.start, first + cut.stop)
                report = self._report(int(places[first]), time_ns[rows], columns, rows)
                active = tuple(f for f in sensor_faults if _is_active(f, time_ns[rows.start]))
                yield from transmit(report, active, int(due_ns[rows.stop - 1]))

    def _line_faults(self, start_ns: int, end_ns: int) -> dict[str, tuple[FaultLabel, ...]]:
        by_sensor: dict[str, tuple[FaultLabel, ...]] = {}
        for fault in self.programme.faults_between(start_ns, end_ns):
            if fault.kind in LINE_FAULTS:
                by_sensor[fault.sensor] = (*by_sensor.get(fault.sensor, ()), fault)
        return by_sensor

    def _report(self, place: int, time_ns: Instants, columns: Columns, rows: slice) -> Report:
        units = self.sites.units[place]
        values = {}
        for quantity in self.sites.equipment[place]:
            column = columns[quantity][rows]
            if np.isnan(column).all():
                continue
            if quantity in units:
                column = in_own_unit(quantity, column, units[quantity])
            values[quantity] = value_list(quantity, column)
        return Report(
            sensor=self.fleet.stations[place].sensor,
            time_ns=time_ns,
            values=values,
            units=units,
            epoch_time=bool(self.sites.sends_epoch_time[place]),
        )


def _schedule(
    phase_ns: Instants, step_ns: Instants, start_ns: int, end_ns: int
) -> tuple[Places, Instants]:
    """Return station and instant of every reading in the half-open interval, by station."""
    first_ns = start_ns + np.mod(phase_ns - start_ns, step_ns)
    count = np.maximum(-((first_ns - end_ns) // step_ns), 0)
    places = np.repeat(np.arange(len(phase_ns), dtype=np.int64), count)
    turn = np.arange(len(places), dtype=np.int64) - np.repeat(np.cumsum(count) - count, count)
    return places, first_ns[places] + turn * step_ns[places]


def _runs(places: Places) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(places)) + 1
    bounds = [0, *edges.tolist(), len(places)]
    return pairwise(bounds)


def _cuts(time_ns: Instants, faults: tuple[FaultLabel, ...], batch: int) -> Iterator[slice]:
    """Cut one station's readings where a fault begins or ends, and into batches."""
    state = np.zeros(len(time_ns), dtype=np.int64)
    for bit, fault in enumerate(faults):
        state |= _active(fault, time_ns).astype(np.int64) << bit
    edges = [0, *(np.flatnonzero(np.diff(state)) + 1).tolist(), len(time_ns)]
    for first, last in pairwise(edges):
        for start in range(first, last, batch):
            yield slice(start, min(start + batch, last))


def _active(fault: FaultLabel, time_ns: Instants) -> NDArray[np.bool_]:
    active: NDArray[np.bool_] = (time_ns >= fault.start_ns) & (time_ns < fault.end_ns)
    return active


def _is_active(fault: FaultLabel, instant_ns: int) -> bool:
    return fault.start_ns <= instant_ns < fault.end_ns
