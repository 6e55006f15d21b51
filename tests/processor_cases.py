# SPDX-License-Identifier: EUPL-1.2
"""Short ways to put numbers through one processor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import processors
from lamppost.batch import AggregateBatch, IndexBatch, JudgedBatch, ReadingBatch
from lamppost.component import Kind, Observed, Rows, Verdict, discover, find
from lamppost.grouping import Groups
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS

START_NS = 1_790_000_000 * SECOND_NS // HOUR_NS * HOUR_NS
NAN = float("nan")


def build(kind: Kind, name: str, settings: Mapping[str, Any], *arguments: object) -> Any:  # noqa: ANN401
    """Build a component from raw settings; a check of the city without stations gets none."""
    discover(processors)
    component = find(kind, name, "test")
    alone = len(arguments) == 1 and getattr(component.cls, "scope", "series") == "city"
    return component.cls(component.parse(settings, "test"), *arguments, *([{}] if alone else []))


def table(*quantities: str) -> SeriesTable:
    """Return a table with one series of each quantity."""
    return SeriesTable(SeriesKey("aq-1", quantity) for quantity in quantities)


def instants(count: int, step_s: float = 60.0) -> np.ndarray:
    """Return evenly spaced instants."""
    return START_NS + np.arange(count, dtype=np.int64) * round(step_s * SECOND_NS)


def rows(values: Sequence[float], step_s: float = 60.0, *, flag: int = 1, start: int = 0) -> Rows:
    """Return the rows of one series."""
    groups = Groups.by_series(np.zeros(len(values), np.int32))
    time = instants(start + len(values), step_s)[start:]
    return Rows(groups, time, np.array(values, np.float64), np.full(len(values), flag, np.uint8))


def flags(check: Any, values: Sequence[float], step_s: float = 60.0) -> list[int]:  # noqa: ANN401
    """Return the flags a check gives to one series in one batch."""
    verdict: Verdict = check.judge(rows(values, step_s))
    return verdict.flag.tolist()


def readings(values: Sequence[float], *, flag: int = 9, start: int = 0) -> ReadingBatch:
    """Return readings of one series, a minute apart."""
    time = instants(start + len(values))[start:]
    return ReadingBatch(
        series=np.zeros(len(values), np.int32),
        time=time,
        received=time,
        value=np.array(values, np.float64),
        flag=np.full(len(values), flag, np.uint8),
        reasons=np.zeros(len(values), np.uint32),
    )


def hours(
    means: Sequence[float], *, first: int = 0, series: int = 0, coverage: float = 1.0
) -> AggregateBatch:
    """Return hourly aggregates of one series."""
    return windows(means, HOUR_NS, first=first, series=series, coverage=coverage)


def windows(
    means: Sequence[float],
    length_ns: int = 15 * MINUTE_NS,
    *,
    first: int = 0,
    series: int = 0,
    coverage: float = 1.0,
) -> AggregateBatch:
    """Return aggregates of one series, one after the other."""
    count = len(means)
    mean = np.array(means, np.float64)
    missing = np.isnan(mean)
    return AggregateBatch(
        series=np.full(count, series, np.int32),
        start=START_NS + (first + np.arange(count, dtype=np.int64)) * length_ns,
        length=np.full(count, length_ns, np.int64),
        calendar=np.zeros(count, np.uint8),
        revision=np.zeros(count, np.int32),
        count=np.where(missing, 0, 60),
        expected=np.full(count, 60.0),
        coverage=np.where(missing, 0.0, coverage),
        mean=mean,
        min=mean,
        max=mean,
        sd=np.full(count, NAN),
        total=mean,
        suspect=np.zeros(count, np.int64),
        excluded=np.zeros(count, np.int64),
        flag=np.where(missing, 9, 1).astype(np.uint8),
    )


def step(
    now: int,
    *,
    ticked: bool = False,
    judged: JudgedBatch | None = None,
    aggregates: AggregateBatch | None = None,
    indices: IndexBatch | None = None,
    last_received: Sequence[int] = (),
) -> Observed:
    """Return what happened in one step of the engine."""
    return Observed(
        now=now,
        ticked=ticked,
        judged=JudgedBatch.empty() if judged is None else judged,
        aggregates=AggregateBatch.empty() if aggregates is None else aggregates,
        indices=IndexBatch.empty() if indices is None else indices,
        last_received=np.array(last_received, np.int64),
    )


def scored(scores: Sequence[float], *, start: int = 0) -> JudgedBatch:
    """Return judged readings of one series: expected 50, ten units for each unit of score."""
    score = np.array(scores, np.float64)
    judged = JudgedBatch.unscored(readings((50 + 10 * score).tolist(), flag=1, start=start))
    return replace(
        judged,
        score=score,
        expected=np.where(np.isnan(score), np.nan, 50.0),
        band_low=np.where(np.isnan(score), np.nan, 10.0),
        band_high=np.where(np.isnan(score), np.nan, 90.0),
    )
