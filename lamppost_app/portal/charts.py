# SPDX-License-Identifier: EUPL-1.2
"""Charts as numbers ready to draw: paths, marks and ticks of a server-rendered SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from lamppost.flags import FAIL, SUSPECT
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from sinks.store_reader import Row

WIDTH: Final = 640
HEIGHT: Final = 250
_LEFT: Final = 48
_RIGHT: Final = 10
_TOP: Final = 12
_BOTTOM: Final = 30
_MAX_POINTS: Final = 1500
_GAP_FACTOR: Final = 3.5
_LARGEST_DRAWN: Final = 1e15
_LEAST_SPREAD: Final = 1e-9
_TIME_STEPS: Final = (
    MINUTE_NS, 5 * MINUTE_NS, 10 * MINUTE_NS, 15 * MINUTE_NS, 30 * MINUTE_NS,
    HOUR_NS, 2 * HOUR_NS, 3 * HOUR_NS, 6 * HOUR_NS, 12 * HOUR_NS, DAY_NS, 2 * DAY_NS, 7 * DAY_NS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A flagged reading: shape by flag."""

    x: float
    y: float
    shape: str
    title: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the time axis."""

    x: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything the chart template draws, in its own coordinates."""

    title: str
    description: str
    line: str
    expected: str
    band: str
    marks: list[Mark]
    dots: list[tuple[float, float]]
    gaps: list[Span]
    alert: Span | None
    threshold: float | None
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    empty: bool
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class ChartFrame:
    """What a chart is about.

    Attributes:
        title: what it shows.
        start, end: the time range, ns UTC.
        period: usual distance between points, ns; None takes it from the data.
        threshold: a limit to draw, which the range of the axis always includes.
        alert: when an alert began and ended, to shade.
    """

    title: str
    start: int
    end: int
    period: int | None = None
    threshold: float | None = None
    alert: tuple[int, int] | None = None


def draw(points: Sequence[Row], frame: ChartFrame, flag_words: dict[int, str]) -> Chart:
    """Lay out a chart of readings in order of time.

    The range of the value axis always includes band, expectation and threshold, so that what an
    alert was held against can be seen. Failed readings are no measurements: they do not widen the
    range, no line runs through them, and their marks stay at the edge where they lie beyond it.
    """
    points = thinned(points)
    gaps = _gaps(points, frame)
    scale = _Scale(frame, _extent(points, frame.threshold))
    parts = _parts(points, {start for start, _ in gaps})
    values = [point["value"] for point in points if point["value"] is not None]
    return Chart(
        title=frame.title,
        description=_description(values),
        line=" ".join(scale.path(part, "value") for part in parts),
        expected=" ".join(scale.path(part, "expected") for part in parts),
        band=" ".join(scale.area(part) for part in parts),
        marks=[_mark(scale, point, flag_words) for point in points if _is_flagged(point)],
        dots=_lonely(scale, parts),
        gaps=[scale.span(start, end, "") for start, end in gaps],
        alert=scale.span(*frame.alert, "") if frame.alert else None,
        threshold=None if frame.threshold is None else scale.y(frame.threshold),
        x_ticks=scale.x_ticks(),
        y_ticks=scale.y_ticks(),
        empty=not values,
    )


def thinned(points: Sequence[Row], most: int = _MAX_POINTS) -> list[Row]:
    """Return at most about ``most`` points, every flagged one among them."""
    step = max(1, math.ceil(len(points) / most))
    return [
        point for number, point in enumerate(points) if number % step == 0 or _is_flagged(point)
    ]


