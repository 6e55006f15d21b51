# SPDX-License-Identifier: EUPL-1.2
"""From windows to days: what the rules must know of each day of each series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int64Array
from lamppost.compliance import Accumulation, Compliance, ComplianceRule, Samples
from lamppost.flags import MISSING, FlagArray
from lamppost.times import HOUR_NS

RUNNING_HOURS: Final = 8
# Sums of decimals fall short of a half or of a share by less than this.
_TINY: Final = 1e-9
_MEAN: Final = "mean"
_VALID: Final = "valid"
_PEAK: Final = "peak"
_HIGHEST: Final = "highest"


class Level(NamedTuple):
    """A limit in the canonical unit, and the step to which values are rounded beside it."""

    limit: float
    precision: float

    @classmethod
    def of(cls, rule: ComplianceRule, limit: float) -> Self:
        """Take a limit or interim target of a rule."""
        return cls(limit * rule.scale, rule.precision * rule.scale)

    def exceeded(self, values: FloatArray) -> npt.NDArray[np.bool_]:
        """Return where values are greater after rounding half up; NaN never is.

        >>> Level(50.0, 1.0).exceeded(np.array([50.4, 50.5, 51.0, np.nan])).tolist()
        [False, True, True, False]
        """
        steps = np.floor(values / self.precision + (0.5 + _TINY))
        return steps > round(self.limit / self.precision)


def levels_of(rule: ComplianceRule) -> list[Level]:
    """Return the limit of a rule and its interim targets, the strictest first."""
    if rule.limit is None:
        return []
    return [Level.of(rule, limit) for limit in (rule.limit, *reversed(rule.interim))]


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be known of each day for some rules about one quantity and window.

    Attributes:
        window_ns: length of the windows.
        running: whether running means of eight hours are needed.
        levels: levels that windows are counted above.
        accumulations: exposures that are added up, with the scale of their unit.
    """

    window_ns: int
    running: bool
    levels: tuple[Level, ...]
    accumulations: tuple[tuple[Accumulation, float], ...]

    @classmethod
    def of(cls, rules: Iterable[ComplianceRule]) -> Self:
        """Take rules about windows of one length."""
        given = list(rules)
        counted = [rule for rule in given if rule.counts and rule.averaging.endswith(("h", "min"))]
        levels = {
            level
            for rule in counted
            if rule.averaging != "max_daily_8h"
            for level in levels_of(rule)
        }
        sums = {(rule.accumulate, rule.scale) for rule in given if rule.accumulate is not None}
        return cls(
            window_ns=given[0].window_ns,
            running=any(rule.averaging in {"max_daily_8h", "peak_season"} for rule in given),
            levels=tuple(sorted(levels)),
            accumulations=tuple(sorted(sums, key=repr)),
        )

    @property
    def lead(self) -> int:
        """How many windows before the first day are needed."""
        return RUNNING_HOURS - 1 if self.running else 0


def usable(
    mean: FloatArray,
    coverage: FloatArray,
    flag: FlagArray,
    rules: Compliance,
    samples: Samples = "hours",
) -> FloatArray:
    """Return the means of windows that count as measured, NaN for the others.

    A sample of a day stands in one of its windows, and covers little of that.
    """
    enough = flag != MISSING
    if samples == "hours":
        enough &= coverage >= rules.hour_coverage - _TINY
    return np.where(enough, mean, np.nan)


