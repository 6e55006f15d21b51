# SPDX-License-Identifier: EUPL-1.2
"""Texts of times to instants, a column at a time; local times only with a zone that was named."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lamppost.errors import ConfigError
from lamppost.times import SECOND_NS

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Repeated = Literal["order", "first", "second", "refuse"]

READ: Final = 0
UNREADABLE: Final = 1
NO_ZONE: Final = 2
SKIPPED: Final = 3
TWICE: Final = 4
UNCLEAR: Final = 5
ABSENT: Final = 6
OUTSIDE: Final = 7
PROBLEMS: Final = {
    UNREADABLE: "not a time that is known here",
    NO_ZONE: "a local time without a zone",
    SKIPPED: "a local time the clocks skipped on that day",
    TWICE: "a local time of the hour that came twice",
    UNCLEAR: "a date of which nobody knows whether day or month comes first",
    ABSENT: "a row without a time",
    OUTSIDE: "a time outside 1900 to 2200",
}

_QUARTER_S: Final = 900
_APART_US: Final = 3 * 3_600_000_000
_LONG_AGO: Final = -(2**62)
_EARLIEST_US: Final = -2_208_988_800_000_000
_LATEST_US: Final = 7_258_118_400_000_000
_FIRST_YEAR, _LAST_YEAR = 1900, 2199
_arrow: Any = pc  # typed loosely: the Arrow stubs know few of these functions
_ISO: Final = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?"
_ZONED: Final = _ISO + r"\s?([Zz]|[+-]\d\d(:?\d\d)?)$"
_LOCAL: Final = _ISO + "$"
_EPOCH: Final = r"^\d{9,19}(\.\d+)?$"
_DOTTED: Final = r"^\d{1,2}\.\d{1,2}\.\d{4}[ T]\d{1,2}:\d\d(:\d\d)?$"
_SLASHED: Final = r"^\d{1,2}/\d{1,2}/\d{4}[ T]"


@dataclass(slots=True)
class Passes:
    """Where each series is in an hour that comes twice: first and last wall time, which coming."""

    seen: dict[int, tuple[int, int, bool]] = field(default_factory=dict)


@dataclass(slots=True)
class Clock:
    """How times are to be read.

    Attributes:
        zone: of times that name none; None refuses them.
        form: how times are written, for ``strptime``; empty for the usual ways.
        repeated: which hour is meant where the clocks were put back.
        ambiguous: rows of such an hour so far.
    """

    zone: ZoneInfo | None = None
    form: str = ""
    repeated: Repeated = "order"
    ambiguous: int = 0
    passes: Passes = field(default_factory=Passes)

    def read(self, texts: Any, series: Int64Array) -> tuple[Int64Array, npt.NDArray[np.uint8]]:  # noqa: ANN401 - an Arrow array
        """Return instants, ns UTC, and what is the matter with each, of texts of some series."""
        texts = _arrow.utf8_trim_whitespace(texts)
        instants, status = self._read(texts, series)
        _explain(texts, status)
        return instants, status

    def _read(self, texts: Any, series: Int64Array) -> tuple[Int64Array, npt.NDArray[np.uint8]]:  # noqa: ANN401 - an Arrow array
        if self.form:
            wall = _microseconds(_arrow.strptime(texts, self.form, "us", error_is_null=True))
            return self._placed(*wall, series)
        direct = _cast(texts, pa.timestamp("us", "UTC"))
        if direct is not None:
            return direct[0] * 1000, np.where(direct[1], UNREADABLE, READ).astype(np.uint8)
        local = _cast(texts, pa.timestamp("us"))
        if local is not None:
            return self._placed(*local, series)
        return self._mixed(texts, series)

    def place(
        self, wall_us: Int64Array, missing: BoolArray, series: Int64Array
    ) -> tuple[Int64Array, npt.NDArray[np.uint8]]:
        """Return instants of local times, which come without a zone."""
        return self._placed(wall_us, missing, series)

    def _placed(
        self, wall_us: Int64Array, missing: BoolArray, series: Int64Array
    ) -> tuple[Int64Array, npt.NDArray[np.uint8]]:
        status = np.where(missing, UNREADABLE, READ).astype(np.uint8)
        if self.zone is None:
            status[~missing] = NO_ZONE
            return np.zeros(len(wall_us), np.int64), status
        wall_s = wall_us // 1_000_000
        early, late = _offsets(wall_s, self.zone)
        status[~missing & (early < late)] = SKIPPED
        offset = early.copy()
        doubtful = np.flatnonzero(~missing & (early > late))
        self.ambiguous += len(doubtful)
        if self.repeated == "refuse":
            status[doubtful] = TWICE
        elif self.repeated == "second":
            offset[doubtful] = late[doubtful]
        elif self.repeated == "order":
            second = self._second_pass(wall_us[doubtful], series[doubtful])
            offset[doubtful[second]] = late[doubtful[second]]
        return wall_us * 1000 - offset * SECOND_NS, status

    def _second_pass(self, wall_us: Int64Array, series: Int64Array) -> BoolArray:
        """Return which rows belong to the hour's second coming.

        Their series had gone further in it before; or, where there is one row an hour, it had been
        there before. A row that stands twice farther in the hour is just that.
        """
        second = np.zeros(len(wall_us), np.bool_)
        seen = self.passes.seen
        for row, (wall, code) in enumerate(zip(wall_us.tolist(), series.tolist(), strict=True)):
            entered, before, again = seen.get(code, (_LONG_AGO, _LONG_AGO, False))
            if wall - entered > _APART_US:
                entered, again = wall, False
            elif wall < before or wall == before == entered:
                again = True
            seen[code] = (entered, wall, again)
            second[row] = again
        return second

    def _mixed(self, texts: Any, series: Int64Array) -> tuple[Int64Array, npt.NDArray[np.uint8]]:  # noqa: ANN401 - an Arrow array
        """Read texts of several kinds, some of them perhaps no times at all."""
        instants = np.zeros(len(texts), np.int64)
        status = np.full(len(texts), UNREADABLE, np.uint8)
        for pattern, read in (
            (_ZONED, self._zoned),
            (_LOCAL, self._local),
            (_EPOCH, self._epoch),
            (_DOTTED, self._dotted),
        ):
            rows = np.flatnonzero(_matches(texts, pattern))
            if len(rows):
                instants[rows], status[rows] = read(texts.take(pa.array(rows)), series[rows])
        status[_matches(texts, _SLASHED)] = UNCLEAR
        return instants, status

    def _zoned(self, texts: Any, series: Int64Array) -> tuple[Int64Array, npt.NDArray[np.uint8]]:  # noqa: ANN401, ARG002 - an Arrow array; all readers are called alike
        found = _cast(texts, pa.timestamp("us", "UTC"))
        if found is None:
            found = _each(texts, lambda moment: moment.tzinfo is not None)
        return found[0] * 1000, np.where(found[1], UNREADABLE, READ).astype(np.uint8)

    def _local(self, texts: Any, series: Int64Array) -> tuple[Int64Array, npt.NDArray[np.uint8]]:  # noqa: ANN401 - an Arrow array
        found = _cast(texts, pa.timestamp("us"))
        if found is None:
            found = _each(texts, lambda moment: moment.tzinfo is None)
        return self._placed(*found, series)

    @staticmethod
    def _epoch(texts: Any, series: Int64Array) -> tuple[Int64Array, npt.NDArray[np.uint8]]:  # noqa: ANN401, ARG004 - as above
        return epoch(np.asarray(_arrow.cast(texts, pa.float64()), np.float64))

    def _dotted(self, texts: Any, series: Int64Array) -> tuple[Int64Array, npt.NDArray[np.uint8]]:  # noqa: ANN401 - an Arrow array
        spaced = _arrow.replace_substring(texts, "T", " ")
        whole = _arrow.strptime(spaced, "%d.%m.%Y %H:%M:%S", "us", error_is_null=True)
        short = _arrow.strptime(spaced, "%d.%m.%Y %H:%M", "us", error_is_null=True)
        return self._placed(*_microseconds(_arrow.coalesce(whole, short)), series)


def clock(
    zone: str, *, form: str = "", repeated: Repeated = "order", where: str = "--zone"
) -> Clock:
    """Return how times are to be read.

    Raises:
        ConfigError: there is no such zone.
    """
    if not zone:
        return Clock(None, form, repeated)
    try:
        return Clock(ZoneInfo(zone), form, repeated)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = "for example Europe/Berlin or UTC"
        raise ConfigError(f"there is no time zone {zone!r}", where=where, hint=hint) from error


def epoch(numbers: npt.NDArray[np.float64]) -> tuple[Int64Array, npt.NDArray[np.uint8]]:
    """Return instants of Unix time, whose unit shows in its size: s, ms, µs or ns."""
    scale = np.ones(len(numbers))
    for limit in (1e11, 1e14, 1e17):
        scale[np.abs(numbers) > limit] *= 1e3
    instants = np.round(numbers / scale * 1e6)
    wrong = ~((instants >= _EARLIEST_US) & (instants <= _LATEST_US))
    found = np.where(wrong, 0, instants).astype(np.int64) * 1000
    return found, np.where(wrong, UNREADABLE, READ).astype(np.uint8)


def _explain(texts: Any, status: npt.NDArray[np.uint8]) -> None:  # noqa: ANN401 - an Arrow array
    """Tell times that are not there, or far away, from those that are spelled in no known way."""
    rows = np.flatnonzero(status == UNREADABLE)
    for row, text in zip(rows, texts.take(pa.array(rows)).to_pylist(), strict=True):
        if not text:
            status[row] = ABSENT
        elif _is_far(text):
            status[row] = OUTSIDE


def _is_far(text: str) -> bool:
    """Tell whether a text that could not be used is a date of another age."""
    if re.match(_ISO, text):
        return not _FIRST_YEAR <= int(text[:4]) <= _LAST_YEAR
    return re.match(_EPOCH, text) is not None


def _cast(texts: Any, kind: Any) -> tuple[Int64Array, BoolArray] | None:  # noqa: ANN401 - Arrow
    """Return microseconds of texts that are all of a kind, None if one is not."""
    try:
        return _microseconds(_arrow.cast(texts, kind))
    except pa.ArrowInvalid:
        return None


def _microseconds(found: Any) -> tuple[Int64Array, BoolArray]:  # noqa: ANN401 - an Arrow array
    missing = np.asarray(_arrow.is_null(found))
    numbers = np.asarray(_arrow.fill_null(_arrow.cast(found, pa.int64()), 0), np.int64)
    outside = (numbers < _EARLIEST_US) | (numbers > _LATEST_US)
    return np.where(outside, 0, numbers), missing | outside


def _each(
    texts: Any,  # noqa: ANN401 - an Arrow array
    fits: Callable[[datetime], bool],
) -> tuple[Int64Array, BoolArray]:
    """Read texts one by one: where a date is none of the calendar, a whole column cannot be."""
    known: dict[str, int | None] = {}
    for text in set(texts.to_pylist()):
        try:
            moment = datetime.fromisoformat(text.replace(",", "."))
        except ValueError:
            known[text] = None
            continue
        since = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        microseconds = since // timedelta(microseconds=1)
        known[text] = microseconds if fits(moment) else None
    found = [known[text] for text in texts.to_pylist()]
    numbers = np.array([number or 0 for number in found], np.int64)
    outside = (numbers < _EARLIEST_US) | (numbers > _LATEST_US)
    missing = np.array([number is None for number in found], np.bool_) | outside
    return np.where(missing, 0, numbers), missing


def _matches(texts: Any, pattern: str) -> BoolArray:  # noqa: ANN401 - an Arrow array
    return np.asarray(_arrow.match_substring_regex(texts, pattern), np.bool_)


def _offsets(wall_s: Int64Array, zone: ZoneInfo) -> tuple[Int64Array, Int64Array]:
    """Return the offset of local times, s, at their first and at their second coming."""
    quarters, where = np.unique(wall_s // _QUARTER_S, return_inverse=True)
    pairs = [_offset_pair(int(quarter) * _QUARTER_S, zone) for quarter in quarters]
    offsets = np.array(pairs, np.int64).reshape(-1, 2)[where]
    return offsets[:, 0], offsets[:, 1]


def _offset_pair(wall_s: int, zone: ZoneInfo) -> tuple[int, int]:
    wall = datetime.fromtimestamp(wall_s, tz=UTC).replace(tzinfo=zone)
    first, second = wall.utcoffset(), wall.replace(fold=1).utcoffset()
    return _whole_seconds(first), _whole_seconds(second)


def _whole_seconds(offset: timedelta | None) -> int:
    return 0 if offset is None else round(offset.total_seconds())
