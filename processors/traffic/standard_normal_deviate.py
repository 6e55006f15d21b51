# SPDX-License-Identifier: EUPL-1.2
"""Standard normal deviate: a difference of occupancy that is unusual for these two stations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray
from lamppost.component import register
from lamppost.grouping import BoolArray
from lamppost.times import NO_TIME, SECOND_NS
from lamppost.wording import counted, digits, exactly, percent

from ._incidents import IncidentRule
from ._pair_rule import Frame, PairSettings


class StandardNormalDeviateSettings(PairSettings):
    """How the usual difference is learnt, and how far from it is unusual."""

    window: int = Field(
        default=20,
        ge=2,
        description="Intervals the usual difference is learnt from: the newest counts 1 / window.",
    )
    warm_up: int = Field(
        default=8, ge=2, description="Intervals to learn from before anything is said."
    )
    smoothing: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="Weight of the newest interval in the smoothed deviate; 1 does not smooth.",
    )
    limit: float = Field(
        default=4.5,
        gt=0,
        description="Deviations of the smoothed deviate from 0 at which it begins.",
    )
    clear_limit: float = Field(default=1.5, description="Deviations below which it ends again.")
    least_sd: float = Field(
        default=2.0,
        gt=0,
        description="Smallest standard deviation believed, percentage points of occupancy.",
    )
    least_difference: float = Field(
        default=8.0,
        ge=0,
        description="Least rise of the difference over the usual one, percentage points.",
    )
    relearn_s: float = Field(
        default=10_800.0,
        gt=0,
        description="After this long it ends, and the usual difference is learnt anew.",
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if not 0 <= self.clear_limit <= self.limit:
            yield "clear_limit", "must lie between 0 and limit"


@register("alert")
class StandardNormalDeviate(IncidentRule[StandardNormalDeviateSettings]):
    """Holds while occupancy upstream exceeds that downstream by unusually much for both stations.

    ``z = (OCCDF - mean) / sd``, smoothed as ``e = smoothing * z + (1 - smoothing) * e``.
    It begins with ``e > limit * sqrt(smoothing / (2 - smoothing))``, the standard deviation of
    ``e``, and with ``OCCDF - mean >= least_difference``; it ends below the same with
    ``clear_limit``. Mean and variance are exponentially weighted, the newest interval with
    1 / window (more at first), and stand still while it holds.

    Source: the statistic is Dudek's standard normal deviate with an EWMA limit; the numbers are
    Lamppost's own choices, tuned on simulated incidents (docs/incidents.md), not on a real road.

    Known failures: congestion that builds up slowly is learnt, not reported. Directly after the
    start of a rush hour the usual difference lags behind. A closed lane that lasts for hours
    becomes the usual after ``relearn_s``. After a start it is silent for ``warm_up`` intervals.
    """

    name: ClassVar[str] = "standard_normal_deviate"
    Settings: ClassVar[type[StandardNormalDeviateSettings]] = StandardNormalDeviateSettings

    @classmethod
    def describe(cls, settings: StandardNormalDeviateSettings) -> str:
        """Say what is unusual of two stations, and how that is learnt."""
        return (
            "It holds once the difference of occupancy between two stations lies"
            f" {digits(settings.least_difference)} points above its usual and its deviate, the"
            " distance from the usual in standard deviations (of no less than"
            f" {digits(settings.least_sd)} points), smoothed with {percent(settings.smoothing)} for"
            f" the newest interval, is above {digits(settings.limit)} times its own scatter, until"
            f" that is below {digits(settings.clear_limit)} times or"
            f" {exactly(settings.relearn_s)} are over; the usual is learnt over"
            f" {counted(settings.window, 'interval')}, and nothing is said before the first"
            f" {settings.warm_up}; {cls.intervals(settings)}."
        )

    def fills(self) -> dict[str, np.generic]:
        """Start knowing nothing."""
        return {
            "learnt": np.int64(0),
            "mean": np.float64(0),
            "variance": np.float64(0),
            "smoothed": np.float64(0),
            "since": np.int64(NO_TIME),
        }

    def step(self, frame: Frame) -> BoolArray:
        """Judge every pair's difference, and learn from what is usual."""
        state, settings = self.state, self.settings
        difference = frame.difference
        ready = (state["learnt"] >= settings.warm_up) & np.isfinite(difference)
        deviate = (difference - state["mean"]) / self._sd()
        smoothed = state["smoothed"] + settings.smoothing * (deviate - state["smoothed"])
        state["smoothed"][:] = np.where(ready, smoothed, 0.0)
        holds = self._holds(difference, ready)
        began = holds & (state["since"] == NO_TIME)
        state["since"][began] = frame.end
        state["since"][~holds] = NO_TIME
        self._learn(difference, np.isfinite(difference) & ~holds)
        lasted = np.where(holds, frame.end - state["since"], 0)
        self._forget(lasted >= settings.relearn_s * SECOND_NS)
        return holds

    def reason(self, pair: int, frame: Frame) -> str:
        """Say what would be usual."""
        mean, sd = self.state["mean"][pair], self._sd()[pair]
        return (
            f"difference {frame.difference[pair]:.0f}, usually {mean:.0f} with a deviation of "
            f"{sd:.1f}; smoothed deviate {self.state['smoothed'][pair]:.1f} "
            f"(limit {self._limit(self.settings.limit):.1f})"
        )

    def clears_when(self) -> str:
        """Say what ends it."""
        limit = self._limit(self.settings.clear_limit)
        return f"the smoothed deviate of the difference falls below {limit:.1f}"

    def _holds(self, difference: FloatArray, ready: BoolArray) -> BoolArray:
        state, settings = self.state, self.settings
        rise = difference - state["mean"]
        begins = state["smoothed"] > self._limit(settings.limit)
        begins &= rise >= settings.least_difference
        goes_on = state["smoothed"] >= self._limit(settings.clear_limit)
        held = state["since"] != NO_TIME
        holds: BoolArray = ready & (begins | (held & goes_on))
        return holds

    def _limit(self, deviations: float) -> float:
        smoothing = self.settings.smoothing
        return deviations * math.sqrt(smoothing / (2 - smoothing))

    def _sd(self) -> FloatArray:
        sd: FloatArray = np.maximum(np.sqrt(self.state["variance"]), self.settings.least_sd)
        return sd

    def _learn(self, difference: FloatArray, pairs: BoolArray) -> None:
        state = self.state
        weight = np.maximum(1.0 / (state["learnt"] + 1.0), 1.0 / self.settings.window)
        away = np.where(pairs, difference - state["mean"], 0.0)
        weight[~pairs] = 0.0
        state["mean"][:] += weight * away
        state["variance"][:] = (1.0 - weight) * (state["variance"] + weight * away * away)
        state["learnt"][:] += pairs

    def _forget(self, pairs: BoolArray) -> None:
        for name, fill in self.fills().items():
            self.state[name][pairs] = fill
