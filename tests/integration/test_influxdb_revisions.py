# SPDX-License-Identifier: EUPL-1.2
"""What a real storage engine holds equals what the outbox said last, whatever was replayed."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamppost.log import Entry
from lamppost.series import SeriesKey, qualifiers_text
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS
from sinks.influxdb import InfluxdbSink, InfluxSettings
from sinks.line_protocol import AGGREGATE_FIELDS, stored_tags
from tests.influx_front import InfluxFront
from tests.outbox_entries import (
    NAN,
    START_NS,
    aggregates_entry,
    indices_entry,
    readings_entry,
    rules_entry,
    series_entry,
)
from tests.services import InfluxDB, Points, VictoriaMetrics

pytestmark = pytest.mark.integration
KEY = SeriesKey("aq-017", "pm2_5")
Rows = list[tuple[int, int, list[float]]]
_numbers = itertools.count()


@pytest.fixture
def front(influxdb: InfluxDB) -> Iterator[InfluxFront]:
    """Return the v2 API over an empty bucket of a real InfluxDB."""
    with InfluxFront(influxdb, retention_s={fresh(): 0}) as opened:
        yield opened


def fresh() -> str:
    """Return the name of a bucket nobody has used."""
    return f"bucket {next(_numbers)} {time.monotonic_ns()}"


def write(front: InfluxFront, entries: Sequence[Entry], *keys: SeriesKey, **other: Any) -> Points:
    """Write each entry by itself with a sink of its own and return what the database holds."""
    assert front.database is not None
    (bucket,) = front.retention_s
    sink = InfluxdbSink(InfluxSettings(url=front.url, bucket=bucket, token="secret", **other))
    sink.prime([series_entry(1, keys or [KEY]), rules_entry(2)])
    try:
        for entry in entries:
            sink.write([entry], entry.seq)
    finally:
        sink.close()
    return front.database.points(bucket)


def fields(points: Points) -> dict[str, float]:
    """Return the fields of the only point."""
    (found,) = points.values()
    return found


def test_a_revision_replaces_every_field(front: InfluxFront) -> None:
    """Numbers of the former revision are gone, those that are no number any more as well."""
    former = aggregates_entry(3, mean=[12.0], q50=[11.0], harmonic=[10.0])
    latter = aggregates_entry(
        4, revision=[1], count=0, flag=9, mean=NAN, min=NAN, max=NAN, sd=NAN, total=NAN
    )

    found = fields(write(front, [former, latter]))

    assert set(found) == {
        "count",
        "expected",
        "coverage",
        "suspect",
        "excluded",
        "flag",
        "revision",
    }
    assert (found["count"], found["flag"], found["revision"]) == (0, 9, 1)


def test_without_deletion_the_engine_would_keep_the_withdrawn_number(front: InfluxFront) -> None:
    """The reason for all this: the union of old and new fields."""
    front.deletes = False
    latter = aggregates_entry(4, revision=[1], count=0, mean=NAN)

    found = fields(write(front, [aggregates_entry(3, mean=[12.0]), latter]))

    assert (found["count"], found["mean"]) == (0, 12.0)


def test_a_server_that_cannot_delete_gets_everything_else(
    front: InfluxFront, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and the new numbers are there."""
    front.deletes = False
    later = [aggregates_entry(seq, revision=[seq], mean=NAN, count=seq) for seq in (4, 5, 6)]

    found = fields(write(front, [aggregates_entry(3), *later]))

    assert found["count"] == 6
    assert caplog.text.count("influxdb_fields_stay") == 1


def test_one_call_with_all_revisions_ends_with_the_last(front: InfluxFront) -> None:
    """Within one batch, too, a number is withdrawn after it was written."""
    assert front.database is not None
    (bucket,) = front.retention_s
    entries = [
        aggregates_entry(3, start=START_NS + HOUR_NS * np.arange(5)),
        aggregates_entry(4, start=START_NS + HOUR_NS * np.arange(3), revision=1, mean=NAN),
        aggregates_entry(5, start=[START_NS], revision=[2], mean=[7.5]),
    ]
    sink = InfluxdbSink(InfluxSettings(url=front.url, bucket=bucket, token="secret"))
    sink.prime([series_entry(1, [KEY]), rules_entry(2)])
    sink.write(entries, 5)
    sink.close()

    points = front.database.points(bucket)

    means = {at: found.get("mean") for (_, _, at), found in points.items()}
    assert [means[START_NS + HOUR_NS * hour] for hour in range(5)] == [
        7.5,
        None,
        None,
        12.25,
        12.25,
    ]


def test_a_reading_corrected_twice_in_one_entry_is_what_it_was_last(front: InfluxFront) -> None:
    """Both rows are about one point, and the second has no number."""
    entry = readings_entry(3, value=[5.0, NAN], revision=[2, 2], flag=[1, 9])

    assert fields(write(front, [entry])) == {"flag": 9, "reasons": 0}


