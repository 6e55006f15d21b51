# SPDX-License-Identifier: EUPL-1.2
"""Tumbling windows in event time, each series by its own clock, with revisions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from lamppost.batch import FIXED, AggregateBatch, JudgedBatch
from lamppost.component import Settings, register
from lamppost.flags import FLAG_NAMES, GOOD, MISSING, SUSPECT
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS

from . import _statistics as statistics
from ._cadence import Cadence
from ._table import RowArray, Table, ordered

_UNITS_NS: Final = {"s": SECOND_NS, "min": MINUTE_NS, "h": HOUR_NS}
_LENGTH: Final = re.compile(r"(\d+)(s|min|h)")
_NEVER: Final = np.int64(-(2**62))
_EVICT_FLOOR: Final = 65_536


class TumblingSettings(Settings):
    """Which windows there are, and when they close."""

    lengths: tuple[str, ...] = Field(
        default=("1min", "15min", "1h"),
        description="Window lengths from short to long, each a multiple of the one before.",
    )
    allowed_lateness_s: float = Field(
        default=30.0, ge=0, description="How long a window waits for late readings, seconds."
    )
    correction_horizon_s: float = Field(
        default=21_600.0,
        ge=0,
        description="How far behind its series' newest reading a late one may lie, seconds.",
    )
    include: tuple[str, ...] = Field(
        default=("good", "not_evaluated", "suspect"),
        description="Flags of the readings that enter the statistics.",
    )
    min_coverage: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Part of a window that must be covered, else its aggregate is suspect.",
    )
    default_period_s: float = Field(
        default=60.0,
        gt=0,
        description="Time a series' first reading accounts for, and the longest gap taken to be "
        "usual before three are known, seconds.",
    )

    @property
    def lengths_ns(self) -> tuple[int, ...]:
        """The window lengths in nanoseconds."""
        return tuple(_length_ns(text) for text in self.lengths)

    @field_validator("lengths")
    @classmethod
    def _nest(cls, lengths: tuple[str, ...]) -> tuple[str, ...]:
        values = [_length_ns(text) for text in lengths]
        if not values or any(b % a or b <= a for a, b in itertools.pairwise(values)):
            raise ValueError("each length must be a multiple of the one before")
        return lengths

    @model_validator(mode="after")
    def _known_flags(self) -> Self:
        unknown = set(self.include) - set(FLAG_NAMES.values())
        if unknown:
            raise ValueError(f"unknown flags in include: {', '.join(sorted(unknown))}")
        return self


@register("aggregator")
class Tumbling:
    """Count, mean, minimum, maximum, deviation and coverage of nested windows.

    A window closes when its series' own clock passes its end by the allowed lateness. That clock is
    the newest device time, running on with engine time while the series is silent, so a device that
    is wrong about the time harms only itself. A reading for a closed window re-opens that window
    and those it is part of; each goes out again with the next revision. Longer windows are merged
    from the shorter ones (Chan), so hours from minutes equal hours from readings.
    """

    name: ClassVar[str] = "tumbling"
    Settings: ClassVar[type[TumblingSettings]] = TumblingSettings

    def __init__(self, settings: TumblingSettings, series: SeriesTable) -> None:
        """Start without readings."""
        self._settings = settings
        self._series = series
        self._lengths = settings.lengths_ns
        self._included = np.zeros(256, np.bool_)
        self._included[[flag for flag, name in FLAG_NAMES.items() if name in settings.include]] = (
            True
        )
        self._cadence = Cadence(round(settings.default_period_s * SECOND_NS))
        self._state = SeriesState(
            newest=_NEVER, received=_NEVER, closed=np.full(len(self._lengths), _NEVER)
        )
        self._open: list[list[RowArray]] = [[] for _ in self._lengths]
        self._readings = Table(statistics.RAW)
        self._published = [Table(statistics.STATE) for _ in self._lengths]
        self._evict_above = _EVICT_FLOOR

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths of the windows there are, from short to long, ns."""
        return self._lengths

    def add(self, judged: JudgedBatch) -> None:
        """Take readings in; a later version of an instant replaces the former."""
        if not len(judged):
            return
        self._state.grow(len(self._series))
        np.maximum.at(self._state["newest"], judged.series, judged.time)
        np.maximum.at(self._state["received"], judged.series, judged.received)
        rows = np.empty(len(judged), statistics.RAW)
        for name in ("series", "time", "value", "flag"):
            rows[name] = getattr(judged, name)
        rows["cover"] = 0
        first = judged.revision == 0
        rows["cover"][first] = self._cadence.learn(
            judged.series[first], judged.time[first], len(self._series)
        )
        self._open[0].append(rows)

    def known(
        self, series: npt.NDArray[np.int32], time: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Return which instants are held, and the value of each."""
        held, rows = self._readings.find(series, time)
        values = rows["value"].copy()
        pending = Table(statistics.RAW)
        pending.insert(ordered(_joined(self._open[0], statistics.RAW)))
        newer, rows = pending.find(series, time)
        values[newer] = rows["value"][newer]
        return held | newer, values

    def oldest(self, newest: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the oldest instant a series may still be corrected at, by its newest one."""
        return newest - round(self._settings.correction_horizon_s * SECOND_NS)

    def advance(self, now: int) -> AggregateBatch:
        """Close and revise every window whose time has come."""
        self._state.grow(len(self._series))
        clock = self._clock(now)
        batches = []
        for level, length in enumerate(self._lengths):
            limit = np.maximum(clock // length * length, self._state["closed"][:, level])
            states = self._close(level, limit)
            self._state["closed"][:, level] = limit
            if len(states):
                batches.append(self._aggregates(states, length))
                if level + 1 < len(self._lengths):
                    self._open[level + 1].append(states)
        if batches:
            self._evict()
        return AggregateBatch.concat(batches)

    def _clock(self, now: int) -> npt.NDArray[np.int64]:
        """Return each series' own time less the allowed lateness, ns UTC."""
        waited = np.maximum(now - self._state["received"], 0)
        lateness = round(self._settings.allowed_lateness_s * SECOND_NS)
        heard = self._state["received"] != _NEVER
        return np.where(
            heard, self._state["newest"] + np.where(heard, waited, 0) - lateness, _NEVER
        )

    def _close(self, level: int, limit: npt.NDArray[np.int64]) -> RowArray:
        length = self._lengths[level]
        rows = _joined(self._open[level], self._source(level)[1])
        end = statistics.window_starts(rows, length) + length
        due = end <= limit[rows["series"]]
        self._open[level] = [rows[~due]] if not due.all() else []
        if not due.any():
            return np.empty(0, statistics.STATE)
        reopened = due & (end <= self._state["closed"][rows["series"], level])
        fresh = self._reduce(level, ordered(rows[due & ~reopened]))
        if level == 0:
            self._readings.insert(ordered(rows[due]))
        revised = self._revise(level, rows[reopened])
        states = ordered(np.concatenate([fresh, revised]))
        self._published[level].insert(states)
        return states

    def _source(self, level: int) -> tuple[Table, np.dtype[Any]]:
        """Return where the rows that make up a level's windows are kept."""
        if level == 0:
            return self._readings, statistics.RAW
        return self._published[level - 1], statistics.STATE

    def _reduce(self, level: int, rows: RowArray) -> RowArray:
        if not len(rows):
            return np.empty(0, statistics.STATE)
        if level == 0:
            return statistics.of_readings(rows, self._lengths[0], self._included)
        return statistics.of_states(rows, self._lengths[level])

    def _revise(self, level: int, rows: RowArray) -> RowArray:
        """Compute closed windows again, from everything that is held of them."""
        if not len(rows):
            return np.empty(0, statistics.STATE)
        length = self._lengths[level]
        windows = np.unique(
            np.stack([rows["series"].astype(np.int64), statistics.window_starts(rows, length)]),
            axis=1,
        )
        series, start = windows[0].astype(np.int32), windows[1]
        states = self._reduce(level, self._source(level)[0].between(series, start, start + length))
        held, former = self._published[level].find(states["series"], states["time"])
        states["revision"] = np.where(held, former["revision"] + 1, 0)
        return states[~held | statistics.differs(states, former)]

    def _aggregates(self, states: RowArray, length: int) -> AggregateBatch:
        count = states["count"]
        empty = count == 0
        coverage = np.minimum(states["cover"] / length, 1.0)
        deviation = np.full(len(states), np.nan)
        np.divide(states["squares"], count - 1, out=deviation, where=count > 1)
        covered = np.where(coverage < self._settings.min_coverage, SUSPECT, GOOD)
        return AggregateBatch(
            series=states["series"],
            start=states["time"],
            length=np.full(len(states), length),
            calendar=np.full(len(states), FIXED, np.uint8),
            revision=states["revision"],
            count=count,
            expected=_expected(states, length, self._cadence.usual(states["series"])),
            coverage=coverage,
            mean=states["mean"],
            min=np.where(empty, np.nan, states["low"]),
            max=np.where(empty, np.nan, states["high"]),
            sd=np.sqrt(deviation),
            total=np.where(empty, np.nan, states["total"]),
            suspect=states["suspect"],
            excluded=states["excluded"],
            flag=np.where(empty, MISSING, covered).astype(np.uint8),
        )

    def _evict(self) -> None:
        reach = self.oldest(self._state["newest"]) - self._lengths[-1]
        tables = [self._readings, *self._published]
        if sum(len(table) for table in tables) > self._evict_above:
            for table in tables:
                table.evict(reach)
            self._evict_above = max(2 * sum(len(table) for table in tables), _EVICT_FLOOR)

    def adopt(self, former: Tumbling) -> None:
        """Go on from an aggregator with other settings, so that a policy change loses no reading.

        Windows of a length that stays go on with their revisions. Those of a new length start with
        the window under way; for the earlier ones their statistics are worked out from what is
        held, without being published, so that a late reading finds them whole.
        """
        self._state.grow(len(self._series))
        former._state.grow(len(self._series))
        for name in ("newest", "received"):
            self._state[name][:] = former._state[name]
        self._cadence.restore(former._cadence.snapshot())
        self._readings.restore(former._readings.snapshot())
        self._readings.insert(ordered(_joined(former._open[0], statistics.RAW)))
        for level, length in enumerate(self._lengths):
            if length in former._lengths:
                self._go_on(level, former, former._lengths.index(length))
            else:
                self._begin(level, former._state["closed"][:, 0])
            rows = self._source(level)[0].snapshot()
            end = statistics.window_starts(rows, length) + length
            self._open[level] = [rows[end > self._state["closed"][rows["series"], level]]]

    def _go_on(self, level: int, former: Tumbling, place: int) -> None:
        self._published[level].restore(former._published[place].snapshot())
        self._state["closed"][:, level] = former._state["closed"][:, place]

    def _begin(self, level: int, closed: npt.NDArray[np.int64]) -> None:
        length = self._lengths[level]
        self._state["closed"][:, level] = closed // length * length
        rows = self._source(level)[0].snapshot()
        end = statistics.window_starts(rows, length) + length
        done = rows[end <= self._state["closed"][rows["series"], level]]
        self._published[level].insert(self._reduce(level, done))

    def snapshot(self) -> Snapshot:
        """Return the whole state."""
        levels = {
            f"{kind}_{level}": rows
            for level in range(len(self._lengths))
            for kind, rows in (
                ("open", _joined(self._open[level], self._source(level)[1])),
                ("published", self._published[level].snapshot()),
            )
        }
        cadence = {f"cadence_{name}": array for name, array in self._cadence.snapshot().items()}
        return {
            **self._state.snapshot(),
            **levels,
            **cadence,
            "readings": self._readings.snapshot(),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        self._state.restore(snapshot)
        cadence = {
            name.removeprefix("cadence_"): array
            for name, array in snapshot.items()
            if name.startswith("cadence_")
        }
        self._cadence.restore(cadence)
        self._readings.restore(snapshot["readings"])
        for level in range(len(self._lengths)):
            self._open[level] = [snapshot[f"open_{level}"]]
            self._published[level].restore(snapshot[f"published_{level}"])


def _expected(
    states: RowArray, length: int, usual: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return how many readings the pace of those that entered would have put in a whole window.

    Where none entered, the pace is the series' usual one.
    """
    pace = np.divide(
        states["cover"], states["count"], out=usual.astype(np.float64), where=states["cover"] > 0
    )
    expected: npt.NDArray[np.float64] = length / pace
    return expected


def _joined(parts: list[RowArray], dtype: np.dtype[Any]) -> RowArray:
    return np.concatenate([np.empty(0, dtype), *parts])


def _length_ns(text: str) -> int:
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a length such as 30s, 15min or 1h")
    return int(match[1]) * _UNITS_NS[match[2]]
