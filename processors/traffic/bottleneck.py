# SPDX-License-Identifier: EUPL-1.2
"""Bottleneck: slow traffic before a place behind which it runs freely again, and its queue."""

from __future__ import annotations

from typing import ClassVar, Final, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import register
from lamppost.grouping import BoolArray
from lamppost.times import NO_TIME, SECOND_NS
from lamppost.wording import counted, digits, percent

from ._derivations import KM_PER_MILE
from ._pair_rule import SPEED, Frame, PairRule, PairSettings

_MOST_INTERVALS: Final = 63
# Rounding of a conversion must not lift a speed over a limit it equals.
_ROUNDING: Final = 1e-9


class BottleneckSettings(PairSettings):
    """What counts as a bottleneck."""

    interval_s: float = Field(
        default=300.0, ge=1, le=3_600, description="Length of the intervals that are averaged."
    )
    wait_s: float = Field(
        default=20.0,
        ge=0,
        le=3_600,
        description="How long after its end an interval is judged; what comes later is not seen.",
    )
    drop_km_h: float = Field(
        default=20 * KM_PER_MILE,
        gt=0,
        description="Least difference of speed, downstream minus upstream.",
    )
    slow_km_h: float = Field(
        default=40 * KM_PER_MILE, gt=0, description="Speed upstream must be below this."
    )
    drop_share: float = Field(
        default=0.33,
        gt=0,
        le=1,
        description="Where the free-flow speed is known: this share of it, if that is less.",
    )
    slow_share: float = Field(
        default=0.67,
        gt=0,
        le=1,
        description="Where the free-flow speed is known: this share of it, if that is less.",
    )
    longest_km: float = Field(
        default=3 * KM_PER_MILE, gt=0, description="Stations must be closer together than this."
    )
    at_least: int = Field(default=5, ge=1, description="Intervals in which that must be so ...")
    of_last: int = Field(
        default=7, ge=1, le=_MOST_INTERVALS, description="... of this many last ones."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.at_least > self.of_last:
            raise ValueError("at_least must not exceed of_last")
        return self


@register("alert")
class Bottleneck(PairRule[BottleneckSettings]):
    """Holds while traffic crawls before a place and runs freely behind it, most of the time.

    In ``at_least`` of the last ``of_last`` intervals the speed upstream was below
    ``slow_km_h`` and that downstream higher by ``drop_km_h`` or more, with less than
    ``longest_km`` between both. The queue reaches back over every station upstream that is slow in
    the newest interval; its extent is the length of road between the first and the last of them,
    and to the bottleneck itself half the way to the next station downstream. Hours are the alert's
    own, from ``since`` to its end.

    Source: PeMS: 20 mph drop, below 40 mph, less than 3 miles apart, five of seven five-minute
    intervals (the California department's published queries; one source, but official). The
    shares of the free-flow speed, for streets on which 40 mph is always reached, are Lamppost's
    own: two thirds and one third, as 40 and 20 mph are of 60.

    Known failures: a station with a broken speed, or a signal between both stations, looks like a
    bottleneck. Means give each reading the same weight, not each vehicle. A bottleneck between
    stations far apart is not found, nor one behind the last station of a corridor.
    """

    name: ClassVar[str] = "bottleneck"
    Settings: ClassVar[type[BottleneckSettings]] = BottleneckSettings
    memory: ClassVar[int] = _MOST_INTERVALS
    quantity: ClassVar[str] = "speed"

    @classmethod
    def describe(cls, settings: BottleneckSettings) -> str:
        """Say what a bottleneck is."""
        return (
            f"It holds while in {settings.at_least} of the last"
            f" {counted(settings.of_last, 'interval')} traffic is slower than"
            f" {digits(settings.slow_km_h)} km/h upstream and faster by"
            f" {digits(settings.drop_km_h)} km/h downstream (or {percent(settings.slow_share)} and"
            f" {percent(settings.drop_share)} of the free-flow speed, where that is less), less"
            f" than {digits(settings.longest_km)} km away; {cls.intervals(settings)} (PeMS)."
        )

    def fills(self) -> dict[str, np.generic]:
        """Start without a bottleneck."""
        return {"found": np.uint64(0), "since": np.int64(NO_TIME)}

    def step(self, frame: Frame) -> BoolArray:
        """Add an interval, and count."""
        window = np.uint64((1 << self.settings.of_last) - 1)
        found = (frame.speed_up < self._slow(self.network.up)) & self._drops(frame)
        found &= self.network.length_km < self.settings.longest_km - _ROUNDING
        bits = (self.state["found"] << np.uint64(1) | found.astype(np.uint64)) & window
        self.state["found"][:] = bits
        holds: BoolArray = np.bitwise_count(bits) >= self.settings.at_least
        since = self.state["since"]
        since[holds & (since == NO_TIME)] = frame.end
        since[~holds] = NO_TIME
        return holds

    def explain(self, pair: int, frame: Frame) -> str:
        """Say how slow, for how long, and how far back."""
        up, down = map(self.name_of, self.network.pairs[pair])
        times = int(self.state["found"][pair]).bit_count()
        stations, extent = self.queue(pair)
        lasted_min = (frame.end - int(self.state["since"][pair])) / SECOND_NS / 60
        plural = "station" if stations == 1 else "stations"
        return (
            f"{frame.speed_up[pair]:.0f} km/h at {up}, {frame.speed_down[pair]:.0f} km/h at "
            f"{down}, {self.network.length_km[pair]:.1f} km downstream, in {times} of the last "
            f"{self.settings.of_last} intervals; the queue reaches back {extent:.1f} km over "
            f"{stations} {plural}, since {lasted_min:.0f} min"
        )

    def clears_when(self) -> str:
        """Say what ends it."""
        settings = self.settings
        return f"it is so in fewer than {settings.at_least} of {settings.of_last} intervals"

    def numbers(self, pair: int, frame: Frame) -> tuple[float, float]:
        """Return the speeds at both ends."""
        return float(frame.speed_up[pair]), float(frame.speed_down[pair])

    def queue(self, pair: int) -> tuple[int, float]:
        """Return how many stations stand in the queue of a bottleneck, and how long it is, km."""
        speeds: FloatArray = self._measured["means"][:, 0, SPEED]
        slow = speeds < self._slow(np.arange(len(speeds)))
        extent = float(self.network.length_km[pair]) / 2
        stations, seen, at = 1, {pair}, int(self.network.up[pair])
        while True:
            following = self.network.upstream_of(at)
            if following is None or following in seen or not slow[self.network.up[following]]:
                return stations, extent
            seen.add(following)
            extent += float(self.network.length_km[following])
            stations, at = stations + 1, int(self.network.up[following])

    def _slow(self, stations: Int64Array) -> FloatArray:
        """Return below which speed each station is slow."""
        share = self.network.free_flow_km_h[stations] * self.settings.slow_share
        limit: FloatArray = np.fmin(share, self.settings.slow_km_h) - _ROUNDING
        return limit

    def _drops(self, frame: Frame) -> BoolArray:
        share = self.network.free_flow_km_h[self.network.up] * self.settings.drop_share
        limit = np.fmin(share, self.settings.drop_km_h) - _ROUNDING
        drops: BoolArray = frame.speed_down - frame.speed_up >= limit
        return drops
