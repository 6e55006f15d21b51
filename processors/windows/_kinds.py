# SPDX-License-Identifier: EUPL-1.2
"""What the windows of a series keep beside mean and deviation, by what the series measures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from enum import IntEnum
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesTable
from lamppost.times import MILLISECOND_NS

from . import _counters as counters
from . import _directions as directions
from . import _held as held
from . import _speeds as speeds
from ._frames import Frames, RowArray
from ._rows import picked

EXTRA: Final = 4
"""Numbers of its own that a kind of series can keep in a state."""

_HOLD: Final = 2
_OF_ALL: Final = frozenset({"first_at", "last_at", "first", "last"})


class Kind(IntEnum):
    """What a series measures, as far as its statistics differ."""

    PLAIN = 0
    HELD = 1
    DIRECTION = 2
    SPEED = 3
    COUNTER = 4


class _Statistics(NamedTuple):
    """How the states of a kind are made and merged.

    Attributes:
        state: what is kept.
        lift: makes the state of each single reading, of RAW rows.
        merge: joins the states of each group.
    """

    state: np.dtype[Any]
    lift: Callable[[RowArray], RowArray]
    merge: Callable[[Frames, RowArray], RowArray]


class Kinds:
    """Knows the kind of each series, and works out what each kind keeps."""

    def __init__(
        self,
        series: SeriesTable,
        *,
        time_weighted: Collection[str] = (),
        linear: bool = False,
        calm_below: float = 0.5,
        min_resultant: float = 0.01,
        wraps_at: Sequence[float] = (),
    ) -> None:
        """Take which quantities are weighted by time, and how, and the limits of the others."""
        self._series = series
        self._time_weighted = frozenset(time_weighted)
        self._min_resultant = min_resultant
        self._calm_below = calm_below
        self._known = np.empty(0, np.uint8)
        self._plain = True
        self._of: dict[Kind, _Statistics] = {
            Kind.HELD: _Statistics(held.STATE, _lift_held, partial(held.merge, linear=linear)),
            Kind.DIRECTION: _Statistics(directions.STATE, self._lift_direction, directions.merge),
            Kind.SPEED: _Statistics(speeds.STATE, _lift_speed, speeds.merge),
            Kind.COUNTER: _Statistics(
                counters.STATE, _lift_counter, partial(counters.merge, wraps_at=wraps_at)
            ),
        }

    def of(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Return the kind of each series."""
        self._grow()
        kinds: npt.NDArray[np.uint8] = self._known[codes]
        return kinds

    def have_quantiles(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return which series have quantiles: directions and counters have none."""
        of = self.of(codes)
        return np.asarray((of != Kind.DIRECTION) & (of != Kind.COUNTER))

    def lift(self, rows: RowArray, frames: Frames, states: RowArray) -> None:
        """Put into states what their kinds keep of readings.

        Args:
            rows: RAW rows that enter, sorted by series and time.
            frames: which state each belongs to.
            states: of the windows; those the frames number are filled in.
        """
        for statistics, mask in self._present(rows):
            lifted = statistics.lift(picked(rows, mask))
            _put(statistics, Frames.of(frames.group[mask]), lifted, states)

    def merge(self, rows: RowArray, frames: Frames, states: RowArray) -> None:
        """Put into states what their kinds keep of the states they are made of."""
        for statistics, mask in self._present(rows):
            parts = _taken(picked(rows, mask), statistics.state)
            _put(statistics, Frames.of(frames.group[mask]), parts, states)

    def columns(self, states: RowArray, end: npt.NDArray[np.int64]) -> dict[str, RowArray]:
        """Return the columns in which kinds differ from the usual ones, NaN elsewhere.

        Args:
            states: of windows.
            end: of each window, ns.
        """
        found: dict[str, RowArray] = {}
        self._grow()
        if self._plain:
            return found
        present = states["count"] > 0
        of = self.of(states["series"])
        for kind in np.unique(of[of > 0]).tolist():
            at = np.flatnonzero(present & (of == kind))
            parts = _taken(states.take(at), self._of[Kind(kind)].state)
            for name, numbers in self._columns(Kind(kind), parts, end[at]).items():
                column = found.setdefault(name, np.full(len(states), np.nan))
                column[at] = numbers
        return found

    def _columns(
        self, kind: Kind, parts: RowArray, end: npt.NDArray[np.int64]
    ) -> dict[str, npt.NDArray[np.float64]]:
        if kind == Kind.HELD:
            return {"time_weighted": held.means(parts, end)}
        if kind == Kind.DIRECTION:
            return {
                "mean": directions.means(parts, self._min_resultant),
                "sd": directions.deviations(parts),
                "resultant": directions.resultants(parts),
            }
        if kind == Kind.SPEED:
            return {
                "harmonic": speeds.harmonic(parts),
                "volume_weighted": speeds.volume_weighted(parts),
            }
        return {"rate": counters.rates(parts)}

    def _present(self, rows: RowArray) -> list[tuple[_Statistics, npt.NDArray[np.bool_]]]:
        self._grow()
        if self._plain:
            return []
        of = self.of(rows["series"])
        return [(self._of[Kind(kind)], of == kind) for kind in np.unique(of[of > 0]).tolist()]

    def _lift_direction(self, rows: RowArray) -> RowArray:
        return directions.lift(rows["value"], rows["beside"] < self._calm_below)

    def _grow(self) -> None:
        known = len(self._known)
        if known < len(self._series):
            added = self._series.by_quantity(known, self._kind).astype(np.uint8)
            self._known = np.concatenate([self._known, added])
            self._plain = not self._known.any()

    def _kind(self, name: str) -> Kind:
        quantity = QUANTITIES.get(name)
        if quantity is None:
            return Kind.PLAIN
        if quantity.unit == "deg":
            return Kind.DIRECTION
        if quantity.kind == "counter":
            return Kind.COUNTER
        if name == "speed":
            return Kind.SPEED
        return Kind.HELD if name in self._time_weighted else Kind.PLAIN


def _lift_held(rows: RowArray) -> RowArray:
    hold = rows["pace"].astype(np.int64) * (_HOLD * MILLISECOND_NS)
    return held.lift(rows["time"], rows["value"], hold)


def _lift_speed(rows: RowArray) -> RowArray:
    return speeds.lift(rows["value"], rows["beside"].astype(np.float64))


def _lift_counter(rows: RowArray) -> RowArray:
    return counters.lift(rows["time"], rows["value"])


def _put(statistics: _Statistics, frames: Frames, parts: RowArray, states: RowArray) -> None:
    """Merge the states of a kind and put what it keeps of its own into the common ones."""
    merged = statistics.merge(frames, parts)
    for slot, name in enumerate(_own(statistics.state)):
        states["extra"][frames.numbers, slot] = merged[name]


def _taken(states: RowArray, state: np.dtype[Any]) -> RowArray:
    """Return the states of a kind out of the common ones."""
    parts = np.empty(len(states), state)
    for slot, name in enumerate(_own(state)):
        parts[name] = states["extra"][:, slot]
    for name in _OF_ALL.intersection(state.names or ()):
        parts[name] = states[name]
    return parts


def _own(state: np.dtype[Any]) -> list[str]:
    return [name for name in state.names or () if name not in _OF_ALL]
