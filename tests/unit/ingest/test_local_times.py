# SPDX-License-Identifier: EUPL-1.2
"""Local times of files, above all in the nights in which clocks are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.archives.local_times import (
    ABSENT,
    OUTSIDE,
    READ,
    SKIPPED,
    TWICE,
    UNREADABLE,
    Clock,
    clock,
)
from lamppost.errors import ConfigError
from lamppost.times import SECOND_NS, format_instant

BERLIN = ZoneInfo("Europe/Berlin")
BACK = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"]  # 25 October 2026


def read(times: Clock, *texts: str, series: tuple[int, ...] = ()) -> list[str | int]:
    """Return instants, or what is the matter, of texts."""
    codes = np.array(series or [0] * len(texts))
    instants, status = times.read(pa.array(texts), codes)
    return [
        format_instant(time) if state == READ else int(state)
        for time, state in zip(instants.tolist(), status.tolist(), strict=True)
    ]


def night(texts: list[str]) -> list[str]:
    """Return times of the night in which clocks are put back."""
    return [f"2026-10-25 {text}" for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T10:00:00Z",
        "2026-03-01 11:00:00+01:00",
        "2026-03-01T11:00+0100",
        "2026-03-01 10:00:00+00",
        "2026-03-01T10:00:00.000Z",
        "1772359200",
        "1772359200000",
        "1772359200.0",
    ],
)
def test_times_that_say_where_they_are_need_no_zone(text: str) -> None:
    """Alone, and beside what is no time."""
    assert read(Clock(), text) == ["2026-03-01T10:00:00Z"]
    assert read(Clock(), text, "soon", "2026-02-30T00:00:00Z") == [
        "2026-03-01T10:00:00Z",
        UNREADABLE,
        UNREADABLE,
    ]


@pytest.mark.parametrize("text", ["01.03.2026 11:00", "2026-03-01T11:00:00", "2026-03-01 11:00"])
def test_local_times_are_read_in_the_zone_that_was_named(text: str) -> None:
    """Whatever their spelling."""
    assert read(Clock(BERLIN), text) == ["2026-03-01T10:00:00Z"]


def test_centuries_no_sensor_has_seen_are_no_times() -> None:
    """They do not fit into nanoseconds, and that is what is said of them."""
    assert read(Clock(), "9999-01-01T00:00:00Z", "0001-01-01T00:00:00Z") == [OUTSIDE] * 2
    assert read(Clock(BERLIN), "2600-10-01 03:00", "2026-03-01 11:00", "") == [
        OUTSIDE,
        "2026-03-01T10:00:00Z",
        ABSENT,
    ]


def test_the_hour_that_comes_twice_is_told_by_the_order_of_rows() -> None:
    """A series whose time jumps back has come to the second hour."""
    times = Clock(BERLIN)

    found = read(times, *night(BACK))

    expected = ["23:30", "00:00", "00:30", "01:00", "01:30", "02:00"]
    assert [str(text)[11:16] for text in found] == expected
    assert times.ambiguous == 4


def test_series_go_through_the_hour_each_by_itself() -> None:
    """Rows of two sensors in turn are not a jump back, and parts of a file follow each other."""
    times = Clock(BERLIN)

    found = read(times, *night(["02:30", "02:00", "02:30", "02:45"]), series=(0, 1, 1, 0))
    later = read(times, *night(["02:00", "02:30", "02:00"]), series=(0, 0, 1))

    assert [str(text)[11:16] for text in found] == ["00:30", "00:00", "00:30", "00:45"]
    assert [str(text)[11:16] for text in later] == ["01:00", "01:30", "01:00"]


@pytest.mark.parametrize(
    ("repeated", "expected"),
    [("first", "2026-10-25T00:30:00Z"), ("second", "2026-10-25T01:30:00Z"), ("refuse", TWICE)],
)
def test_the_hour_that_comes_twice_can_be_said(repeated: str, expected: str | int) -> None:
    """And is counted however it is taken."""
    times = clock("Europe/Berlin", repeated=repeated)

    assert read(times, "2026-10-25 02:30:00") == [expected]
    assert times.ambiguous == 1


def test_the_hour_that_is_skipped_does_not_exist() -> None:
    """Nobody can have measured in it."""
    assert read(Clock(BERLIN), "2026-03-29 01:59:59", "2026-03-29 02:30", "2026-03-29 03:00") == [
        "2026-03-29T00:59:59Z",
        SKIPPED,
        "2026-03-29T01:00:00Z",
    ]


def test_a_zone_that_does_not_exist_is_named() -> None:
    """With one that does."""
    with pytest.raises(ConfigError, match=r"Mars/Base.*Europe/Berlin"):
        clock("Mars/Base")


def test_hourly_rows_come_twice_in_the_hour_that_does() -> None:
    """The commonest archive of all; a row that stands twice later in the hour is just that."""
    assert [
        str(text)[11:16] for text in read(Clock(BERLIN), *night(["01:00", "02:00", "02:00"]))
    ] == [
        "23:00",
        "00:00",
        "01:00",
    ]
    doubled = read(Clock(BERLIN), *night(["02:00", "02:10", "02:10", "02:20", "02:00", "02:20"]))
    assert [str(text)[11:16] for text in doubled] == [
        "00:00", "00:10", "00:10", "00:20", "01:00", "01:20",
    ]  # fmt: skip


@given(
    noon=st.integers(11_000, 23_000).map(lambda day: day * 86_400 + 43_200),
    step=st.sampled_from([60, 300, 900, 1800, 3600]),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "UTC"]),
    rows=st.integers(1, 400),
)
@settings(deadline=None, max_examples=150)
def test_a_series_written_in_local_time_comes_back_in_utc(
    noon: int, step: int, zone: str, rows: int
) -> None:
    """Whatever changes of the clock it went through."""
    seconds = [noon + number * step for number in range(rows)]
    place = ZoneInfo(zone)
    local = [datetime.fromtimestamp(at, UTC).astimezone(place) for at in seconds]
    texts = pa.array([f"{at:%Y-%m-%dT%H:%M:%S}" for at in local])

    instants, status = Clock(place).read(texts, np.zeros(rows, np.int64))

    assert (status == READ).all()
    assert instants.tolist() == [at * SECOND_NS for at in seconds]
