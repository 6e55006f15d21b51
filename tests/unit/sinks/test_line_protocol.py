# SPDX-License-Identifier: EUPL-1.2
"""Line protocol says exactly what the outbox said, whatever people call their devices."""

from __future__ import annotations

import math
import re
import struct
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.batch import STATISTICS
from lamppost.log import Entry
from lamppost.series import SeriesKey, qualifiers_text
from lamppost.times import HOUR_NS, MINUTE_NS
from sinks.line_protocol import (
    AGGREGATE_FIELDS,
    INDEX_FIELDS,
    LAYOUT,
    READING_FIELDS,
    LineWriter,
    escape,
)
from sinks.series_names import SeriesNames
from tests.outbox_entries import (
    NAN,
    START_NS,
    aggregates_entry,
    alerts_entry,
    indices_entry,
    readings_entry,
    rules_entry,
    series_entry,
)


class Point(NamedTuple):
    """One line, read back."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, float]
    time: int


def parse(line: str) -> Point:
    """Read one line by the rules of the line protocol, and undo our percent-encoding."""
    assert line.endswith("\n")
    head, fields, time = _split(line[:-1], " ")
    measurement, *pairs = _split(head, ",")
    tags = dict(_pair(pair) for pair in pairs)
    assert len(tags) == len(pairs), "a tag stands twice"
    values = dict(_pair(pair) for pair in _split(fields, ","))
    return Point(measurement, tags, {name: float(text) for name, text in values.items()}, int(time))


def _split(text: str, separator: str) -> list[str]:
    return re.split(rf"(?<!\\){separator}", text)


def _pair(text: str) -> tuple[str, str]:
    name, value = _split(text, "=")
    assert name
    assert value, "an empty tag is not allowed"
    return _plain(name), "" if value == "%" else _plain(value)


def _plain(text: str) -> str:
    unescaped = re.sub(r"\\([ ,=])", r"\1", text)
    assert "\\" not in unescaped, "servers disagree about backslashes"
    return re.sub(r"%([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), unescaped)


def lines_of(entry: Entry, *keys: SeriesKey) -> list[str]:
    """Return the lines of an entry about known series."""
    names = SeriesNames()
    names.learn(series_entry(1, keys or [SeriesKey("aq-017", "pm2_5")]))
    names.learn(rules_entry(2))
    return [line.as_py() for line in LineWriter(names).lines(entry)]


TRICKY = st.text(
    st.one_of(
        st.sampled_from(" ,=\\\"'\n\r\t%;_"),
        st.characters(exclude_categories=["Cs"]),
    ),
    min_size=1,
    max_size=12,
)
QUALIFIERS = st.dictionaries(
    st.sampled_from(["window", "revision", "value"])
    | TRICKY.filter(lambda text: ";" not in text and "=" not in text),
    st.one_of(st.just(""), TRICKY.filter(lambda text: ";" not in text)),
    max_size=3,
)


@given(sensor=TRICKY, quantity=TRICKY, qualifiers=QUALIFIERS)
def test_any_name_reads_back_as_itself(
    sensor: str, quantity: str, qualifiers: dict[str, str]
) -> None:
    """Spaces, commas, quotes, backslashes, line ends and tags of our own names survive."""
    key = SeriesKey(sensor, quantity, qualifiers_text(qualifiers))
    (line,) = lines_of(readings_entry(3), key)
    assert line.count("\n") == 1
    tags = dict(parse(line).tags)
    assert tags.pop("station") == sensor
    assert tags.pop("quantity") == quantity
    ours = [name for kind in LAYOUT.values() for name in (*kind.tags, *kind.fields)]
    reserved = {*ours, "time"}
    expected = {
        f"q_{name}" if name in reserved or name.startswith(("q_", "_")) else name: value
        for name, value in qualifiers.items()
    }
    assert tags == expected


@given(st.lists(st.floats(), min_size=1, max_size=20))
def test_floats_read_back_bit_for_bit(values: list[float]) -> None:
    """A finite number is the same after the trip; one that is not finite is left out."""
    lines = lines_of(readings_entry(3, value=values))
    assert len(lines) == len(values)
    for line, value in zip(lines, values, strict=True):
        fields = parse(line).fields
        if math.isfinite(value):
            assert struct.pack("d", fields["value"]) == struct.pack("d", value)
        else:
            assert "value" not in fields


@given(
    st.lists(
        st.tuples(*(st.floats(allow_infinity=False) for _ in range(5))), min_size=1, max_size=8
    )
)
def test_a_line_holds_exactly_the_fields_that_are_numbers(rows: list[tuple[float, ...]]) -> None:
    """Whatever is missing in one row does not shift anything in another."""
    names = ("value", "score", "expected", "band_low", "band_high")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    lines = lines_of(readings_entry(3, flag=[3], reasons=[6], **columns))
    for line, row in zip(lines, rows, strict=True):
        expected = {n: v for n, v in zip(names, row, strict=True) if not math.isnan(v)}
        assert parse(line).fields == {"flag": 3.0, "reasons": 6.0, **expected}


def test_a_reading_is_a_point_of_its_series_at_its_time() -> None:
    """Measurement, tags, fields and time of a scored reading."""
    key = SeriesKey("aq-017", "no2", "channel=a")
    entry = readings_entry(3, time=[START_NS + 1], score=[2.0], expected=[1.0])
    (line,) = lines_of(entry, key)
    assert parse(line) == Point(
        "readings",
        {"station": "aq-017", "quantity": "no2", "channel": "a"},
        {"value": 1.5, "flag": 1.0, "reasons": 0.0, "score": 2.0, "expected": 1.0},
        START_NS + 1,
    )


def test_aggregates_carry_the_length_of_their_window() -> None:
    """Two lengths of one series are two points at the same start."""
    lines = lines_of(aggregates_entry(3, length=[15 * MINUTE_NS, HOUR_NS], sd=[1.0, NAN]))
    short, long = map(parse, lines)
    assert (short.tags["window"], long.tags["window"]) == ("15min", "1h")
    assert set(short.fields) == set(AGGREGATE_FIELDS) - set(STATISTICS)
    assert set(short.fields) - set(long.fields) == {"sd"}
    assert short.time == long.time == START_NS


def test_days_of_the_city_are_named_as_days() -> None:
    """A day of 24 hours is not the same window as 24 hours in UTC."""
    entry = aggregates_entry(3, length=[24 * HOUR_NS, 24 * HOUR_NS], calendar=[0, 1])

    windows = [parse(line).tags["window"] for line in lines_of(entry)]

    assert windows == ["24h", "day"]


def test_a_statistic_is_a_field_only_where_it_applies() -> None:
    """A column that no row of the entry has is left out of the entry and of every line."""
    points = [parse(line) for line in lines_of(aggregates_entry(3, q50=[12.0, NAN]))]

    assert [point.fields.get("q50") for point in points] == [12.0, None]
    assert "harmonic" not in points[0].fields


def test_indices_are_named_by_the_rules() -> None:
    """The number of an index becomes its name; an index without value has none."""
    lines = lines_of(indices_entry(3, index=[1, 9], value=[51.0, NAN], category=[2, 0]))
    known, unknown = map(parse, lines)
    assert known.tags["index"] == "us_aqi"
    assert set(known.fields) == set(INDEX_FIELDS)
    assert unknown.tags["index"] == "index_9"
    assert "value" not in unknown.fields


@pytest.mark.parametrize(
    ("kind", "active", "acknowledged"),
    [("firing", 1.0, 0.0), ("acknowledged", 1.0, 1.0), ("resolved", 0.0, 0.0)],
)
def test_an_alert_event_says_the_state_it_leads_to(
    kind: str, active: float, acknowledged: float
) -> None:
    """A chart of ``active`` shows when an alert was on."""
    (line,) = lines_of(alerts_entry(3, kind=kind, quantity="", sensor="a b"))
    point = parse(line)
    assert point.tags == {"station": "a b", "rule": "high_pm", "severity": "warning"}
    assert point.fields == {"active": active, "acknowledged": acknowledged}


def test_series_that_appear_later_are_known_at_once() -> None:
    """The prepared tags grow with the table."""
    first, second = SeriesKey("a", "no2"), SeriesKey("b", "no2")
    names = SeriesNames()
    writer = LineWriter(names)
    names.learn(series_entry(1, [first]))
    assert "station=a" in writer.lines(readings_entry(2))[0].as_py()
    names.learn(series_entry(3, [first, second], start=1))
    assert "station=b" in writer.lines(readings_entry(4, series=[1]))[0].as_py()


def test_other_kinds_have_no_lines() -> None:
    """What is not a number over time is not written."""
    assert lines_of(Entry(3, "ledger", START_NS, b"[]")) == []


def test_an_empty_batch_has_no_lines() -> None:
    """Nothing in, nothing out."""
    assert lines_of(readings_entry(3, series=np.empty(0), value=np.empty(0))) == []


def test_every_reading_field_is_written_when_it_is_a_number() -> None:
    """No column of evidence is forgotten."""
    entry = readings_entry(3, score=[1], expected=[1], band_low=[1], band_high=[1], uncertainty=[1])
    assert set(parse(lines_of(entry)[0]).fields) == set(READING_FIELDS)


def test_escaping_leaves_plain_names_alone() -> None:
    """What people see in queries is what they typed."""
    assert escape("aq-017_ö/é:1") == "aq-017_ö/é:1"
