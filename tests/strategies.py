# SPDX-License-Identifier: EUPL-1.2
"""The one set of hypothesis strategies that drives the conformance suites of processors."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from lamppost.batch import AggregateBatch, IndexBatch, JudgedBatch, ReadingBatch
from lamppost.clock_skew import ClockBatch
from lamppost.flags import CORRECTION, MISSING
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS

START_NS = 1_790_000_000 * SECOND_NS // HOUR_NS * HOUR_NS
KEYS = (
    *(
        SeriesKey(sensor, quantity)
        for sensor in ("aq-1", "aq-2")
        for quantity in ("pm2_5", "pm10", "no2", "temperature", "speed", "flow", "raw")
    ),
    SeriesKey("aq-1", "humidity"),
    SeriesKey("aq-9", "humidity"),
    SeriesKey("aq-9", "pm2_5"),
    SeriesKey("aq-9", "pm2_5", "channel=a"),
    SeriesKey("aq-9", "pm2_5", "channel=b"),
    SeriesKey("tr-1", "flow"),
    SeriesKey("tr-1", "occupancy"),
    SeriesKey("tr-1", "speed"),
    SeriesKey("tr-1", "vehicle_count"),
)
KEYS_OF_DERIVATIONS = (
    SeriesKey("aq-9", "pm2_5"),
    *(
        SeriesKey("aq-1", quantity, qualifiers)
        for quantity, qualifiers in (
            ("pm2_5_cf1", "channel=a"),
            ("pm2_5_cf1", "channel=b"),
            ("pm2_5_cf1", ""),
            ("pm2_5", ""),
            ("humidity", ""),
            ("temperature", ""),
            ("flow", "lane=1"),
            ("occupancy", "lane=1"),
            ("vehicle_count", "lane=1"),
            ("speed", "lane=1"),
            ("vehicle_length", "lane=1"),
        )
    ),
)
"""What derivations of the house and of plugins are made from; add what a new one needs."""
FLAGS = (1, 2, 3, 4, 9)

_SEEDS = st.integers(0, 2**32 - 1)
_STEPS_S = (1, 60, 60, 60, 900, 900, 7_200, 90_000)
_VALUES = (0.0, 12.0, 12.0, 12.1, 20.0, 75.0, 300.0, 999.9, -200.0, 6_000.0)
_STRANGE = (float("nan"), float("inf"), float("-inf"), 1e308, -1e308, -0.0)


@dataclass(frozen=True)
class Stream:
    """Readings in order of arrival, each newer than those its series has, and where to cut them.

    Attributes:
        readings: the readings, with arbitrary flags.
        cuts: positions at which the stream is cut into batches.
        stop: a position at which a component is stopped and restored.
        keys: the series that may occur.
    """

    readings: ReadingBatch
    cuts: tuple[int, ...]
    stop: int
    keys: tuple[SeriesKey, ...] = KEYS

    @property
    def series(self) -> SeriesTable:
        """A new table of all series that may occur."""
        return SeriesTable(self.keys)

    def whole(self) -> list[ReadingBatch]:
        """Return the stream as one batch."""
        return [self.readings]

    def pieces(self) -> list[ReadingBatch]:
        """Return the stream cut at ``cuts``; some batches may be empty."""
        return [self.readings.take(slice(*edge)) for edge in self._edges(self.cuts)]

    def singles(self) -> list[ReadingBatch]:
        """Return one batch for each reading."""
        return [self.readings.take(slice(i, i + 1)) for i in range(len(self.readings))]

    def halves(self) -> list[ReadingBatch]:
        """Return what comes before ``stop``, and what comes after."""
        return [self.readings.take(slice(*edge)) for edge in self._edges((self.stop,))]

    def by_series(self) -> ReadingBatch:
        """Return the same readings with the series one after the other."""
        return self.readings.take(np.argsort(self.readings.series, kind="stable"))

    def _edges(self, cuts: tuple[int, ...]) -> Iterator[tuple[int, int]]:
        return itertools.pairwise([0, *sorted(cuts), len(self.readings)])


_Row = tuple[int, int, float, int]


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Draw a stream of readings of a few series: a short strange one, or a long lifelike one."""
    few = draw(st.integers(1, 4))
    rows = draw(
        st.one_of(
            st.lists(_rows(few), max_size=12),
            st.builds(_lifelike, _SEEDS, st.just(few)),
            st.builds(_at_once, _SEEDS, st.just(few)),
        )
    )
    newest = dict.fromkeys(range(few), START_NS)
    times = []
    for code, step_s, _, _ in rows:
        newest[code] += step_s * SECOND_NS
        times.append(newest[code])
    first = draw(st.integers(0, len(KEYS) - few))
    position = st.integers(0, len(rows))
    return Stream(
        readings=_readings([(first + code, value, flag) for code, _, value, flag in rows], times),
        cuts=tuple(draw(st.lists(position, max_size=4))),
        stop=draw(position),
    )