class _Scale:
    """Turns instants and values into coordinates."""

    def __init__(self, frame: ChartFrame, extent: tuple[float, float]) -> None:
        self._start = frame.start
        self._end = max(frame.end, frame.start + SECOND_NS)
        self._step = _nice_step((extent[1] - extent[0]) / 4)
        self._low = math.floor(extent[0] / self._step) * self._step
        self._high = math.ceil(extent[1] / self._step) * self._step

    def x(self, time: int) -> float:
        share = (time - self._start) / (self._end - self._start)
        width = WIDTH - _LEFT - _RIGHT
        return round(_LEFT + min(1.0, max(0.0, share)) * width, 1)

    def y(self, value: float) -> float:
        share = min(1.0, max(0.0, (value - self._low) / (self._high - self._low)))
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)

    def path(self, points: Sequence[Row], column: str) -> str:
        found = [
            f"{self.x(point['time'])},{self.y(point[column])}"
            for point in points
            if point[column] is not None
        ]
        return f"M{' L'.join(found)}" if len(found) > 1 else ""

    def area(self, points: Sequence[Row]) -> str:
        known = [
            point
            for point in points
            if point["band_low"] is not None and point["band_high"] is not None
        ]
        if len(known) < 2:
            return ""
        above = [f"{self.x(point['time'])},{self.y(point['band_high'])}" for point in known]
        below = [f"{self.x(point['time'])},{self.y(point['band_low'])}" for point in known[::-1]]
        return f"M{' L'.join([*above, *below])} Z"

    def span(self, start: int, end: int, title: str) -> Span:
        left, right = self.x(start), self.x(end)
        return Span(left, round(max(1.0, right - left), 1), title)

    def x_ticks(self) -> list[Tick]:
        length = self._end - self._start
        step = next((step for step in _TIME_STEPS if length / step <= 7), _TIME_STEPS[-1])
        # A label right under the value axis would run into the lowest number.
        first = -(-(self._start + length // 30) // step) * step
        pattern = "%d %b" if step >= DAY_NS else "%H:%M"
        return [
            Tick(self.x(at), datetime.fromtimestamp(at // SECOND_NS, UTC).strftime(pattern))
            for at in range(first, self._end + 1, step)
        ]

    def y_ticks(self) -> list[Tick]:
        count = round((self._high - self._low) / self._step)
        values = [self._low + number * self._step for number in range(count + 1)]
        return [Tick(self.y(value), f"{round(value, 9):g}") for value in values]


def is_drawable(value: float | None) -> bool:
    """Return whether a value may widen an axis: no measurement is infinite or beyond all units.

    >>> is_drawable(41.5), is_drawable(1e300), is_drawable(float("nan")), is_drawable(None)
    (True, False, False, False)
    """
    return value is not None and abs(value) <= _LARGEST_DRAWN


def _nice_step(rough: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at least ``rough``; 1 where that has no answer."""
    if not _LEAST_SPREAD / 10 <= rough <= _LARGEST_DRAWN:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _extent(points: Sequence[Row], threshold: float | None) -> tuple[float, float]:
    columns = ("value", "expected", "band_low", "band_high")
    believed = [point for point in points if point["flag"] != FAIL]
    rows = believed if any(is_drawable(point["value"]) for point in believed) else points
    found = [threshold, *(point[name] for point in rows for name in columns)]
    numbers = [number for number in found if number is not None and is_drawable(number)]
    if not numbers:
        return 0.0, 1.0
    low, high = min(numbers), max(numbers)
    if low >= 0 and low < (high - low):
        low = 0.0
    size = max(abs(low), abs(high))
    if high - low > max(1.0, size) * _LEAST_SPREAD:
        return low, high
    pad = max(0.5, size * 0.01)
    return low - pad, high + pad


def _gaps(points: Sequence[Row], frame: ChartFrame) -> list[tuple[int, int]]:
    """Return the stretches between points that are much longer than usual."""
    times = [point["time"] for point in points]
    steps = sorted(later - earlier for earlier, later in pairwise(times))
    usual = frame.period or (steps[len(steps) // 2] if steps else 0)
    usual = max(usual, steps[len(steps) // 2] if steps else 0)
    return [
        (earlier, later)
        for earlier, later in pairwise(times)
        if usual and later - earlier > _GAP_FACTOR * usual
    ]


def _parts(points: Sequence[Row], breaks: set[int]) -> list[list[Row]]:
    """Cut the points after each break and where a value is missing; leave failed ones out."""
    parts: list[list[Row]] = [[]]
    for point in points:
        if point["value"] is None:
            parts.append([])
        if point["value"] is None or point["flag"] == FAIL:
            continue
        parts[-1].append(point)
        if point["time"] in breaks:
            parts.append([])
    return [part for part in parts if part]


def _lonely(scale: _Scale, parts: Iterable[Sequence[Row]]) -> list[tuple[float, float]]:
    """Return points without a neighbour, which no line would show."""
    alone = [part[0] for part in parts if len(part) == 1]
    return [(scale.x(point["time"]), scale.y(point["value"])) for point in alone]


def _is_flagged(point: Row) -> bool:
    return point["flag"] in {SUSPECT, FAIL} and point["value"] is not None


def _mark(scale: _Scale, point: Row, words: dict[int, str]) -> Mark:
    shape = "fail" if point["flag"] == FAIL else "suspect"
    title = f"{words[point['flag']]}: {point['value']:.4g}"
    return Mark(scale.x(point["time"]), scale.y(point["value"]), shape, title)


def _description(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{len(values)} · {min(values):.4g} – {max(values):.4g}"
