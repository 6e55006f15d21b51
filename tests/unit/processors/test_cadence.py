# SPDX-License-Identifier: EUPL-1.2
"""How often series report, against the rule applied reading by reading."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processors.windows._cadence import Cadence
from tests.unit.lamppost.strategies import LAW

DEFAULT = 60
# Mostly one pace, sometimes another, sometimes backwards: what is steady, and what ends it.
GAPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([10, 10, 10, 10, 10, 10, 7, 25, 500, -15])),
    max_size=60,
)
CUTS = st.lists(st.integers(0, 60), max_size=6)


def readings(gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return series and time of readings with such gaps."""
    newest = {0: 1000, 1: 2000, 2: 3000}
    made = []
    for series, gap in gaps:
        made.append((series, newest[series] + gap))
        newest[series] = max(newest[series], newest[series] + gap)
    return made


def by_the_rule(given_readings: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return cover and usual gap of each reading, worked out one by one."""
    newest: dict[int, int] = {}
    gaps: dict[int, list[int]] = {0: [], 1: [], 2: []}
    usual = dict.fromkeys(gaps, DEFAULT)
    said = []
    for series, time in given_readings:
        before, forward = newest.get(series), time > newest.get(series, -1)
        if not forward:
            said.append((usual[series], usual[series]))
            continue
        newest[series] = time
        if before is not None:
            gaps[series].append(time - before)
            last = sorted(gaps[series][-8:])
            median = last[(len(last) - 1) // 2]
            usual[series] = median if len(last) >= 3 else min(median, DEFAULT)
        cover = DEFAULT if before is None else min(time - before, 2 * usual[series])
        said.append((cover, usual[series]))
    return said


@LAW
@given(GAPS, CUTS)
def test_every_reading_is_covered_by_the_rule_however_cut_and_restored(
    gaps: list[tuple[int, int]], cuts: list[int]
) -> None:
    """Series that keep their pace are passed over, with the same result."""
    given_readings = readings(gaps)
    cadence, said = Cadence(DEFAULT), []

    for begin, end in itertools.pairwise(sorted({0, 60, *cuts})):
        part = given_readings[begin:end]
        series = np.array([code for code, _ in part], np.int32)
        cover, usual = cadence.learn(series, np.array([at for _, at in part], np.int64), 3)
        said += list(zip(cover.tolist(), usual.tolist(), strict=True))
        restored = Cadence(DEFAULT)
        restored.restore(cadence.snapshot())
        cadence = restored if begin % 2 else cadence

    assert said == by_the_rule(given_readings)