def _rows(few: int) -> st.SearchStrategy[_Row]:
    return st.tuples(
        st.integers(0, few - 1),
        st.sampled_from(_STEPS_S),
        st.one_of(st.sampled_from(_VALUES), st.sampled_from(_STRANGE), st.floats(-50, 400)),
        st.sampled_from(FLAGS),
    )


def _lifelike(seed: int, few: int) -> list[_Row]:
    """Return readings a minute apart with runs, spikes, jumps, gaps and missing values."""
    random = np.random.default_rng(seed)
    size = int(random.integers(40, 120))
    value = np.round(20 + random.normal(0, 1, size), 1)
    value[random.random(size) < 0.05] += random.choice([90.0, 400.0, -300.0])
    start, end = np.sort(random.integers(0, size, 2))
    value[start:end] = random.choice([value[start], 999.9, np.nan, np.inf])
    value[random.integers(0, size) :] += random.choice([0.0, 100.0])
    steps = random.choice([60, 60, 60, 60, 60, 900, 10_000, 90_000], size)
    flags = random.choice([*[1] * 20, *FLAGS], size)
    codes = random.integers(0, few, size)
    columns = (codes.tolist(), steps.tolist(), value.tolist(), flags.tolist())
    return list(zip(*columns, strict=True))


def _at_once(seed: int, few: int) -> list[_Row]:
    """Return messages of one device: readings of several series at the same instants, or nearly."""
    random = np.random.default_rng(seed)
    rows: list[_Row] = []
    for _ in range(int(random.integers(5, 30))):
        step = int(random.choice([30, 60, 60, 60, 900]))
        level = float(random.choice([0.0, 5.0, 60.0, 100.0]))
        for code in random.permutation(few).tolist():
            if random.random() < 0.9:
                value = level + float(random.choice([0.0, 0.0, 1.0, 40.0, np.nan]))
                rows.append((code, step, value, int(random.choice([1, 1, 1, 3, 4]))))
    return rows


def _readings(rows: list[tuple[int, float, int]], times: list[int]) -> ReadingBatch:
    time = np.array(times, np.int64)
    return ReadingBatch(
        series=np.array([row[0] for row in rows], np.int32),
        time=time,
        received=time + SECOND_NS,
        value=np.array([row[1] for row in rows], np.float64),
        flag=np.array([row[2] for row in rows], np.uint8),
        reasons=np.array([4 if row[2] in {3, 4} else 0 for row in rows], np.uint32),
    )


