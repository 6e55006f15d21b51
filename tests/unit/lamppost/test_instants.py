# SPDX-License-Identifier: EUPL-1.2
"""Instants in bulk are those one by one, whatever is among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.instants import parse_instants
from lamppost.times import BAD_TIME, NO_TIME, format_instant, parse_instant

from .strategies import LAW

# 1900 to 2200.
SECONDS = st.integers(-2_208_988_800, 7_258_118_400)
MILLISECONDS = st.integers(-2_208_988_800 * 1000, 7_258_118_400 * 1000)
PLAIN = st.one_of(
    SECONDS.map(lambda second: format_instant(second * 10**9)),
    MILLISECONDS.map(lambda milli: format_instant(milli * 10**6)),
)
# Close to the usual spellings, and mostly none of them.
NEARLY = st.from_regex(
    r"\A(18|19|20|21|22)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][09]:0[0-9](\.[0-9]{3})?Z?\Z"
)
STAMPS = st.one_of(PLAIN, NEARLY, st.text(max_size=24), st.floats(), st.integers(0, 2**33))


@LAW
@given(st.one_of(st.lists(PLAIN), st.lists(NEARLY), st.lists(STAMPS)))
def test_instants_in_bulk_are_the_instants_one_by_one(stamps: list[str | float]) -> None:
    """Whatever is among them."""
    assert parse_instants(stamps).tolist() == [parse_instant(stamp) for stamp in stamps]


@pytest.mark.parametrize("day", ["2024-02-29", "2100-02-28", "2025-02-29", "2026-04-31"])
def test_the_calendar_holds_in_bulk(day: str) -> None:
    """Leap days are days, others are no time."""
    stamps = [f"{day}T12:00:{second:02d}Z" for second in range(9)]

    assert parse_instants(stamps).tolist() == [parse_instant(stamp) for stamp in stamps]


def test_texts_do_not_lean_on_their_neighbours() -> None:
    """Lengths that add up are not lengths that fit."""
    stamps = ["2026-11-21T21:00:00", "Z2026-11-21T21:00:00Z"]

    assert parse_instants(stamps).tolist() == [NO_TIME, BAD_TIME]
