# SPDX-License-Identifier: EUPL-1.2
"""How much of a year was measured, and whether that is enough for a statement about it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int64Array
from lamppost.compliance import CaptureRule

from .reckoning import day_of_number, month_days

_TINY = 1e-9
_MONTHS = 6


def captured(
    rule: CaptureRule,
    summer: Sequence[int],
    valid: Int64Array,
    possible: Int64Array,
    first: int,
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return which part was measured, and where it is enough.

    Args:
        rule: what is asked for.
        summer: months of the summer.
        valid: values there are, by series and day.
        possible: values there could be, by day.
        first: number of the first day.
    """
    if rule.of == "summer_months":
        return _months(rule, summer, valid, possible, first)
    warm = np.array(
        [day_of_number(first + day).month in summer for day in range(len(possible))], np.bool_
    )
    stretches = [warm, ~warm] if rule.of == "summer_and_winter" else [np.ones_like(warm)]
    # A season of which nothing is over yet asks for nothing.
    begun = [chosen for chosen in stretches if possible[chosen].any()] or stretches
    shares = [_share(valid[:, chosen], possible[chosen]) for chosen in begun]
    capture: FloatArray = np.min(shares, axis=0)
    return capture, capture >= rule.share - _TINY


def _months(
    rule: CaptureRule,
    summer: Sequence[int],
    valid: Int64Array,
    possible: Int64Array,
    first: int,
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return the part of the summer months that are measured, and where they are enough.

    A month of 30 or 31 days is measured with 27 of them: 90 %, rounded down. Of a year under way
    the summer months that are over count, and one of them may fail, as of six; before the first is
    over, the days so far do.
    """
    over = [
        np.arange(begin - first, end - first)
        for month, begin, end in _months_within(first, first + len(possible))
        if month in summer
    ]
    if not over:
        share = _share(valid, possible)
        return share, share >= rule.share - _TINY
    enough = np.array(
        [
            valid[:, days].sum(axis=1) >= math.floor(rule.share * possible[days].sum() + _TINY)
            for days in over
        ]
    ).sum(axis=0)
    asked = max(1, len(over) - (_MONTHS - rule.months))
    return enough / len(over), enough >= asked


def _months_within(first: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the months that lie in a stretch as a whole, with their first day and their end."""
    days = (day_of_number(number) for number in range(first, end))
    for (year, month), _ in groupby(days, key=lambda day: (day.year, day.month)):
        begin, following = month_days(year, month)
        if begin >= first and following <= end:
            yield month, begin, following


def _share(valid: Int64Array, possible: Int64Array) -> FloatArray:
    asked = possible.sum()
    found: FloatArray = valid.sum(axis=1) / asked if asked else np.zeros(len(valid))
    return found
