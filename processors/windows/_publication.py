# SPDX-License-Identifier: EUPL-1.2
"""From the states of windows to the numbers that are published of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.batch import AggregateBatch, FloatArray
from lamppost.flags import GOOD, MISSING, SUSPECT
from lamppost.periods import FixedPeriod, Period
from lamppost.times import HOUR_NS

from . import _accounted as accounted
from . import _validity as validity
from ._frames import ratio
from ._kinds import Kind, Kinds
from ._rows import IntArray, RowArray

_MISSING, _GOOD, _SUSPECT = np.uint8(MISSING), np.uint8(GOOD), np.uint8(SUSPECT)


class Rule(NamedTuple):
    """When windows are valid.

    Attributes:
        min_coverage: part of a window of up to an hour that must be covered.
        valid_hours: part of the hours of a longer window that must be valid, by its resolution.
    """

    min_coverage: float
    valid_hours: Mapping[str, float]

    def judge(
        self, period: Period, cover: IntArray, hours: IntArray, length: IntArray
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Return the coverage of windows, and which have enough of it.

        Args:
            period: their resolution.
            cover: time that is accounted for in each, ns.
            hours: valid hours of each; those of windows up to an hour are not looked at.
            length: of each, ns.
        """
        if isinstance(period, FixedPeriod) and period.length_ns <= HOUR_NS:
            coverage = cover / length
            return coverage, coverage >= self.min_coverage
        coverage = validity.of_hours(hours.astype(np.int64), length)
        return coverage, coverage >= self.valid_hours.get(period.name, self.min_coverage)


def aggregates(
    period: Period,
    states: RowArray,
    length: IntArray,
    *,
    rule: Rule,
    kinds: Kinds,
    quantiles: Mapping[str, FloatArray],
) -> AggregateBatch:
    """Return what is published of windows.

    Args:
        period: their resolution.
        states: of the windows.
        length: of each, ns.
        rule: when they are valid.
        kinds: what is published beside the common ones.
        quantiles: columns, by name.
    """
    count = states["count"]
    empty = count == 0
    end = states["time"] + length
    cover, due = accounted.totals(states, states["time"], end)
    coverage, enough = rule.judge(period, cover, states["hours"], length)
    own = kinds.columns(states, end)
    of = kinds.of(states["series"])
    is_direction = of == Kind.DIRECTION
    no_sum = empty | is_direction | (of == Kind.COUNTER)
    mean, sd = states["mean"], _deviation(states)
    if "mean" in own:
        mean, sd = (
            np.where(is_direction, own.pop(name), common)
            for name, common in (("mean", mean), ("sd", sd))
        )
    return AggregateBatch(
        series=states["series"],
        start=states["time"],
        length=length,
        calendar=np.full(len(states), period.calendar, np.uint8),
        revision=states["revision"],
        count=count,
        expected=accounted.expected(states, cover, due, length),
        coverage=coverage,
        mean=mean,
        min=np.where(empty | is_direction, np.nan, states["low"]),
        max=np.where(empty | is_direction, np.nan, states["high"]),
        sd=sd,
        total=np.where(no_sum, np.nan, states["total"]),
        first=states["first"],
        last=states["last"],
        **quantiles,
        **own,
        suspect=states["suspect"],
        excluded=states["excluded"],
        flag=np.where(empty, _MISSING, np.where(enough, _GOOD, _SUSPECT)),
    )


def _deviation(states: RowArray) -> FloatArray:
    deviation: FloatArray = np.sqrt(ratio(states["squares"], states["count"] - 1))
    return deviation
