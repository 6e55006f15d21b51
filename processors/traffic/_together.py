# SPDX-License-Identifier: EUPL-1.2
"""Readings of several quantities of one road at one instant, brought together.

They may come in any order, in several messages, and again with another number or verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from lamppost.batch import (
    FloatArray,
    Int32Array,
    Int64Array,
    JudgedBatch,
)
from lamppost.derived import METHOD_QUALIFIERS, derived, named
from lamppost.flags import GOOD, MISSING, merge
from lamppost.grouping import BoolArray, Groups
from lamppost.series import SeriesKey, SeriesTable, qualifiers_mapping
from lamppost.state import Snapshot
from lamppost.stations import RegistryWatch, Station
from lamppost.times import NO_TIME, SECOND_NS
from processors._roads import flows_per_count

from ._inputs import Inputs

Facts = Callable[[SeriesKey, Station | None], Sequence[float] | None]
"""What a method needs to know of a road, by one of its series; None where it does not apply."""

_NONE: Final = -1
_LONG_AGO: Final = -(2**62)
_LEAST_ROOM: Final = 8_192
# Odd, so that multiples do not fall together; instants differ by less than a million seconds.
_MIXING: Final = 1_000_003 * 1_000_000_007


@dataclass(frozen=True, slots=True)
class Road:
    """Inputs that belong together, one row each time one of them completes or changes the set.

    Attributes:
        values: by input, shape (inputs, n); counts are turned into flows.
        facts: what is known of the road, shape (facts, n).
    """

    values: FloatArray
    facts: FloatArray
    _source: JudgedBatch
    _series: Int32Array
    _again: BoolArray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._series)

    @property
    def instants(self) -> Int64Array:
        """The instant of each row, ns UTC."""
        return self._source.time

    @property
    def series(self) -> Int32Array:
        """The derived series of each row."""
        return self._series

    @property
    def usable(self) -> BoolArray:
        """Rows of good inputs that nothing was derived from before: to be learnt from."""
        usable: BoolArray = (self._source.flag == GOOD) & ~self._again
        return usable

    def readings(self, value: FloatArray) -> JudgedBatch:
        """Return what was derived: nothing where there is no number, unless there may have been.

        Args:
            value: one for each row, NaN where there is none.
        """
        made = derived(self._source, self._series, value)
        told = np.isfinite(value) | self._again
        return made if told.all() else made.take(told)


class Together:
    """Finds what belongs together: sensor, qualifiers and instant are the same.

    Two inputs meet when the second comes at most ``wait_s`` after the first was received. What a
    road has received tells how late it is there: others may be imported long before or after it.
    """

    def __init__(
        self,
        series: SeriesTable,
        stations: Mapping[str, Station],
        inputs: Mapping[str, int],
        facts: Facts,
        *,
        quantity: str,
        method: str,
        wait_s: float,
    ) -> None:
        """Take what belongs together.

        Args:
            series: the table of series.
            stations: the registry, which may change.
            inputs: place of each quantity among the values; several may share one.
            facts: what is needed of the road.
            quantity: of the result.
            method: name of the derivation.
            wait_s: see above.
        """
        self._series = series
        self._stations = stations
        self._watch = RegistryWatch(stations)
        self._inputs = inputs
        self._facts_of = facts
        self._quantity = quantity
        self._method = method
        self._wait_ns = round(wait_s * SECOND_NS)
        self._places = 1 + max(inputs.values())
        self._held = [Inputs.none()]
        self._room = _LEAST_ROOM
        self._newest = _LONG_AGO
        self._forget()

    def of(self, judged: JudgedBatch) -> Road | None:
        """Return what has come together with a batch, in the order in which it did, if anything."""
        self._grow()
        at = np.flatnonzero(self._target.take(judged.series) != _NONE)
        if not len(at):
            return None
        new = self._inputs_of(judged, at)
        if self._places == 1:
            every = np.arange(len(new))
            return self._road(new, every[None, :], every, new.revision != 0)
        target = self._target.take(new.series)
        late = new.time <= self._latest.take(target)
        if late.any():
            known = self._held_of(np.unique(target[late]))
            road = self._join(Inputs.joined([known, new]), len(known))
        else:
            whole = self._all_at_once(new, target)
            road = self._in_any_order(new, target) if whole is None else whole
        np.maximum.at(self._latest, target, new.time)
        return road

    def snapshot(self) -> Snapshot:
        """Return the inputs that may still meet others."""
        self._grow()
        self._let_go()
        held = self._held[0].take(self._last_ones(self._held[0]))
        return {**held.columns(), "newest_receipt": np.array([self._newest], np.int64)}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the inputs that may still meet others."""
        self._held = [Inputs.of(snapshot)]
        self._newest = int(np.asarray(snapshot["newest_receipt"])[0])
        self._forget()

    def _all_at_once(self, rows: Inputs, target: Int64Array) -> Road | None:
        """Find the inputs where each came with all the others, as messages mostly have them.

        None where one did not, or where an instant of a road comes twice.
        """
        size, rest = divmod(len(rows), self._places)
        if rest:
            return None
        sets, times = (column.reshape(size, self._places) for column in (target, rows.time))
        if (sets != sets[:, :1]).any() or (times != times[:, :1]).any():
            return None
        used = np.full((self._places, size), _NONE)
        number = np.arange(len(rows))
        used[self._place.take(rows.series), number // self._places] = number
        last = number[self._places - 1 :: self._places]
        age = rows.newest.take(last) - rows.received.take(used)
        if (used == _NONE).any() or (age > self._wait_ns).any():
            return None
        if not _differ(sets[:, 0], times[:, 0]):
            return None
        made = np.full(len(rows), NO_TIME)
        made[last] = rows.received[last]
        self._keep(replace(rows, made=made))
        return self._road(rows, used, last, (rows.revision.take(used) != 0).all(axis=0))

    def _in_any_order(self, rows: Inputs, target: Int64Array) -> Road:
        """Find the inputs of rows that meet nothing that is held."""
        if _stand_together(target, rows.time):
            return self._meet(rows, _starts(target, rows.time))
        return self._join(rows, 0)

    def _join(self, rows: Inputs, known: int) -> Road:
        """Join rows in order of arrival, of which the first were known before."""
        target = self._target[rows.series]
        order = np.lexsort((rows.time, target))
        rows = rows.take(order)
        return self._meet(rows, _starts(target[order], rows.time), order, known)

    def _meet(
        self, rows: Inputs, starts: Int64Array, order: Int64Array | None = None, known: int = 0
    ) -> Road:
        """Find the inputs of each row.

        Args:
            rows: those of one road and instant together, in order of arrival.
            starts: the first of the same road and instant, for each row.
            order: position of each row in the order of arrival, where that is another.
            known: how many were known before; they come first in the order of arrival.
        """
        place = self._place[rows.series]
        latest = np.stack([_latest(place == number, starts) for number in range(self._places)])
        complete = (latest >= 0).all(axis=0)
        age = rows.newest - rows.received[latest]
        complete &= (age <= self._wait_ns).all(axis=0)
        fresh = np.ones(len(rows), np.bool_) if order is None else order >= known
        made = np.where(fresh, np.where(complete, rows.received, NO_TIME), rows.made)
        at = _latest(made != NO_TIME, starts)
        rows = replace(rows, made=np.where(at >= 0, made[at], NO_TIME))
        chosen = np.flatnonzero(complete & fresh)
        if order is None:
            self._keep(rows)
        else:
            in_order = np.flatnonzero(fresh)
            self._keep(rows.take(in_order[np.argsort(order[in_order])]))
            chosen = chosen[np.argsort(order[chosen])]
        used = latest[:, chosen]
        again = (rows.revision[used] != 0).all(axis=0)
        before = at[chosen - 1]
        prior = np.where((chosen > 0) & (before >= starts[chosen]), made[before], _LONG_AGO)
        again |= rows.newest[chosen] - prior <= self._wait_ns
        return self._road(rows, used, chosen, again)

    def _held_of(self, targets: Int64Array) -> Inputs:
        """Return the inputs that are held of some roads, in order of arrival."""
        wanted = np.zeros(len(self._latest) + 1, np.bool_)  # the last one is nobody's
        wanted[targets] = True
        held = Inputs.joined(self._held)
        return held.take(wanted[self._target[held.series]])

    def _keep(self, new: Inputs) -> None:
        """Hold new inputs, and let go of old ones now and then: that changes no result."""
        self._held.append(new)
        self._room -= len(new)
        if self._room < 0:
            self._let_go()

    def _let_go(self) -> None:
        """Keep the inputs that may meet another."""
        held = Inputs.joined(self._held)
        target = self._target[held.series]
        known = target != _NONE
        newest = np.full(len(held), self._newest)
        newest[known] = self._clocks[target[known]]
        self._held = [held.take(newest - held.received <= self._wait_ns)]
        self._room = len(self._held[0]) + _LEAST_ROOM

    def _last_ones(self, held: Inputs) -> Int64Array:
        """Return the last row of each input and instant: those before it meet nobody."""
        target, place = self._target[held.series], self._place[held.series]
        order = np.lexsort((np.arange(len(held)), place, held.time, target))
        last = np.ones(len(held), np.bool_)
        for column in (target, held.time, place):
            last[:-1] &= column[order][1:] == column[order][:-1]
        last[:-1] = ~last[:-1]
        last[-1:] = True
        return np.sort(order[last | (target[order] == _NONE)])

    def _inputs_of(self, judged: JudgedBatch, at: Int64Array) -> Inputs:
        series, received, flag = judged.series[at], judged.received[at], judged.flag[at]
        value = judged.value.take(at) * self._scale.take(series)
        value[np.flatnonzero(~np.isfinite(value) | (flag == MISSING))] = np.nan
        return Inputs(
            series=series,
            time=judged.time.take(at),
            received=received,
            value=value,
            flag=flag,
            reasons=judged.reasons.take(at),
            revision=judged.revision.take(at),
            newest=self._clock(self._target.take(series), received),
            made=np.full(len(at), NO_TIME),
        )

    def _clock(self, target: Int64Array, received: Int64Array) -> Int64Array:
        """Return the newest receipt of each row's road by then, and keep the last one."""
        if (received[1:] >= received[:-1]).all():
            newest = np.maximum(received, self._clocks.take(target))
        else:
            groups = Groups.by_series(target.astype(np.int32))
            order, newest = groups.order, np.empty_like(received)
            before = groups.running_max(received[order], self._clocks[groups.places])
            newest[order] = np.maximum(received[order], before)
        self._clocks[target] = newest  # those of a road ascend
        self._newest = max(self._newest, int(received.max()))
        return newest

    def _road(self, rows: Inputs, used: Int64Array, chosen: Int64Array, again: BoolArray) -> Road:
        """Return what is derived when the chosen rows came, with the inputs used."""
        flag, reasons = rows.flag.take(used[0]), rows.reasons.take(used[0])
        for place in used[1:]:
            flag, reasons = merge(flag, rows.flag.take(place)), reasons | rows.reasons.take(place)
        series = rows.series.take(chosen)
        target = self._target.take(series)
        nothing = np.full(len(chosen), np.nan)
        source = JudgedBatch(
            series=series,
            time=rows.time.take(chosen),
            received=rows.received.take(chosen),
            value=nothing,
            flag=flag,
            reasons=reasons,
            score=nothing,
            expected=nothing,
            band_low=nothing,
            band_high=nothing,
            revision=again.astype(np.int32),
        )
        return Road(
            values=rows.value.take(used),
            facts=self._facts.take(target, axis=1) if len(target) else self._facts[:, :0],
            _source=source,
            _series=self._codes_of(target),
            _again=again,
        )

    def _codes_of(self, target: Int64Array) -> Int32Array:
        codes = self._codes.take(target)
        if len(codes) and codes.min() < 0:
            unknown, first = np.unique(target[codes < 0], return_index=True)
            for number in unknown[np.argsort(first)].tolist():
                self._codes[number] = self._series.code(self._names[number])
            codes = self._codes[target]
        return codes

    def _forget(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._names: list[SeriesKey] = []
        self._target: Int64Array = np.empty(0, np.int64)
        self._place: Int64Array = np.empty(0, np.int64)
        self._scale: FloatArray = np.empty(0)
        self._facts: FloatArray = np.empty((0, 0))
        self._codes: Int32Array = np.empty(0, np.int32)
        self._latest: Int64Array = np.empty(0, np.int64)
        self._clocks: Int64Array = np.empty(0, np.int64)

    def _grow(self) -> None:
        if self._watch.changed():
            self._forget()
        known = len(self._target)
        if known == len(self._series):
            return
        facts: list[Sequence[float]] = []
        added = [
            self._belongs(self._series[code], facts) for code in range(known, len(self._series))
        ]
        self._target = np.append(self._target, np.array([found[0] for found in added], np.int64))
        self._place = np.append(self._place, np.array([found[1] for found in added], np.int64))
        self._scale = np.append(self._scale, np.array([found[2] for found in added], np.float64))
        if facts:
            columns = np.array(facts, np.float64).T
            former = self._facts if self._facts.size else columns[:, :0]
            self._facts = np.concatenate([former, columns], axis=1)
            self._codes = np.append(self._codes, np.full(len(facts), _NONE, np.int32))
            self._latest = np.append(self._latest, np.full(len(facts), _LONG_AGO))
            self._clocks = np.append(self._clocks, np.full(len(facts), _LONG_AGO))
            held = Inputs.joined(self._held)
            target = self._target[held.series]
            known_road = target != _NONE
            np.maximum.at(self._latest, target[known_road], held.time[known_road])
            np.maximum.at(self._clocks, target[known_road], held.newest[known_road])

    def _belongs(self, key: SeriesKey, facts: list[Sequence[float]]) -> tuple[int, int, float]:
        """Return the road of a series, its place among the inputs, and what it is multiplied by."""
        nowhere = (_NONE, 0, np.nan)
        place = self._inputs.get(key.quantity)
        if place is None:
            return nowhere
        qualifiers = qualifiers_mapping(key.qualifiers)
        if "class" in qualifiers or any(name in qualifiers for name in METHOD_QUALIFIERS):
            return nowhere
        station = self._stations.get(key.sensor)
        scale = flows_per_count(key, station) if key.quantity == "vehicle_count" else 1.0
        known = self._facts_of(key, station)
        if scale is None or known is None:
            return nowhere
        road = (key.sensor, key.qualifiers)
        if road not in self._numbers:
            self._numbers[road] = len(self._numbers)
            self._names.append(named(key, "derived", self._method, self._quantity))
            facts.append(known or (np.nan,))
        return self._numbers[road], place, scale


def _opens(target: Int64Array, time: Int64Array) -> BoolArray:
    """Return where a row is of another road or instant than the one before."""
    opens = np.ones(len(time), np.bool_)
    opens[1:] = (time[1:] != time[:-1]) | (target[1:] != target[:-1])
    return opens


def _starts(target: Int64Array, time: Int64Array) -> Int64Array:
    """Return for each row the first of its road and instant; they must stand together."""
    opens = _opens(target, time)
    starts: Int64Array = np.maximum.accumulate(np.where(opens, np.arange(len(time)), 0))
    return starts


def _stand_together(target: Int64Array, time: Int64Array) -> bool:
    """Return whether rows of one road and instant stand next to each other; no may be wrong."""
    opens = np.flatnonzero(_opens(target, time))
    return _differ(target[opens], time[opens])


def _differ(target: Int64Array, time: Int64Array) -> bool:
    """Return whether no two rows are of one road and instant; no may be wrong."""
    later, same = time[1:] > time[:-1], time[1:] == time[:-1]
    if (later | (same & (target[1:] > target[:-1]))).all():
        return True
    mixed = target * _MIXING + time
    mixed.sort()
    return not (mixed[1:] == mixed[:-1]).any()


def _latest(marked: BoolArray, starts: Int64Array) -> Int64Array:
    """Return the last marked row of the same road and instant up to each row, -1 for none."""
    latest = np.maximum.accumulate(np.where(marked, np.arange(len(marked)), -1))
    found: Int64Array = np.where(latest >= starts, latest, -1)
    return found