def test_evidence_about_a_corrected_number_goes_with_it(front: InfluxFront) -> None:
    """A score of the former number does not stay beside the new one."""
    former = readings_entry(3, value=[50.0], score=[9.0], expected=[10.0])
    latter = readings_entry(4, value=[11.0], revision=[2])

    assert fields(write(front, [former, latter])) == {"value": 11, "flag": 1, "reasons": 0}


def test_an_amended_verdict_deletes_nothing(front: InfluxFront) -> None:
    """It is about the same number: its evidence stays, and it costs no request."""
    former = readings_entry(3, value=[50.0], score=[9.0])
    latter = readings_entry(4, value=[50.0], flag=[3], reasons=[4], revision=[1])

    found = fields(write(front, [former, latter]))

    assert found == {"value": 50, "flag": 3, "reasons": 4, "score": 9}
    assert front.deleted == []


def test_an_index_without_value_any_more_has_none(front: InfluxFront) -> None:
    """Revised hours can take the value of an index away."""
    latter = indices_entry(4, revision=[1], value=NAN, concentration=NAN, category=0)

    found = fields(write(front, [indices_entry(3), latter]))

    assert "value" not in found
    assert found["category"] == 0


def test_neighbours_of_a_withdrawn_point_stay(front: InfluxFront) -> None:
    """Other windows, stations and instants are not touched, nor a series with more tags."""
    keys = [KEY, SeriesKey("aq-018", "pm2_5"), SeriesKey("aq-017", "pm2_5", "channel=a")]
    around = aggregates_entry(
        3,
        series=[0, 0, 0, 1, 2],
        start=[START_NS, START_NS + HOUR_NS, START_NS, START_NS, START_NS],
        length=[HOUR_NS, HOUR_NS, MINUTE_NS, HOUR_NS, HOUR_NS],
    )
    before = write(front, [around], *keys)
    after = write(front, [aggregates_entry(4, revision=[1], mean=NAN)], *keys)

    # Its tags are part of another's, so nothing may be deleted by them.
    assert front.deleted == []
    assert {key for key in before if before[key] != after[key]} == {
        ("aggregates", frozenset({*stored_tags(KEY), ("window", "1h")}), START_NS)
    }
    revised = write(front, [aggregates_entry(5, series=[1], revision=[1], mean=NAN)], *keys)
    assert len(front.deleted) == 1
    assert len(revised) == len(after)


def test_statistics_that_never_apply_cause_no_deletion(front: InfluxFront) -> None:
    """A field no point of a quantity has is not missed in a revision."""
    write(front, [aggregates_entry(3), aggregates_entry(4, revision=[1], mean=[13.0])])

    assert front.deleted == []


def test_a_statistic_that_applied_is_missed(front: InfluxFront) -> None:
    """A harmonic mean that a zero has made impossible does not stay."""
    entries = [
        aggregates_entry(3, harmonic=[9.0]),
        aggregates_entry(4, revision=[1], mean=[13.0]),
    ]

    found = fields(write(front, entries))

    assert "harmonic" not in found
    assert found["mean"] == 13


def test_days_months_and_years_are_windows_like_others(front: InfluxFront) -> None:
    """Calendar windows of one start are told apart, and a day is a day however long it is."""
    entry = aggregates_entry(
        3,
        start=[START_NS] * 4 + [START_NS + DAY_NS],
        length=np.array([24, 24, 30 * 24, 365 * 24, 23]) * HOUR_NS,
        calendar=[0, 1, 2, 3, 1],
    )

    points = write(front, [entry])

    windows = sorted(dict(tags)["window"] for _, tags, _ in points)
    assert windows == ["24h", "day", "day", "month", "year"]


def test_minutes_and_readings_can_have_buckets_of_their_own(influxdb: InfluxDB) -> None:
    """Each row is in the bucket that keeps it as long as it should."""
    names = [fresh(), fresh(), fresh()]
    entries = [
        readings_entry(3),
        aggregates_entry(4, length=[MINUTE_NS, HOUR_NS, 15 * MINUTE_NS, DAY_NS]),
        indices_entry(5),
        aggregates_entry(6, length=[MINUTE_NS, HOUR_NS], revision=1, mean=NAN),
    ]
    with InfluxFront(influxdb) as front:
        sink = InfluxdbSink(
            InfluxSettings(
                url=front.url,
                token="secret",
                bucket=names[0],
                readings_bucket=names[1],
                readings_days=7,
                minutes_bucket=names[2],
                minutes_days=30.5,
            )
        )
        sink.prime([series_entry(1, [KEY]), rules_entry(2)])
        tally = sink.write(entries, 6)
        sink.close()

    assert front.retention_s == dict(zip(names, (0, 7 * 86_400, 2_635_200), strict=True))
    long, raw, short = (influxdb.points(name) for name in names)
    assert {(name, dict(tags).get("window")) for name, tags, _ in long} == {
        ("aggregates", "1h"),
        ("aggregates", "24h"),
        ("indices", None),
    }
    assert {dict(tags)["window"] for _, tags, _ in short} == {"1min", "15min"}
    assert {name for name, _, _ in raw} == {"readings"}
    assert tally is not None
    assert sum(tally.stored.values()) == 1
    assert [("mean" in found) for found in short.values()].count(False) == 1