@st.composite
def judged(draw: st.DrawFn) -> JudgedBatch:
    """Draw judged readings of which some are very unusual."""
    readings = draw(streams()).readings
    random = np.random.default_rng(draw(_SEEDS))
    # Scores come in stretches, as they do when something happens.
    levels = random.choice([0.0, 1.0, 8.0, -9.0, np.nan], 1 + len(readings) // 4)
    score = np.repeat(levels, 8)[: len(readings)]
    score = np.where(random.random(len(score)) < 0.1, 0.0, score)
    expected = np.where(np.isnan(score), np.nan, 100.0)
    value = np.where(np.isnan(score), readings.value, 100.0 + 30.0 * score)
    return replace(
        JudgedBatch.unscored(replace(readings, value=value)),
        score=score,
        expected=expected,
        band_low=expected - 10,
        band_high=expected + 10,
    )


@st.composite
def aggregates(draw: st.DrawFn, max_size: int = 80, most: int = 4) -> AggregateBatch:
    """Draw windows of a few series in order, with late corrections of the last hours."""
    random = np.random.default_rng(draw(_SEEDS))
    size = draw(st.integers(0, max_size))
    levels = random.choice([0.0, 30.0, 80.0, 300.0, 600.0, np.nan], 1 + size // 4)
    columns = (
        random.integers(0, draw(st.integers(1, most)), size),
        random.choice([1, 1, 1, 1, 2, 30, 0, -1, -3, -6], size),
        np.repeat(levels, 8)[:size] + random.normal(0, 3, size),
        random.choice([1.0, 1.0, 1.0, 0.75, 0.5, 0.0], size),
        random.choice([HOUR_NS, HOUR_NS, 15 * MINUTE_NS], size),
    )
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    newest: dict[int, int] = {}
    revisions: dict[tuple[int, int, int], int] = {}
    starts, revision = [], []
    for code, step, _, _, length in rows:
        known = newest.get(code, START_NS)
        window = known // length + step
        newest[code] = max(known, window * length)
        revisions[code, length, window] = revisions.get((code, length, window), -1) + 1
        starts.append(window * length)
        revision.append(revisions[code, length, window])
    return _aggregates(rows, starts, revision)


def _aggregates(
    rows: list[tuple[int, int, float, float, int]], starts: list[int], revision: list[int]
) -> AggregateBatch:
    mean = np.array([row[2] for row in rows], np.float64)
    coverage = np.array([row[3] for row in rows], np.float64)
    count = np.where(np.isnan(mean), 0, np.ceil(coverage * 60)).astype(np.int64)
    return AggregateBatch(
        series=np.array([row[0] for row in rows], np.int32),
        start=np.array(starts, np.int64),
        length=np.array([row[4] for row in rows], np.int64),
        calendar=np.zeros(len(rows), np.uint8),
        revision=np.array(revision, np.int32),
        count=count,
        expected=np.full(len(rows), 60.0),
        coverage=coverage,
        mean=mean,
        min=mean,
        max=mean,
        sd=np.full(len(rows), np.nan),
        total=mean * count,
        suspect=np.zeros(len(rows), np.int64),
        excluded=np.zeros(len(rows), np.int64),
        flag=np.where(np.isnan(mean), 9, np.where(coverage < 0.75, 3, 1)).astype(np.uint8),
    )


@st.composite
def indices(draw: st.DrawFn) -> IndexBatch:
    """Draw values of health indices of a few series, hour by hour."""
    row = st.tuples(st.integers(0, 1), st.sampled_from([20.0, 120.0, 180.0, float("nan")]))
    rows = draw(st.lists(row, max_size=20))
    value = np.array([row[1] for row in rows], np.float64)
    zeros = np.zeros(len(rows), np.uint8)
    return IndexBatch(
        series=np.array([row[0] for row in rows], np.int32),
        index=zeros + 1,
        end=START_NS + np.arange(len(rows), dtype=np.int64) * HOUR_NS,
        revision=np.zeros(len(rows), np.int32),
        concentration=value,
        value=value,
        category=zeros,
        coverage=np.ones(len(rows)),
        beyond=zeros,
    )


@st.composite
def derivation_streams(draw: st.DrawFn) -> Stream:
    """Draw a stream of what derivations need together: late, out of order, repeated, corrected."""
    random = np.random.default_rng(draw(_SEEDS))
    size = draw(st.integers(0, 60))
    codes = random.integers(0, len(KEYS_OF_DERIVATIONS), size)
    # Some hours after one another, some days, or messages close together.
    longest = random.choice([120, 4_000, 90_000])
    step_s = random.choice([0, 0, 0, 1, 60, 60, 120, 900, longest], size)
    time = (
        START_NS + (np.cumsum(step_s) - random.choice([0, 0, 0, 60, 400, 4000], size)) * SECOND_NS
    )
    # Sent again for the same instant, with another number, is a correction.
    known = set()
    reasons = np.zeros(size, np.uint32)
    for row, key in enumerate(zip(codes.tolist(), time.tolist(), strict=True)):
        reasons[row] = CORRECTION.mask if key in known else 0
        known.add(key)
    value = random.choice([0.0, 12.0, 30.0, 55.5, 99.9, 230.0, 700.0, np.nan, np.inf, -3.0], size)
    flag = random.choice([1, 1, 1, 1, 1, 2, 3, 4], size).astype(np.uint8)
    flag[np.isnan(value)] = MISSING
    reasons[flag != 1] |= 1
    position = st.integers(0, size)
    readings = ReadingBatch(codes.astype(np.int32), time, time + SECOND_NS, value, flag, reasons)
    cuts = tuple(draw(st.lists(position, max_size=4)))
    return Stream(readings, cuts, draw(position), KEYS_OF_DERIVATIONS)


@st.composite
def clocks(draw: st.DrawFn) -> ClockBatch:
    """Draw estimates of the clocks of a few series: right, off by seconds, hours, or decades."""
    seconds = st.sampled_from([0, 1, -7, 45, -90, 300, -3_600, 19_800, 1_790_000_000])
    row = st.tuples(seconds, st.sampled_from([0, 1, 60]), st.integers(3, 5))
    rows = draw(st.dictionaries(st.integers(0, len(KEYS) - 1), row, max_size=6))
    columns = list(zip(*[rows[code] for code in sorted(rows)], strict=True)) or [(), (), ()]
    return ClockBatch(
        series=np.array(sorted(rows), np.int32),
        skew=np.array(columns[0], np.int64) * SECOND_NS,
        spread=np.array(columns[1], np.int64) * SECOND_NS,
        readings=np.array(columns[2], np.int32),
        until=np.full(len(rows), START_NS, np.int64),
    )
