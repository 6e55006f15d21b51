# SPDX-License-Identifier: EUPL-1.2
"""Sinks know what codes mean, before and after a restart."""

from __future__ import annotations

import pytest

from lamppost.log import Entry
from lamppost.series import SeriesKey
from sinks.series_names import NamedSink, SeriesNames, unit_of
from tests.outbox_entries import START_NS, readings_entry, rules_entry, series_entry, stations_entry

KEYS = [SeriesKey("a", "no2"), SeriesKey("b", "pm2_5")]


def test_names_are_learnt_and_other_entries_are_not_names() -> None:
    """Only series, stations and rules say what things are called."""
    names = SeriesNames()
    assert names.learn(series_entry(1, KEYS))
    assert names.learn(stations_entry(2, {"sensor": "a", "latitude": 1, "longitude": 2}))
    assert names.learn(rules_entry(3))
    assert not names.learn(readings_entry(4))
    assert not names.learn(Entry(5, "from_the_future", START_NS, b""))
    assert list(names.series) == KEYS
    assert names.stations["a"].longitude == 2
    assert names.index_name(1) == "us_aqi"
    assert names.policy() == "abcdef012345"


def test_learning_twice_equals_learning_once() -> None:
    """An entry may be delivered again after a crash."""
    names = SeriesNames()
    for _ in range(2):
        names.learn(series_entry(1, KEYS))
    assert list(names.series) == KEYS


def test_a_primed_sink_goes_on_where_the_names_end() -> None:
    """Series told before the position and after it make one table."""
    sink = NamedSink()
    sink.prime([series_entry(1, KEYS[:1])])
    sink.names.learn(series_entry(9, KEYS, start=1))
    assert list(sink.names.series) == KEYS


def test_a_sink_that_was_not_primed_notices() -> None:
    """Codes that begin in the middle are never taken for others."""
    with pytest.raises(ValueError, match="b/pm2_5 is 0 here and 1 in the batch"):
        SeriesNames().learn(series_entry(9, KEYS, start=1))


def test_an_unknown_quantity_has_no_unit() -> None:
    """The unit is never guessed."""
    assert unit_of("pm2_5") == "ug/m3"
    assert unit_of("invented") == ""
