# SPDX-License-Identifier: EUPL-1.2
"""Times as recordings write them: ISO, day/month/year or epoch, parsed a column at a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from .calendar_time import SECOND_NS
from .noise import Instants

Matches = list[re.Match[str]]

_MINUTE_NS = 60 * SECOND_NS
_LARGEST_EPOCH_SECONDS = 1e11

_ISO = re.compile(
    r"(?P<wall>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?"
)
_DAY_FIRST = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})[ T](\d{1,2}):(\d\d)(?::(\d\d))?")
_EPOCH = re.compile(r"\d{9,13}(\.\d+)?")


class UnreadableTime(ValueError):
    """A time that fits none of the known forms.

    Attributes:
        row: position of the cell in its column, counted from 0.
    """

    def __init__(self, row: int, text: str) -> None:
        """Keep the position apart from the text."""
        super().__init__(f"cannot read the time {text!r}")
        self.row = row


def parse_times(texts: list[str], zone: ZoneInfo) -> Instants:
    """Return instants in ns UTC; times without a zone of their own are taken in `zone`.

    The first cell decides the form of the whole column. A local hour that a clock change repeats
    is taken the first time; one that it skips is read with the offset before the change.

    Raises:
        UnreadableTime: for the first cell that does not have the form.

    >>> parse_times(["10/03/2004 18:00:00"], ZoneInfo("Europe/Rome")).tolist()
    [1078938000000000000]
    """
    if not texts:
        return np.empty(0, dtype=np.int64)
    for form, parse in ((_EPOCH, _epoch), (_DAY_FIRST, _day_first), (_ISO, _iso)):
        if form.fullmatch(texts[0]):
            return parse(_matches(form, texts), zone)
    raise UnreadableTime(0, texts[0])


def _matches(form: re.Pattern[str], texts: list[str]) -> Matches:
    matches: Matches = []
    for row, text in enumerate(texts):
        match = form.fullmatch(text)
        if match is None:
            raise UnreadableTime(row, text)
        matches.append(match)
    return matches


def _epoch(cells: Matches, _zone: ZoneInfo) -> Instants:
    seconds = np.array([cell[0] for cell in cells], dtype=np.float64)
    seconds = np.where(seconds > _LARGEST_EPOCH_SECONDS, seconds / 1e3, seconds)
    milliseconds: Instants = np.round(seconds * 1e3).astype(np.int64)
    return milliseconds * 1_000_000


def _day_first(cells: Matches, zone: ZoneInfo) -> Instants:
    fields = [[int(part or 0) for part in cell.groups()] for cell in cells]
    day, month, year, hour, minute, second = np.array(fields, dtype=np.int64).T
    months = (year - 1970) * 12 + month - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]")
    days = first + (day - 1).astype("timedelta64[D]")
    wrong = days.astype("datetime64[M]").astype(np.int64) != months
    wrong |= (month < 1) | (month > 12) | (hour > 23) | (minute > 59) | (second > 59)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UnreadableTime(row, cells[row][0])
    seconds = days.astype(np.int64) * 86_400 + hour * 3_600 + minute * 60 + second
    return _to_utc(seconds * SECOND_NS, zone)


def _iso(cells: Matches, zone: ZoneInfo) -> Instants:
    wall = _wall_clock([cell["wall"] for cell in cells])
    zoned = [cell["zone"] is not None for cell in cells]
    if not any(zoned):
        return _to_utc(wall, zone)
    if not all(zoned):
        row = zoned.index(False)
        raise UnreadableTime(row, cells[row][0])
    offsets = np.array([_offset_minutes(cell["zone"]) for cell in cells], dtype=np.int64)
    return wall - offsets * _MINUTE_NS


def _offset_minutes(zone: str) -> int:
    if zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return -minutes if zone[0] == "-" else minutes


def _wall_clock(texts: list[str]) -> Instants:
    try:
        return np.array(texts, dtype="datetime64[ns]").astype(np.int64)
    except ValueError:
        for row, text in enumerate(texts):
            _demand_date(row, text)
        raise


def _demand_date(row: int, text: str) -> None:
    try:
        np.datetime64(text, "ns")
    except ValueError:
        raise UnreadableTime(row, text) from None


def _to_utc(wall_ns: Instants, zone: ZoneInfo) -> Instants:
    """Take a zone's offset off, worked out once for each different quarter of an hour."""
    quarter_ns = 15 * _MINUTE_NS
    quarters, where = np.unique(wall_ns // quarter_ns, return_inverse=True)
    offsets = [_offset_s(int(quarter) * 900, zone) for quarter in quarters]
    return wall_ns - np.array(offsets, dtype=np.int64)[where] * SECOND_NS


def _offset_s(wall_s: int, zone: ZoneInfo) -> int:
    wall = datetime.fromtimestamp(wall_s, tz=UTC).replace(tzinfo=zone)
    offset = wall.utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
