# SPDX-License-Identifier: EUPL-1.2
"""Readings beside those they need of other series: waits for them, finds the nearest in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lamppost.batch import (
    AMENDED,
    CORRECTED,
    DERIVED,
    REDERIVED,
    Columns,
    FlagArray,
    FloatArray,
    Int32Array,
    Int64Array,
    JudgedBatch,
    ReasonArray,
)
from lamppost.flags import MISSING
from lamppost.grouping import BoolArray, Groups
from lamppost.state import SeriesState, Snapshot
from lamppost.times import NO_TIME

from ._exact import HELD, exact_units, ranks_from_end
from ._links import OWN, ROLES, Links

_VALUES: Final = ("value", "flag", "reasons")


@dataclass(frozen=True, slots=True)
class Events:
    """Rows of a batch as they concern units, in order of arrival; columns as in JudgedBatch."""

    unit: Int64Array
    role: Int64Array
    time: Int64Array
    received: Int64Array
    value: FloatArray
    flag: FlagArray
    reasons: ReasonArray
    revision: Int32Array

    @classmethod
    def of(cls, judged: JudgedBatch, links: Links) -> Events:
        """Return the rows that concern any unit."""
        linked = links.of(judged.series)
        columns = ("time", "received", "value", "flag", "reasons", "revision")
        taken = {name: getattr(judged, name)[linked.rows] for name in columns}
        return cls(linked.unit, linked.role, **taken)

    def take(self, rows: Int64Array | BoolArray) -> Events:
        """Return some of the rows."""
        return Events(*(getattr(self, name)[rows] for name in self.__slots__))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.unit)


@dataclass(frozen=True, slots=True)
class Paired(Columns):
    """Readings with what stands beside them, ready to be corrected.

    Attributes:
        unit: number of the unit.
        time, received: of the reading to correct.
        value, flag, reasons: of the reading and its partners by role, shape (n, roles); NaN and
            missing where there is no partner.
        revision: DERIVED or REDERIVED.
    """

    unit: Int64Array
    time: Int64Array
    received: Int64Array
    value: FloatArray
    flag: FlagArray
    reasons: ReasonArray
    revision: Int32Array

    @classmethod
    def dtypes(cls) -> dict[str, str]:
        """Return the numpy type of each column."""
        return {
            "unit": "int64",
            "time": "int64",
            "received": "int64",
            "value": "float64",
            "flag": "uint8",
            "reasons": "uint32",
            "revision": "int32",
        }


class Pairs:
    """Remembers the last readings of the series of every unit, and pairs them by time.

    A reading waits until each partner it needs has shown a reading of its own instant or later, or
    its own series has gone on by more than the tolerance. It is paired with the partner's reading
    nearest in time (the earlier of two as near) that lies within the tolerance. A nearer one that
    comes late, another number and another verdict on either lead to a new version.

    Law: everything happens in order of arrival, so it does not matter where batches are cut.
    """

    def __init__(self, links: Links, tolerance_ns: int) -> None:
        """Start without having seen anything."""
        self._links = links
        self._tolerance = tolerance_ns
        self._state = SeriesState(
            time=np.full((ROLES, HELD), NO_TIME),
            value=np.full((ROLES, HELD), np.nan),
            flag=np.full((ROLES, HELD), MISSING, np.uint8),
            reasons=np.zeros((ROLES, HELD), np.uint32),
            received=np.zeros(HELD, np.int64),
            open=np.zeros(HELD, np.bool_),
            told=np.zeros(HELD, np.bool_),
            beside_time=np.full((ROLES, HELD), NO_TIME),
            beside_value=np.full((ROLES, HELD), np.nan),
            beside_flag=np.full((ROLES, HELD), MISSING, np.uint8),
            beside_reasons=np.zeros((ROLES, HELD), np.uint32),
            count=np.zeros(ROLES, np.int64),
            newest=np.full(ROLES, NO_TIME),
        )
        self._told: list[Paired] = []

    def pair(self, judged: JudgedBatch) -> Paired:
        """Take a batch in, and return what can be corrected now, versions in order."""
        events = Events.of(judged, self._links)
        self._state.grow(len(self._links))
        self._told = []
        if len(events):
            exact = self._exact(events)
            if not exact.all():
                self._one_by_one(events.take(~exact))
        told, self._told = self._told, []
        return Paired.concat(told) if told else _NOTHING

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        self._state.restore(snapshot)

    def _exact(self, events: Events) -> BoolArray:
        """Deal with units all of whose readings have partners of their very instant, at once.

        Returns:
            Which rows are dealt with.
        """
        state = self._state
        found = exact_units(
            events, self._links.needs, state["newest"], self._settled_until, self._tolerance
        )
        if not found.rows.any():
            return found.rows
        own = found.matched
        columns = {
            name: np.stack([getattr(events, name)[own[:, role]] for role in range(ROLES)], axis=1)
            for name in _VALUES
        }
        lacking = own < 0
        columns["value"][lacking] = np.nan
        columns["flag"][lacking] = MISSING
        columns["reasons"][lacking] = 0
        first = own[:, OWN]
        self._told.append(
            Paired(
                unit=events.unit[first],
                time=events.time[first],
                received=events.received[first],
                revision=np.full(len(first), DERIVED, np.int32),
                **columns,
            )
        )
        self._remember_exact(events, found.rows, own, columns)
        return found.rows

    def _settled_until(self, units: Int64Array) -> Int64Array:
        """Return from when on a reading of a partner cannot change what is remembered."""
        state = self._state
        time = state["time"][units, OWN]
        beside = state["beside_time"][units]
        needs = self._links.needs[units][:, :, None]
        inexact = ((beside != time[:, None, :]) & needs)[:, 1:].any(axis=1)
        latest = np.where(inexact & (time != NO_TIME), time, NO_TIME).max(axis=1)
        latest[state["open"][units].any(axis=1)] = np.iinfo(np.int64).max
        return np.asarray(latest, np.int64)

    def _remember_exact(
        self, events: Events, rows: BoolArray, own: Int64Array, columns: Mapping[str, Any]
    ) -> None:
        state = self._state
        places = np.flatnonzero(rows)
        group = events.unit[places] * ROLES + events.role[places]
        rank, from_end, size = ranks_from_end(group)
        last = from_end < HELD
        slot = (state["count"][events.unit[places], events.role[places]] + rank) % HELD
        kept, where = places[last], slot[last]
        unit, role = events.unit[kept], events.role[kept]
        state["time"][unit, role, where] = events.time[kept]
        for name in _VALUES:
            state[name][unit, role, where] = getattr(events, name)[kept]
        slot_of_row = np.full(len(events), -1, np.int64)
        slot_of_row[kept] = where
        at = slot_of_row[own[:, OWN]]
        held = np.flatnonzero(at >= 0)
        first, where = own[held, OWN], at[held]
        unit = events.unit[first]
        state["received"][unit, where] = events.received[first]
        state["open"][unit, where] = False
        state["told"][unit, where] = True
        lacking = own[held] < 0
        lacking[:, OWN] = True
        beside = np.where(lacking, NO_TIME, events.time[first][:, None])
        state["beside_time"][unit, :, where] = beside
        for name in _VALUES:
            state[f"beside_{name}"][unit, :, where] = columns[name][held]
        ends = from_end == 0
        unit, role = events.unit[places[ends]], events.role[places[ends]]
        state["count"][unit, role] += size[ends]
        state["newest"][unit, role] = events.time[places[ends]]

    def _one_by_one(self, events: Events) -> None:
        groups = Groups.by_series(events.unit.astype(np.int32))
        for rows in groups.rounds():
            step = events.take(groups.order[rows])
            own = step.role == OWN
            if own.any():
                self._own(step.take(own))
            if not own.all():
                self._partner(step.take(~own))

    def _own(self, step: Events) -> None:
        """Take in one reading to correct of each unit."""
        state, unit = self._state, step.unit
        held, slot = self._slots(step)
        new = ~held & (step.revision != AMENDED)
        pushed_out = new & state["open"][unit, slot]
        self._tell(unit[pushed_out], slot[pushed_out])
        known = held | new
        unit, slot = unit[known], slot[known]
        step, new, held = step.take(known), new[known], held[known]
        self._write(step, slot)
        number = step.revision != AMENDED
        state["received"][unit[number], slot[number]] = step.received[number]
        state["open"][unit[new], slot[new]] = True
        state["told"][unit[new], slot[new]] = step.revision[new] == CORRECTED
        self._find_partners(unit[new], slot[new], step.time[new])
        touched = np.zeros((len(unit), HELD), np.bool_)
        touched[np.flatnonzero(held), slot[held]] = True
        self._tell_ready(unit, touched)

    def _partner(self, step: Events) -> None:
        """Take in one reading of a partner of each unit."""
        state, unit, role = self._state, step.unit, step.role
        held, slot = self._slots(step)
        amends = step.revision == AMENDED
        known = held | ~amends
        self._write(step.take(known), slot[known])
        at = step.time[:, None]
        own, beside = state["time"][unit, OWN], state["beside_time"][unit, role]
        distance, former = self._distance(own, at), self._distance(own, beside)
        nearer = (distance < former) | ((distance == former) & (at < beside))
        better = (beside == at) | (nearer & ~amends[:, None])
        better &= (own != NO_TIME) & (distance <= self._tolerance)
        row, place = np.nonzero(better)
        state["beside_time"][unit[row], role[row], place] = step.time[row]
        for name in _VALUES:
            state[f"beside_{name}"][unit[row], role[row], place] = getattr(step, name)[row]
        self._tell_ready(unit, better)

    def _slots(self, step: Events) -> tuple[BoolArray, Int64Array]:
        """Return which readings are remembered already, and the place of each."""
        state = self._state
        same = state["time"][step.unit, step.role] == step.time[:, None]
        held = same.any(axis=1)
        following = state["count"][step.unit, step.role] % HELD
        return held, np.where(held, same.argmax(axis=1), following)

    def _write(self, step: Events, slot: Int64Array) -> None:
        state, unit, role = self._state, step.unit, step.role
        new = state["time"][unit, role, slot] != step.time
        state["time"][unit, role, slot] = step.time
        for name in _VALUES:
            state[name][unit, role, slot] = getattr(step, name)
        state["count"][unit, role] += new
        state["newest"][unit, role] = np.maximum(state["newest"][unit, role], step.time)

    def _find_partners(self, unit: Int64Array, slot: Int64Array, time: Int64Array) -> None:
        """Pair new readings with what is remembered of their partners."""
        state = self._state
        for role in range(1, ROLES):
            held = state["time"][unit, role]
            distance = self._distance(held, time[:, None])
            # Of two as near, the earlier one: the later counts half a step further away.
            nearest = (2 * distance + (held > time[:, None])).argmin(axis=1)
            rows = np.arange(len(unit))
            near = distance[rows, nearest] <= self._tolerance
            state["beside_time"][unit, role, slot] = np.where(near, held[rows, nearest], NO_TIME)
            for name, nothing in zip(_VALUES, (np.nan, MISSING, 0), strict=True):
                values = state[name][unit, role][rows, nearest]
                state[f"beside_{name}"][unit, role, slot] = np.where(near, values, nothing)

    def _distance(self, one: Int64Array, other: Int64Array) -> Int64Array:
        """Return how far instants lie apart, ns, at most just beyond the tolerance."""
        beyond = self._tolerance + 1
        unknown = (one == NO_TIME) | (other == NO_TIME)
        apart = np.abs(np.where(unknown, 0, one) - np.where(unknown, 0, other))
        capped: Int64Array = np.where(unknown, beyond, np.minimum(apart, beyond))
        return capped

    def _tell_ready(self, unit: Int64Array, touched: BoolArray) -> None:
        """Tell what need not wait any longer, and anew what has changed since it was told."""
        state = self._state
        time, newest = state["time"][unit, OWN], state["newest"][unit]
        over = newest[:, [OWN]] - self._tolerance > time
        shown = newest[:, :, None] >= time[:, None, :]
        waits = (self._links.needs[unit][:, :, None] & ~shown)[:, 1:].any(axis=1) & ~over
        is_open = state["open"][unit]
        row, slot = np.nonzero(np.where(is_open, ~waits, touched & state["told"][unit]))
        # In order of their own time, so that what is newest is told last.
        order = np.lexsort((time[row, slot], row))
        self._tell(unit[row[order]], slot[order])

    def _tell(self, unit: Int64Array, slot: Int64Array) -> None:
        if not len(unit):
            return
        state = self._state
        columns = {}
        for name in _VALUES:
            beside = state[f"beside_{name}"][unit, :, slot]
            beside[:, OWN] = state[name][unit, OWN, slot]
            columns[name] = beside
        told = state["told"][unit, slot]
        self._told.append(
            Paired(
                unit=unit,
                time=state["time"][unit, OWN, slot],
                received=state["received"][unit, slot],
                revision=np.where(told, REDERIVED, DERIVED),
                **columns,
            )
        )
        state["told"][unit, slot] = True
        state["open"][unit, slot] = False


_NOTHING: Final = Paired(
    unit=np.empty(0, np.int64),
    time=np.empty(0, np.int64),
    received=np.empty(0, np.int64),
    value=np.empty((0, ROLES)),
    flag=np.empty((0, ROLES), np.uint8),
    reasons=np.empty((0, ROLES), np.uint32),
    revision=np.empty(0, np.int32),
)