# ---------------------------------------------------------------- whatever people call things

_TEXT = st.text(
    st.one_of(st.sampled_from(" ,=\\\"'\n\t%_;"), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=8,
)
_KEYS = st.builds(
    SeriesKey,
    _TEXT,
    _TEXT,
    st.dictionaries(
        _TEXT.filter(lambda text: not set(";=") & set(text)),
        _TEXT.filter(lambda text: ";" not in text),
        max_size=2,
    ).map(qualifiers_text),
)
_TIMES = st.one_of(
    st.integers(-(2**63) + 2, 2**63 - 2), st.integers(START_NS - 10**9, START_NS + 10**9)
)
_FLOATS = st.one_of(st.floats(), st.just(NAN), st.sampled_from([5e-324, -0.0, 1.7e308, 1 / 3]))
_VALUED = ("mean", "min", "max", "sd", "total", "q50", "harmonic", "expected", "coverage")
_ROWS = st.lists(
    st.tuples(st.integers(0, 2), _TIMES, st.lists(_FLOATS, min_size=9, max_size=9)),
    min_size=1,
    max_size=6,
    unique_by=lambda row: row[:2],
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    keys=st.lists(_KEYS, min_size=3, max_size=3, unique_by=lambda key: key.sensor),
    first=_ROWS,
    again=st.lists(st.lists(_FLOATS, min_size=9, max_size=9), min_size=6, max_size=6),
)
def test_the_database_holds_the_last_revision_whatever_is_written_and_replayed(
    influxdb: InfluxDB, keys: list[SeriesKey], first: Rows, again: list[list[float]]
) -> None:
    """Odd names, extreme numbers and times before 1970 come back bit for bit, and nothing else."""
    latter = [(code, at, values) for (code, at, _), values in zip(first, again, strict=False)]
    entries = [_aggregates(3, first, 0), _aggregates(4, latter, 1)]
    with InfluxFront(influxdb, retention_s={fresh(): 0}) as front:
        write(front, [entries[0], entries[0]], *keys)
        found = write(front, [*entries, *entries], *keys)

    assert found == _expected(keys, latter)
    signs = [math.copysign(1, value) for at in found for _, value in sorted(found[at].items())]
    expected = _expected(keys, latter)
    assert signs == [
        math.copysign(1, value) for at in found for _, value in sorted(expected[at].items())
    ]


def _aggregates(seq: int, rows: Rows, revision: int) -> Entry:
    columns = dict(zip(_VALUED, zip(*(values for *_, values in rows), strict=True), strict=True))
    return aggregates_entry(
        seq,
        series=[code for code, *_ in rows],
        start=[at for _, at, _ in rows],
        revision=revision,
        **{name: list(column) for name, column in columns.items()},
    )


def _expected(keys: list[SeriesKey], rows: Rows) -> Points:
    points: Points = {}
    whole = {"count": 60, "suspect": 0, "excluded": 0, "flag": 1, "revision": 1}
    assert set(whole) | set(_VALUED) <= set(AGGREGATE_FIELDS)
    for code, at, values in rows:
        named = zip(_VALUED, values, strict=True)
        finite = {name: value for name, value in named if math.isfinite(value)}
        tags = frozenset({*stored_tags(keys[code]), ("window", "1h")})
        points["aggregates", tags, at] = {**whole, **finite}
    return points


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    keys=st.lists(_KEYS, min_size=2, max_size=2, unique=True),
    values=st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=6),
    revised=st.integers(-(10**6), 10**6),
)
def test_victoria_metrics_holds_what_was_written_and_every_revision(
    victoria_metrics: VictoriaMetrics, keys: list[SeriesKey], values: list[int], revised: int
) -> None:
    """Replays add nothing new; a revision stands beside the former, as it overwrites nothing."""
    mark = f"m{next(_numbers)}_{time.monotonic_ns()}"
    named = [SeriesKey(f"{mark}{key.sensor}", *key[1:]) for key in keys]
    starts = START_NS - HOUR_NS * np.arange(len(values))
    means = np.array(values) / 1000
    former = aggregates_entry(3, series=[1], start=starts, mean=means)
    latter = aggregates_entry(4, series=[1], start=starts[:1], mean=[revised / 1000], revision=1)
    sink = InfluxdbSink(InfluxSettings(url=victoria_metrics.url))
    sink.prime([series_entry(1, named), rules_entry(2)])
    for entry in (former, former, former, latter, latter):
        sink.write([entry], entry.seq)
    sink.close()

    # By the mark, because a selector has rules of its own about what stands in a name.
    (series,) = victoria_metrics.query(f'aggregates_mean{{station=~"{mark}.*"}}')

    tags = {"__name__": "aggregates_mean", "window": "1h", **dict(stored_tags(named[1]))}
    assert series["metric"] == tags
    pairs = set(zip(series["timestamps"], series["values"], strict=True))
    expected = set(zip((starts // 10**6).tolist(), means.tolist(), strict=True))
    assert pairs == expected | {(int(starts[0]) // 10**6, revised / 1000)}
