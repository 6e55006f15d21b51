# SPDX-License-Identifier: EUPL-1.2
"""Instants survive the way to text and back, and no text is taken for an instant it is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.times import (
    BAD_TIME,
    HOUR_NS,
    MINUTE_NS,
    NO_TIME,
    SECOND_NS,
    asked_instant,
    format_instant,
    format_length,
    is_instant,
    parse_instant,
)

from .strategies import LAW

# 1900 to 2200, whole microseconds.
MICROSECONDS = st.integers(-2_208_988_800 * 10**6, 7_258_118_400 * 10**6)


@LAW
@given(MICROSECONDS)
def test_an_instant_survives_the_way_to_text_and_back(microseconds: int) -> None:
    """To the microsecond, before and after 1970."""
    instant = microseconds * 1000

    assert parse_instant(format_instant(instant)) == instant


@LAW
@given(MICROSECONDS)
def test_small_letters_are_as_good_as_capitals(microseconds: int) -> None:
    """RFC 3339, section 5.6: T and Z may also be small."""
    text = format_instant(microseconds * 1000)

    assert parse_instant(text.lower()) == parse_instant(text)
    assert parse_instant("yesterday at z") == BAD_TIME


@LAW
@given(MICROSECONDS, st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_the_zone_a_text_is_written_in_does_not_matter(microseconds: int, minutes: int) -> None:
    """One instant has one number, however many ways there are to write it."""
    zone = timezone(timedelta(minutes=minutes))
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)

    assert parse_instant(moment.astimezone(zone).isoformat()) == microseconds * 1000


@LAW
@given(st.integers(-2_208_988_800, 2**32))
def test_whole_unix_seconds_are_exact(seconds: int) -> None:
    """As a whole number and, until the year 2106, as a float."""
    assert parse_instant(seconds) == seconds * SECOND_NS
    assert parse_instant(float(seconds)) == seconds * SECOND_NS


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1_000),
        ("1969-12-31T23:59:59.5Z", -SECOND_NS // 2),
        ("2026-11-21T22:00:00+01:00", 1_795_294_800 * SECOND_NS),
        ("2026-11-21T21:00:00Z", 1_795_294_800 * SECOND_NS),
        ("1900-01-01T00:00:00Z", -2_208_988_800 * SECOND_NS),
        ("2200-01-01T00:00:00Z", 7_258_118_400 * SECOND_NS),
    ],
)
def test_an_rfc_3339_text_is_read(text: str, instant: int) -> None:
    """The bounds of the range are inside it."""
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "value",
    [
        "21:00",
        "now",
        "1795294800",
        "2026-02-30T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "1899-12-31T23:59:59Z",
        "2200-01-01T00:00:01Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        float("nan"),
        float("inf"),
        float("-inf"),
        10**400,
        1_795_294_800_000,
    ],
)
def test_what_cannot_be_true_is_a_bad_time(value: str | float) -> None:
    """A non-existing day, milliseconds and numbers beyond all bounds."""
    assert parse_instant(value) == BAD_TIME
    assert not is_instant(parse_instant(value))


@pytest.mark.parametrize("value", ["2026-11-21T21:00:00", "2026-11-21", ""])
def test_a_local_time_is_no_time(value: str) -> None:
    """It is never taken for UTC, and never held against the device's clock."""
    assert parse_instant(value) == NO_TIME
    assert not is_instant(parse_instant(value))


@LAW
@given(st.text() | st.floats() | st.integers())
def test_no_value_whatever_raises(value: str | float) -> None:
    """Each is an instant of 1900 to 2200, or none."""
    instant = parse_instant(value)

    assert instant in {NO_TIME, BAD_TIME} or -2_208_988_800 <= instant / SECOND_NS <= 7_258_118_400


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (250 * 10**6, "1970-01-01T00:00:00.250Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (1_795_294_800 * SECOND_NS, "2026-11-21T21:00:00Z"),
    ],
)
def test_a_text_has_as_many_decimals_as_it_needs(instant: int, text: str) -> None:
    """None, three or nine."""
    assert format_instant(instant) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (MINUTE_NS, "1min"),
        (90 * MINUTE_NS, "90min"),
        (HOUR_NS, "1h"),
        (24 * HOUR_NS, "24h"),
        (10 * SECOND_NS, "10s"),
        (SECOND_NS // 2, "0.5s"),
    ],
)
def test_a_duration_has_the_name_of_its_largest_whole_unit(length: int, text: str) -> None:
    """Windows are called by these names in every export."""
    assert format_length(length) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1677-01-01T00:00:00Z", "'1677-01-01T00:00:00Z' lies outside 1900 to 2200"),
        ("2263-01-01T00:00:00+02:00", "lies outside 1900 to 2200"),
        ("2026-11-21T21:00:00", "has no time zone; an instant with zone is needed"),
        ("yesterday", "is no date and time; an instant with zone is needed, such as"),
        ("", "'' is no date and time"),
    ],
)
def test_what_is_wrong_with_an_instant_somebody_typed_is_said(text: str, problem: str) -> None:
    """Too far away is another mistake than a zone that is lacking."""
    with pytest.raises(ValueError, match=problem):
        asked_instant(text)


def test_an_instant_somebody_typed_is_that_instant() -> None:
    """As it is everywhere else."""
    assert asked_instant("1970-01-01T00:00:01Z") == SECOND_NS
