# SPDX-License-Identifier: EUPL-1.2
"""What all alert rules about pairs of stations share: intervals, memory, signals.

A rule of its own says, interval by interval and for all pairs at once, for which it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar

import numpy as np
from pydantic import Field

from lamppost.alerts import Signal
from lamppost.batch import FloatArray
from lamppost.component import Observed, Settings, restore_each, snapshot_of
from lamppost.grouping import BoolArray
from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.stations import Station
from lamppost.times import SECOND_NS
from lamppost.wording import counted, exactly, unit_of

from ._intervals import Intervals
from ._network import Network

REMEMBERED: Final = 3
"""Intervals a station's means are kept for: now, one and two before."""

QUANTITIES_SEEN: Final = ("occupancy", "speed")
OCCUPANCY, SPEED = range(len(QUANTITIES_SEEN))


class PairSettings(Settings):
    """How what two stations measured is brought together."""

    interval_s: float = Field(
        default=60.0, ge=1, le=3_600, description="Length of the intervals that are averaged."
    )
    wait_s: float = Field(
        default=20.0,
        ge=0,
        le=3_600,
        description="How long after its end an interval is judged; what comes later is not seen.",
    )
    carry: int = Field(
        default=1,
        ge=0,
        le=10,
        description="Intervals without a reading for which a station's last mean is used.",
    )
    stale_s: float = Field(
        default=3_600.0, gt=0, description="Readings older than this when they come are not seen."
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """What the stations of each pair measured in an interval, NaN where nothing is known.

    Attributes:
        end: end of the interval, ns UTC.
        occupancy_up, occupancy_down: means at both ends, %.
        occupancy_down_before: mean downstream two intervals ago, %.
        speed_up, speed_down: means at both ends, km/h.
        speed_up_before: mean upstream two intervals ago, km/h.
    """

    end: int
    occupancy_up: FloatArray
    occupancy_down: FloatArray
    occupancy_down_before: FloatArray
    speed_up: FloatArray
    speed_down: FloatArray
    speed_up_before: FloatArray

    @property
    def difference(self) -> FloatArray:
        """Spatial difference of occupancy, OCCDF."""
        return self.occupancy_up - self.occupancy_down

    @property
    def relative_difference(self) -> FloatArray:
        """Spatial difference over the occupancy upstream, OCCRDF; 0 where that is 0."""
        return share(self.difference, self.occupancy_up)

    @property
    def downstream_drop(self) -> FloatArray:
        """Relative fall of the occupancy downstream over two intervals, DOCCTD."""
        before = self.occupancy_down_before
        return share(before - self.occupancy_down, before)

    @property
    def slowing(self) -> FloatArray:
        """Relative fall of the speed upstream over two intervals, SPDTDF."""
        return share(self.speed_up_before - self.speed_up, self.speed_up_before)

    @property
    def known(self) -> BoolArray:
        """Pairs all of whose occupancies are known."""
        return np.isfinite(self.difference + self.occupancy_down_before)


def share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Return part over whole: 0 where the whole is 0, NaN where either is unknown."""
    ratio = np.where(np.isnan(part + whole), np.nan, 0.0)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


S = TypeVar("S", bound=PairSettings)


class PairRule(Generic[S]):
    """Base of the rules: cuts time into intervals and speaks for the pairs a rule holds for."""

    memory: ClassVar[int] = REMEMBERED
    """Intervals without readings after which nothing is remembered."""
    quantity: ClassVar[str] = "occupancy"
    """The quantity the signals are about."""

    @classmethod
    def intervals(cls, settings: PairSettings) -> str:
        """Return in words how what two stations measured is brought together."""
        return (
            f"means of {exactly(settings.interval_s)} of neighbouring stations are compared"
            f" {exactly(settings.wait_s)} after their end, a missing one is replaced by the last"
            f" for {counted(settings.carry, 'interval')}, and readings older than"
            f" {exactly(settings.stale_s)} are not seen"
        )

    def __init__(self, settings: S, series: SeriesTable, stations: Mapping[str, Station]) -> None:
        """Read the pairs from the registry."""
        self.settings = settings
        self.network = Network(stations)
        self._stations = stations
        self._intervals = Intervals(
            series,
            self.network,
            QUANTITIES_SEEN,
            interval_ns=round(settings.interval_s * SECOND_NS),
            wait_ns=round(settings.wait_s * SECOND_NS),
            stale_ns=round(settings.stale_s * SECOND_NS),
            most_empty=self.memory + settings.carry,
        )
        width = len(QUANTITIES_SEEN)
        self._measured = SeriesState(
            means=np.full((REMEMBERED, width), np.nan), age=np.zeros(width, np.int64)
        )
        self._held = SeriesState(holds=np.bool_(False))
        self.state = SeriesState(**self.fills())

    def fills(self) -> dict[str, np.generic]:
        """Return what the rule remembers of each pair, by name, as before the first interval."""
        raise NotImplementedError

    def step(self, frame: Frame) -> BoolArray:
        """Take an interval in, change ``state``, and return the pairs the rule now holds for."""
        raise NotImplementedError

    def explain(self, pair: int, frame: Frame) -> str:
        """Say in words why the rule holds for a pair."""
        raise NotImplementedError

    def clears_when(self) -> str:
        """Say in words what would end it."""
        raise NotImplementedError

    def evaluate(self, observed: Observed) -> list[Signal]:
        """Collect readings; at clock ticks, judge the intervals that are over."""
        if observed.ticked and self.network.refresh():
            self._intervals.forget_places()
        if not self.network.pairs:
            return []
        self._grow()
        self._intervals.take(observed.judged, observed.now)
        if not observed.ticked:
            return []
        return [
            signal
            for end, means in self._intervals.due(observed.now)
            for signal in self._judge(end, means)
        ]

    def snapshot(self) -> Snapshot:
        """Return everything remembered."""
        return snapshot_of(self._parts())

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over everything remembered."""
        restore_each(self._parts(), snapshot)

    def name_of(self, sensor: str) -> str:
        """Return a station's printed name."""
        station = self._stations.get(sensor)
        return station.name if station is not None and station.name else sensor

    def _parts(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "intervals": self._intervals,
            "measured": self._measured,
            "held": self._held,
            "state": self.state,
        }

    def _grow(self) -> None:
        self._measured.grow(len(self.network.sensors))
        for state in (self._held, self.state):
            state.grow(len(self.network.pairs))

    def _judge(self, end: int, means: FloatArray) -> list[Signal]:
        self._remember(means)
        frame = self._frame(end)
        holds = self.step(frame) & self.network.present
        spoken_of = np.flatnonzero(holds | self._held["holds"])
        self._held["holds"][:] = holds
        return [self._signal(pair, frame, active=bool(holds[pair])) for pair in spoken_of.tolist()]

    def _remember(self, means: FloatArray) -> None:
        """Move the means of all stations on by an interval; a last one stands in for a while."""
        kept, age = self._measured["means"], self._measured["age"]
        missing = np.isnan(means)
        age[:] = np.where(missing, age + 1, 0)
        current = np.where(missing & (age <= self.settings.carry), kept[:, 0], means)
        kept[:, 1:] = kept[:, :-1].copy()
        kept[:, 0] = current

    def _frame(self, end: int) -> Frame:
        means, up, down = self._measured["means"], self.network.up, self.network.down
        return Frame(
            end=end,
            occupancy_up=means[up, 0, OCCUPANCY],
            occupancy_down=means[down, 0, OCCUPANCY],
            occupancy_down_before=means[down, 2, OCCUPANCY],
            speed_up=means[up, 0, SPEED],
            speed_down=means[down, 0, SPEED],
            speed_up_before=means[up, 2, SPEED],
        )

    def numbers(self, pair: int, frame: Frame) -> tuple[float, float]:
        """Return what is compared at both ends of a pair."""
        return float(frame.occupancy_up[pair]), float(frame.occupancy_down[pair])

    def _signal(self, pair: int, frame: Frame, *, active: bool) -> Signal:
        observed, expected = self.numbers(pair, frame)
        return Signal(
            subject=self.network.pairs[pair].up,
            quantity=self.quantity,
            qualifiers="",
            active=active,
            at=frame.end,
            observed=observed,
            expected=expected,
            band_low=np.nan,
            band_high=np.nan,
            unit=QUANTITIES[self.quantity].unit,
            sentence=self.explain(pair, frame) if active else self._over(pair, observed, expected),
            clears_when=self.clears_when(),
        )

    def _over(self, pair: int, observed: float, expected: float) -> str:
        up, down = map(self.name_of, self.network.pairs[pair])
        if np.isnan(observed + expected) or not self.network.present[pair]:
            return f"what happens between {up} and {down} is no longer known"
        unit = unit_of(self.quantity)
        measured = f"{self.quantity} {observed:.0f} {unit} and {expected:.0f} {unit}"
        return f"it is over between {up} and {down} ({measured})"
