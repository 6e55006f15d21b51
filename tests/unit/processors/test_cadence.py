# SPDX-License-Identifier: EUPL-1.2
"""How often series report, against the rule applied reading by reading."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lamppost.shelf import MemoryShelf
from lamppost.times import DAY_NS, SECOND_NS
from processors.windows._paces import Paces
from processors.windows._rows import RowArray, ordered
from processors.windows._statistics import RAW
from processors.windows._table import Table
from tests.unit.lamppost.strategies import LAW

DEFAULT_S, WEEK_S = 60, 7 * DAY_NS // SECOND_NS
# Mostly one pace, sometimes another, an outage or two: what is steady, and what ends it.
GAPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([10, 10, 10, 10, 10, 10, 7, 25, 500, 100_000, 500_000]),
    ),
    max_size=60,
)
CUTS = st.lists(st.integers(0, 60), max_size=6)
Instant = tuple[int, int]


def instants(gaps: Sequence[tuple[int, int]]) -> list[Instant]:
    """Return series and time of readings with such gaps, in order."""
    newest = {0: 1000, 1: 2000, 2: 3000}
    made = []
    for series, gap in gaps:
        newest[series] += gap
        made.append((series, newest[series]))
    return made


def by_the_rule(given_instants: Sequence[Instant]) -> dict[Instant, int]:
    """Return the usual gap before each reading, worked out one by one."""
    said = {}
    for series, time in given_instants:
        own = sorted(at for code, at in given_instants if code == series)
        before = [at for at in own if time - WEEK_S <= at <= time]
        gaps = sorted(later - earlier for earlier, later in itertools.pairwise(before[-9:]))
        usual = gaps[(len(gaps) - 1) // 2] if gaps else DEFAULT_S
        said[series, time] = usual if len(gaps) >= 3 else min(usual, DEFAULT_S)
    return said


def rows_of(given_instants: Sequence[Instant]) -> RowArray:
    """Return readings, sorted."""
    rows = np.zeros(len(given_instants), RAW)
    rows["series"] = [series for series, _ in given_instants]
    rows["time"] = np.array([time for _, time in given_instants], np.int64) * SECOND_NS
    return ordered(rows)


def learnt(parts: Sequence[Sequence[Instant]]) -> dict[Instant, int]:
    """Return the pace of every reading, learnt part by part, with a restart after every second."""
    readings = Table(RAW, MemoryShelf())
    paces = Paces(DEFAULT_S * SECOND_NS, readings)
    for number, part in enumerate(parts):
        rows = rows_of(part)
        changed = paces.assign(rows, 3)
        readings.insert(changed)
        readings.insert(rows)
        if number % 2:
            readings.spill()
            restored = Paces(DEFAULT_S * SECOND_NS, readings)
            restored.cadence.restore(paces.cadence.snapshot())
            paces = restored
    far = np.full(3, 10**18)
    held = readings.between(np.arange(3, dtype=np.int32), -far, far)
    return {
        (int(row["series"]), int(row["time"]) // SECOND_NS): int(row["pace"]) // 1000
        for row in held
    }


def cut(readings: Sequence[Instant], cuts: Sequence[int]) -> list[Sequence[Instant]]:
    """Return readings in parts."""
    edges = sorted({0, len(readings), *(place for place in cuts if place < len(readings))})
    return [readings[begin:end] for begin, end in itertools.pairwise(edges)]


@LAW
@given(GAPS, CUTS)
def test_every_pace_is_by_the_rule_however_cut_and_restored(
    gaps: list[tuple[int, int]], cuts: list[int]
) -> None:
    """Series that keep their pace are passed over, with the same result."""
    readings = instants(gaps)

    assert learnt(cut(readings, cuts)) == by_the_rule(readings)


@LAW
@given(st.data(), GAPS, CUTS)
def test_whatever_the_order_of_arrival_the_paces_are_the_same(
    data: st.DataObject, gaps: list[tuple[int, int]], cuts: list[int]
) -> None:
    """Newest first, shuffled, or a day late: a reading's pace goes by those before it in time."""
    readings = instants(gaps)
    shuffled = data.draw(st.permutations(readings))

    assert learnt(cut(shuffled, cuts)) == by_the_rule(readings)
