# SPDX-License-Identifier: EUPL-1.2
"""The ozone NowCast: what the mean of eight hours around now will be, from two weeks of hours."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray

HISTORY: Final = 336
LOOKS_BACK: Final = HISTORY + 2
"""Hours of history, and two more: in place of a missing hour the one before it is taken."""

_PREDICTORS: Final = 96
_AHEAD: Final = 3
_EIGHT: Final = 8
_MEAN_NEEDS: Final = 6
_MOST_MISSING: Final = 0.25
_LEAST_VALUES: Final = 252
_LONGEST_GAP: Final = 7
_SLOPE: Final = 0.85
_INTERCEPT_PPB: Final = 4.5
_NEWEST: Final = 3
_AVERAGED: Final = 4
# Below this part of its largest pivot a system of equations is taken for singular.
_SINGULAR: Final = 1e-5


def surrogate(newest: FloatArray) -> FloatArray:
    """Return 0.85 times the newest of three hours plus 4.5 ppb, NaN where all are missing.

    >>> surrogate(np.array([[40.0, 1.0, 1.0], [np.nan, 40.0, 1.0]])).tolist()
    [38.5, 38.5]
    """
    there = ~np.isnan(newest[:, :_NEWEST])
    first = newest[np.arange(len(newest)), there.argmax(axis=1)]
    estimate: FloatArray = _SLOPE * first + _INTERCEPT_PPB
    return estimate


def forecast(history: FloatArray) -> float:
    """Return the NowCast of one series, as GetNowcast.r of the EPA decides.

    Args:
        history: ppb, newest first, at least 338 hours; NaN where there is none.
    """
    window = history[:HISTORY]
    if is_short(history):
        return float(surrogate(history[None, :_NEWEST])[0])
    if np.nansum(window) == 0:
        return 0.0
    there = np.flatnonzero(~np.isnan(history[:_NEWEST]))
    if not len(there):
        return float("nan")
    if there[0]:
        return forecast(np.append(history[there[0] :], np.full(there[0], np.nan)))
    return max(_partial_least_squares(window[::-1]), 0.0)


def is_short(history: FloatArray) -> bool:
    """Return whether too much of two weeks is missing to fit anything to them."""
    missing = np.isnan(history[:HISTORY])
    too_few = missing.sum() > HISTORY - _LEAST_VALUES
    return bool(too_few or _longest_run(missing) > _LONGEST_GAP)


def _longest_run(missing: npt.NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _partial_least_squares(values: FloatArray) -> float:
    """Return the estimate of the newest hour from 336 hours, oldest first; NaN where it fails.

    With as many components as predictors partial least squares are ordinary least squares.
    """
    around = _centred_means(values)[_PREDICTORS - 1 :]
    if np.isnan(around).mean() > _MOST_MISSING:
        return float("nan")
    lags = np.lib.stride_tricks.sliding_window_view(_imputed(values), _PREDICTORS)
    known = ~np.isnan(around)
    inputs, target = lags[known], around[known]
    centre, mean = inputs.mean(axis=0), target.mean()
    weights = _least_squares(inputs - centre, target - mean)
    return float(mean + (lags[-1] - centre) @ weights)


def _centred_means(values: FloatArray) -> FloatArray:
    """Return the mean from four hours before to three after each hour, of six valid or more."""
    means = np.full(len(values), np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(values, _EIGHT)
    there = ~np.isnan(windows)
    count = there.sum(axis=1)
    total = np.where(there, windows, 0.0).sum(axis=1)
    means[_EIGHT - 1 - _AHEAD : len(values) - _AHEAD] = np.where(
        count >= _MEAN_NEEDS, total / np.maximum(count, 1), np.nan
    )
    return means


def _imputed(values: FloatArray) -> FloatArray:
    """Fill gaps with a moving average of four hours on each side, halved with each hour away.

    As ``na.ma`` of the R package imputeTS: with fewer than two of them the window grows.
    """
    there = ~np.isnan(values)
    filled = values.copy()
    for place in np.flatnonzero(~there):
        for reach in range(_AVERAGED, len(values)):
            low = max(int(place) - reach, 0)
            near: npt.NDArray[np.int64] = low + np.flatnonzero(there[low : int(place) + reach + 1])
            if len(near) > 1:
                weight = 0.5 ** np.abs(near - place)
                filled[place] = (values[near] * weight).sum() / weight.sum()
                break
    return filled


def _least_squares(inputs: FloatArray, target: FloatArray) -> FloatArray:
    """Return the weights of centred inputs; of many that fit equally, the smallest."""
    products, right = inputs.T @ inputs, inputs.T @ target
    try:
        pivots = np.diagonal(np.linalg.cholesky(products))
        if pivots.min() > _SINGULAR * pivots.max():
            solved: FloatArray = np.linalg.solve(products, right).astype(np.float64)
            return solved
    except np.linalg.LinAlgError:
        pass  # hours that say the same leave the weights open
    smallest: FloatArray = np.linalg.lstsq(inputs, target, rcond=None)[0].astype(np.float64)
    return smallest