class Days:
    """What is known of each day of some series, as columns of shape (series, days).

    Attributes:
        first: number of the first day.
        starts: when each day begins, and when the last one ends, ns UTC, shape (days + 1,).
        window_ns: length of the windows the days are made of.
        columns: by name; see the functions that read them.
    """

    def __init__(
        self, first: int, starts: Int64Array, window_ns: int, columns: dict[str, npt.NDArray[Any]]
    ) -> None:
        """Take columns that fit the days."""
        self.first = first
        self.starts = starts
        self.window_ns = window_ns
        self.columns = columns

    @classmethod
    def empty(cls, first: int, starts: Int64Array, needs: Needs, series: int) -> Self:
        """Return days of which nothing is known."""
        shape = (series, len(starts) - 1)
        columns: dict[str, npt.NDArray[Any]] = {
            _MEAN: np.full(shape, np.nan),
            _VALID: np.zeros(shape, np.uint16),
        }
        if needs.running:
            columns[_PEAK] = np.full(shape, np.nan)
        if needs.levels:
            columns[_HIGHEST] = np.full(shape, np.nan)
        for level in needs.levels:
            columns[_over(level)] = np.zeros(shape, np.uint16)
        for accumulation, _ in needs.accumulations:
            columns[_sum(accumulation)] = np.zeros(shape)
            columns[_counted(accumulation)] = np.zeros(shape, np.uint16)
        return cls(first, starts, needs.window_ns, columns)

    @property
    def end(self) -> int:
        """Number of the first day after them."""
        return self.first + len(self.starts) - 1

    @property
    def series(self) -> int:
        """How many series there are."""
        return len(self.columns[_VALID])

    @property
    def possible(self) -> Int64Array:
        """How many windows each day has, shape (days,)."""
        return np.diff(_edges(self.starts, int(self.starts[0]), self.window_ns))

    def between(self, first: int, end: int) -> Days:
        """Return the days of a half-open stretch, as far as there are any."""
        first = min(max(first, self.first), self.end)
        end = min(max(end, first), self.end)
        cut = slice(first - self.first, end - self.first)
        columns = {name: column[:, cut] for name, column in self.columns.items()}
        starts = self.starts[cut.start : cut.stop + 1]
        return Days(first, starts, self.window_ns, columns)

    def put(self, rows: npt.NDArray[np.intp], days: Days) -> None:
        """Replace what is known of some days of some series."""
        at = slice(days.first - self.first, days.end - self.first)
        for name, column in days.columns.items():
            self.columns[name][rows, at] = column

    def grow(self, series: int) -> None:
        """Make room for more series, of which nothing is known."""
        for name, column in self.columns.items():
            fill = np.nan if column.dtype.kind == "f" else 0
            shape = (series - len(column), column.shape[1])
            self.columns[name] = np.concatenate([column, np.full(shape, fill, column.dtype)])

    # ---- what the rules ask
    def valid(self) -> npt.NDArray[np.uint16]:
        """Return how many windows of each day are valid."""
        return self.columns[_VALID]

    def window_means(self) -> FloatArray:
        """Return the mean of each day's valid windows, however many."""
        return self.columns[_MEAN]

    def means(self, rules: Compliance) -> FloatArray:
        """Return the mean of each day with enough valid hours, NaN of the others."""
        enough = self.columns[_VALID] >= self.possible * rules.day_hours - _TINY
        return np.where(enough & (self.possible > 0), self.columns[_MEAN], np.nan)

    def peaks(self) -> FloatArray:
        """Return the highest running mean that ends on each day with enough of them, else NaN."""
        return self.columns[_PEAK]

    def highest(self) -> FloatArray:
        """Return the highest window of each day."""
        return self.columns[_HIGHEST]

    def over(self, level: Level) -> npt.NDArray[np.uint16]:
        """Return how many windows of each day are above a level."""
        return self.columns[_over(level)]

    def accumulated(self, found: Accumulation) -> tuple[FloatArray, npt.NDArray[np.uint16]]:
        """Return what was added up on each day, and from how many windows."""
        return self.columns[_sum(found)], self.columns[_counted(found)]

    def accumulating(self, found: Accumulation) -> Int64Array:
        """Return how many windows of each day may be added up, whatever its month."""
        inside = _inside(self.starts, int(self.starts[0]), self.window_ns, found)
        edges = _edges(self.starts, int(self.starts[0]), self.window_ns)
        possible: Int64Array = _sums(inside[None, :].astype(np.int64), edges)[0]
        return possible


