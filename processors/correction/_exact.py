# SPDX-License-Identifier: EUPL-1.2
"""The usual case of pairing: every reading comes with its partners of the very same instant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from lamppost.batch import Int32Array, Int64Array
from lamppost.grouping import BoolArray
from lamppost.times import NO_TIME

from ._links import OWN, ROLES

HELD: Final = 8
"""Readings of each series that are remembered; what comes later than that finds no partner."""


class Rows(Protocol):
    """Rows of a batch by unit and role."""

    @property
    def unit(self) -> Int64Array:
        """Number of the unit."""
        ...

    @property
    def role(self) -> Int64Array:
        """What the row is in its unit."""
        ...

    @property
    def time(self) -> Int64Array:
        """Instant of the reading, ns UTC."""
        ...

    @property
    def revision(self) -> Int32Array:
        """Whether it is new."""
        ...


@dataclass(frozen=True, slots=True)
class Exact:
    """Units of a batch in which nothing waits and nothing is looked for.

    Attributes:
        rows: which rows are of such units, shape (n,).
        matched: the row of each role for every reading to correct in them, -1 where none is
            needed, shape (readings, roles).
    """

    rows: BoolArray
    matched: Int64Array


def exact_units(
    events: Rows,
    needs: BoolArray,
    newest: Int64Array,
    settled_until: Callable[[Int64Array], Int64Array],
    tolerance: int,
) -> Exact:
    """Find the units whose rows are all new, in order, and have partners of their instant.

    Args:
        events: rows of a batch in order of arrival.
        needs: which roles each unit needs, shape (units, roles).
        newest: newest instant of each role so far, shape (units, roles).
        settled_until: from when on partners cannot change what is remembered of some units.
        tolerance: how far apart partners may lie, ns.
    """
    units, local = np.unique(events.unit, return_inverse=True)
    bad = np.zeros(len(units), np.bool_)
    bad[local[events.revision != 0]] = True
    bad[local[_out_of_order(events, newest)]] = True
    earliest = np.full(len(units), np.iinfo(np.int64).max)
    partners = events.role != OWN
    np.minimum.at(earliest, local[partners], events.time[partners])
    until = settled_until(units)
    unsettled = until != NO_TIME
    bad[unsettled] |= earliest[unsettled] - tolerance <= until[unsettled]
    matched = _matches(events)
    own = matched[:, OWN]
    lonely = (needs[events.unit[own]] & (matched < 0)).any(axis=1)
    bad[local[own[lonely]]] = True
    place, _, _ = ranks_from_end(local)
    apart = np.where(matched < 0, 0, np.abs(place[matched] - place[own][:, None])).max(axis=1)
    bad[local[own[apart >= HELD]]] = True
    return Exact(~bad[local], matched[~bad[local[own]]])


def ranks_from_end(group: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Return the rank of each row in its group, the rank from its end, and the group's size."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    sizes = np.diff(np.append(starts, len(group)))
    rank, size = np.empty(len(group), np.int64), np.empty(len(group), np.int64)
    size[order] = np.repeat(sizes, sizes)
    rank[order] = np.arange(len(group)) - np.repeat(starts, sizes)
    return rank, size - 1 - rank, size


def _out_of_order(events: Rows, newest: Int64Array) -> BoolArray:
    """Return the rows that are not newer than all before them in their unit and role."""
    group = events.unit * ROLES + events.role
    order = np.argsort(group, kind="stable")
    ordered, time = group[order], events.time[order]
    before = np.empty(len(group), np.int64)
    before[1:] = time[:-1]
    first = np.append(True, ordered[1:] != ordered[:-1])
    rows = order[first]
    before[first] = newest[events.unit[rows], events.role[rows]]
    late = np.empty(len(group), np.bool_)
    late[order] = time <= before
    return late


def _matches(events: Rows) -> Int64Array:
    """Return for each reading to correct the row of its instant in each role, -1 where none is."""
    order = np.lexsort((events.role, events.time, events.unit))
    unit, time, role = events.unit[order], events.time[order], events.role[order]
    own = np.flatnonzero(role == OWN)
    matched = np.full((len(own), ROLES), -1, np.int64)
    matched[:, OWN] = order[own]
    for step in range(1, ROLES):
        beside = np.minimum(own + step, len(order) - 1)
        same = (unit[beside] == unit[own]) & (time[beside] == time[own]) & (role[beside] != OWN)
        matched[same, role[beside[same]]] = order[beside[same]]
    return matched
