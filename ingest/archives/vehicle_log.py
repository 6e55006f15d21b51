# SPDX-License-Identifier: EUPL-1.2
"""Logs of single vehicles (IRIS, ``.vlog``): when each passed, and what 30 seconds saw of them.

A line is ``duration,headway,stamp,speed,length``: ms, ms between the starts of two vehicles, local
time cut to the second, miles an hour, feet. ``?`` is not known, what is missing at the end neither;
``*`` on a line by itself is a gap in which nobody looked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

BIN_S: Final = 30
"""Seconds that are counted together, as in the binned files of IRIS."""

_BIN_MS: Final = 1000 * BIN_S
_UNKNOWN: Final = "?"
_GAP: Final = "*"
_STAMP: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d)")
_NUMBER: Final = re.compile(r"\d{1,9}")
_COLUMNS: Final = 5

FloatArray = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


@dataclass(slots=True)
class Vehicle:
    """A vehicle of a log; None is not known.

    Attributes:
        line: where it stands.
        duration_ms: how long it was on the detector.
        headway_ms: from the start of the one before to its own.
        stamp_ms: of the local day, as printed.
        speed_mph, length_ft: its own.
        at_ms: when it came, ms of the local day.
    """

    line: int
    duration_ms: int | None = None
    headway_ms: int | None = None
    stamp_ms: int | None = None
    speed_mph: int | None = None
    length_ft: int | None = None
    at_ms: int | None = None


class BadLine(NamedTuple):
    """A line that is none of a log."""

    line: int
    problem: str
    text: str


@dataclass(slots=True)
class VehicleLog:
    """The vehicles of a log, in stretches in which nobody was overlooked.

    Attributes:
        stretches: a new one begins at a gap, and where the clock was put back.
        bad: lines that could not be read; each ends a stretch.
    """

    stretches: list[list[Vehicle]] = field(default_factory=lambda: [[]])
    bad: list[BadLine] = field(default_factory=list)


class Bins(NamedTuple):
    """What stretches of 30 s saw, where the log tells all of it; columns of one length.

    Attributes:
        start_ms: of the local day.
        line: of the last vehicle up to there.
        vehicles: how many.
        occupancy: percent; NaN where a duration is not known.
        speed_mph: mean over the vehicles whose speed is known, NaN without any.
        headway_s: mean over those whose headway is known, NaN without any.
    """

    start_ms: Int64Array
    line: Int64Array
    vehicles: FloatArray
    occupancy: FloatArray
    speed_mph: FloatArray
    headway_s: FloatArray


def read_log(text: str) -> VehicleLog:
    r"""Return the vehicles of a log, each with its time as far as that can be told.

    >>> log = read_log("296,9930,17:49:36\n231,14069\n240,453,,45\n")
    >>> [vehicle.at_ms for vehicle in log.stretches[0]]
    [64176000, 64190069, 64190522]
    """
    log = VehicleLog()
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.strip()
        if not said:
            continue
        vehicle = None if said == _GAP else _vehicle(number, said)
        if vehicle is None:
            log.stretches.append([])
            if said != _GAP:
                log.bad.append(BadLine(number, "no line of a vehicle log", said[:200]))
            continue
        _append(log, vehicle)
    for stretch in log.stretches:
        _fill_backwards(stretch)
    log.stretches = [stretch for stretch in log.stretches if stretch]
    return log


def bins_of(stretch: Sequence[Vehicle]) -> Bins:
    """Return what a stretch tells of whole bins: those between its first and its last vehicle.

    Of the bins of these two a part is not told. A vehicle whose time is not known lies between its
    neighbours: where both are in one bin it counts there, else nothing is said of the bins it may
    have passed in.
    """
    placed = [vehicle for vehicle in stretch if vehicle.at_ms is not None]
    if not placed:
        return _no_bins()
    at = np.array([vehicle.at_ms for vehicle in placed], np.int64) // _BIN_MS
    first, last = int(at[0]), int(at[-1])
    told = np.ones(last - first + 1, np.bool_)
    told[[0, -1]] = False
    home = _homes(stretch, told, first)
    return _collected(stretch, home, told, first)


def lengths_of(stretch: Sequence[Vehicle]) -> Iterator[tuple[int, int, int]]:
    """Yield line, time (ms of the local day) and length (feet) of vehicles where both are known."""
    for vehicle in stretch:
        if vehicle.at_ms is not None and vehicle.length_ft is not None:
            yield vehicle.line, vehicle.at_ms, vehicle.length_ft


def _vehicle(number: int, line: str) -> Vehicle | None:
    cells = [cell.strip() for cell in line.split(",")]
    if not 2 <= len(cells) <= _COLUMNS:
        return None
    duration, headway, stamp, speed, length = cells + [""] * (_COLUMNS - len(cells))
    clock = _STAMP.fullmatch(stamp)
    numbers = [duration, headway, speed or _UNKNOWN, length or _UNKNOWN]
    if (stamp and not clock) or not all(map(_is_number, numbers)):
        return None
    known = [None if text == _UNKNOWN else int(text) for text in numbers]
    hours, minutes, seconds = map(int, clock.groups()) if clock else (0, 0, 0)
    stamp_ms = 1000 * (3600 * hours + 60 * minutes + seconds) if clock else None
    return Vehicle(number, known[0], known[1], stamp_ms, known[2], known[3])


def _is_number(text: str) -> bool:
    return text == _UNKNOWN or _NUMBER.fullmatch(text) is not None


def _append(log: VehicleLog, vehicle: Vehicle) -> None:
    """Add a vehicle, with its time if its stamp or the one before it tells."""
    stretch = log.stretches[-1]
    before = stretch[-1].at_ms if stretch else None
    expected = None
    if before is not None and vehicle.headway_ms is not None:
        expected = before + vehicle.headway_ms
    vehicle.at_ms = expected
    stamp = vehicle.stamp_ms
    # The stamp is cut to the second; within it, what the milliseconds add up to says more.
    if stamp is not None and (expected is None or expected // 1000 * 1000 != stamp):
        vehicle.at_ms = stamp
        latest = next((one.at_ms for one in reversed(stretch) if one.at_ms is not None), stamp)
        if stamp < latest // 1000 * 1000:
            log.stretches.append([vehicle])
            return
        vehicle.at_ms = max(stamp, latest)
    stretch.append(vehicle)


def _fill_backwards(stretch: Sequence[Vehicle]) -> None:
    """Tell the times of vehicles from the headway of the one behind, where it has a time.

    That one's stamp is cut to the second, so what follows from it is rounded up, as IRIS does.
    """
    exact = [vehicle.at_ms for vehicle in stretch]
    for place in range(len(stretch) - 2, -1, -1):
        behind, headway_ms = exact[place + 1], stretch[place + 1].headway_ms
        if exact[place] is None and behind is not None and headway_ms is not None:
            exact[place] = behind - headway_ms
    latest = 0
    for vehicle, at_ms in zip(stretch, exact, strict=True):
        if vehicle.at_ms is None and at_ms is not None:
            vehicle.at_ms = max(-(-at_ms // 1000) * 1000, latest)
        latest = latest if vehicle.at_ms is None else max(latest, vehicle.at_ms)


def _homes(stretch: Sequence[Vehicle], told: npt.NDArray[np.bool_], first: int) -> list[int | None]:
    """Return the bin each vehicle belongs to, and strike out those that cannot be told."""
    homes = [None if one.at_ms is None else one.at_ms // _BIN_MS - first for one in stretch]
    before: int | None = None
    waiting: list[int] = []
    for place, home in enumerate(homes):
        if home is None:
            waiting.append(place)
            continue
        for lost in waiting:
            homes[lost] = home if home == before else None
        if waiting and before is not None and home != before:
            told[before : home + 1] = False
        before, waiting = home, []
    return homes


def _collected(
    stretch: Sequence[Vehicle], homes: Sequence[int | None], told: npt.NDArray[np.bool_], first: int
) -> Bins:
    size = len(told)
    count, busy_ms, line = np.zeros(size), np.zeros(size), np.zeros(size, np.int64)
    speed, headway = np.full((2, 2, size), 0.0)
    for vehicle, home in zip(stretch, homes, strict=True):
        if home is None:
            continue
        count[home] += 1
        line[home] = vehicle.line
        _occupy(busy_ms, vehicle, home, first)
        for sums, number in ((speed, vehicle.speed_mph), (headway, vehicle.headway_ms)):
            if number is not None:
                sums[:, home] += number, 1
    with np.errstate(invalid="ignore"):
        means = [sums[0] / sums[1] for sums in (speed, headway)]
    rows = np.flatnonzero(told)
    return Bins(
        start_ms=(first + rows) * _BIN_MS,
        line=np.maximum.accumulate(line)[rows],
        vehicles=count[rows],
        occupancy=np.minimum(busy_ms, _BIN_MS)[rows] / _BIN_MS * 100,
        speed_mph=means[0][rows],
        headway_s=means[1][rows] / 1000,
    )


def _occupy(busy_ms: FloatArray, vehicle: Vehicle, home: int, first: int) -> None:
    """Add the time a vehicle stood on the detector, to each bin its own part."""
    if vehicle.duration_ms is None:
        busy_ms[home] = np.nan
        return
    if vehicle.at_ms is None:
        busy_ms[home] += vehicle.duration_ms
        return
    start, end = vehicle.at_ms, vehicle.at_ms + vehicle.duration_ms
    for place in range(home, min((end - 1) // _BIN_MS - first + 1, len(busy_ms))):
        begin = (first + place) * _BIN_MS
        busy_ms[place] += min(end, begin + _BIN_MS) - max(start, begin)


def _no_bins() -> Bins:
    nothing = np.empty(0, np.int64)
    return Bins(nothing, nothing, *(np.empty(0) for _ in range(4)))