def reduce(
    values: FloatArray, begin: int, first: int, starts: Int64Array, needs: Needs, rules: Compliance
) -> Days:
    """Return the days of some series from their windows.

    Args:
        values: means of windows in a row without gaps, NaN where not valid, shape (series,
            windows): from ``needs.lead`` windows before the first day to the end of the last.
        begin: when the first of them begins, ns UTC.
        first: number of the first day.
        starts: when the days begin, and the end of the last.
        needs: what must be known.
        rules: what makes a mean valid.
    """
    edges = _edges(starts, begin, needs.window_ns)
    found = Days.empty(first, starts, needs, len(values))
    measured = ~np.isnan(values)
    filled = np.where(measured, values, 0.0)
    valid = _sums(measured.astype(np.uint16), edges)
    found.columns[_VALID] = valid
    total = _sums(filled, edges)
    found.columns[_MEAN] = np.divide(
        total, valid, out=np.full(total.shape, np.nan), where=valid > 0
    )
    if needs.running:
        found.columns[_PEAK] = _peaks(filled, measured, edges, rules)
    if needs.levels:
        found.columns[_HIGHEST] = _largest(values, edges)
    for level in needs.levels:
        found.columns[_over(level)] = _sums(level.exceeded(values).astype(np.uint16), edges)
    for accumulation, scale in needs.accumulations:
        inside = _inside(starts, begin, needs.window_ns, accumulation)
        inside = inside[: values.shape[1]]
        above = np.maximum(filled - accumulation.above * scale, 0.0) * inside
        found.columns[_sum(accumulation)] = _sums(above, edges)
        counted = (measured & inside).astype(np.uint16)
        found.columns[_counted(accumulation)] = _sums(counted, edges)
    return found


def _peaks(
    filled: FloatArray, measured: npt.NDArray[np.bool_], edges: Int64Array, rules: Compliance
) -> FloatArray:
    """Return the highest valid mean of eight hours by the day of its last hour.

    Always the same eight numbers are added in the same order, so that where days were cut apart
    makes no difference.
    """
    total, count = filled, measured.astype(np.uint8)
    for step in (1, 2, 4):
        total = total[:, :-step] + total[:, step:]
        count = count[:, :-step] + count[:, step:]
    enough = count >= RUNNING_HOURS * rules.running_hours - _TINY
    means = np.divide(total, count, out=np.full(total.shape, np.nan), where=enough)
    ends = edges - (RUNNING_HOURS - 1)
    valid = _sums(enough.astype(np.uint16), ends)
    asked = np.diff(edges) * rules.running_means - _TINY
    return np.where((valid >= asked) & (valid > 0), _largest(means, ends), np.nan)


def _edges(starts: Int64Array, begin: int, window_ns: int) -> Int64Array:
    """Return which window is the first to begin on each day."""
    edges: Int64Array = -((begin - starts) // window_ns)
    return edges


def _inside(
    starts: Int64Array, begin: int, window_ns: int, found: Accumulation
) -> npt.NDArray[np.bool_]:
    """Return which windows lie in the hours of the day that are added up."""
    count = -(-(int(starts[-1]) - begin) // window_ns)
    begins = begin + np.arange(count) * window_ns
    day = np.maximum(np.searchsorted(starts, begins, side="right") - 1, 0)
    hour = (begins - starts[day]) / HOUR_NS
    return (hour >= found.from_hour) & (hour < found.to_hour)


def _sums(values: npt.NDArray[Any], edges: Int64Array) -> npt.NDArray[Any]:
    """Return the sums between edges along the rows."""
    return _between(np.add, values, edges, 0)


def _largest(values: FloatArray, edges: Int64Array) -> FloatArray:
    """Return the largest numbers between edges along the rows, NaN where there is none."""
    return _between(np.fmax, values, edges, np.nan)


def _between(
    function: np.ufunc, values: npt.NDArray[Any], edges: Int64Array, nothing: float
) -> npt.NDArray[Any]:
    if len(edges) < 2 or not len(values):
        return np.zeros((len(values), max(len(edges) - 1, 0)), values.dtype)
    found: npt.NDArray[Any] = function.reduceat(
        values[:, : edges[-1]], edges[:-1], axis=1, dtype=values.dtype
    )
    gone = np.diff(edges) == 0
    if gone.any():  # a day that a zone has skipped: reduceat gives the next one's first window
        found[:, gone] = nothing
    return found


def _over(level: Level) -> str:
    return f"over {level.limit!r} by {level.precision!r}"


def _sum(found: Accumulation) -> str:
    return f"sum above {found.above!r} from {found.from_hour} to {found.to_hour}"


def _counted(found: Accumulation) -> str:
    return f"counted {_sum(found)}"
