# SPDX-License-Identifier: EUPL-1.2
"""Lines through scattered points that a few wrong points do not bend, and clocks that differ."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from lamppost.batch import FloatArray

_FEWEST: Final = 3


class Line(NamedTuple):
    """A fitted line ``slope * x + offset``.

    Attributes:
        n: points it was fitted to.
        slope: reference for each unit of the sensor.
        offset: reference where the sensor shows 0.
        r2: share of the reference's variance the line accounts for; below 0 where it is worse than
            the reference's own mean.
        rmse: root mean square distance of the reference from the line.
    """

    n: int
    slope: float
    offset: float
    r2: float
    rmse: float


NO_LINE: Final = Line(0, np.nan, np.nan, np.nan, np.nan)


def theil_sen(x: FloatArray, y: FloatArray) -> Line:
    """Return the line with the median of the slopes of all pairs of points (Theil, Sen).

    Up to 29 % of the points may be wrong without bending it. Points without a number are left out.

    >>> theil_sen(np.array([0.0, 1, 2, 3, 99]), np.array([1.0, 3, 5, 7, 0]))[:3]
    (5, 2.0, 1.0)
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < _FEWEST or np.ptp(x) == 0:
        return NO_LINE._replace(n=len(x))
    first, second = np.triu_indices(len(x), 1)
    run = x[second] - x[first]
    apart = run != 0
    slope = float(np.median((y[second] - y[first])[apart] / run[apart]))
    offset = float(np.median(y - slope * x))
    left = y - (slope * x + offset)
    spread = float(np.sum((y - y.mean()) ** 2))
    r2 = 1 - float(np.sum(left**2)) / spread if spread > 0 else np.nan
    return Line(len(x), slope, offset, r2, float(np.sqrt(np.mean(left**2))))


def best_lag(x: FloatArray, y: FloatArray, furthest: int) -> tuple[int, float]:
    """Return by how many steps x comes late, and how much better they correlate there.

    Args:
        x: one value a step, NaN where there is none.
        y: the same steps of the reference.
        furthest: largest shift to try, either way.

    Returns:
        The shift with the highest correlation, and how much higher it is than without shift.
    """
    correlations = {lag: _correlation(x, y, lag) for lag in range(-furthest, furthest + 1)}
    best = max(correlations, key=lambda lag: (correlations[lag], -abs(lag)))
    return best, correlations[best] - correlations[0]


def _correlation(x: FloatArray, y: FloatArray, lag: int) -> float:
    """Return how x correlates with what y was some steps earlier; -1 where nothing can be said."""
    end = len(x) - abs(lag)
    one, other = (x[lag:], y[:end]) if lag >= 0 else (x[:end], y[-lag:])
    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known], other[known]
    if len(one) < _FEWEST or np.ptp(one) == 0 or np.ptp(other) == 0:
        return -1.0
    return float(np.corrcoef(one, other)[0, 1])
