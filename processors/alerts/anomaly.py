# SPDX-License-Identifier: EUPL-1.2
"""Anomaly: readings that a detector finds unusual, again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from lamppost.alerts import Signal
from lamppost.batch import DERIVED, JudgedBatch
from lamppost.component import Observed, Settings, register
from lamppost.flags import OUT_OF_ORDER
from lamppost.grouping import BoolArray, Groups
from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.stations import Station
from lamppost.times import NO_TIME, SECOND_NS, format_instant
from lamppost.wording import by_quantity, counted, digits, exactly, listed, with_unit
from processors._lanes import Lanes
from processors._per_series import PerSeries, QuantityName

from ._latch import latch, worth_saying
from ._wording import amount, label, number

_MOST_READINGS: Final = 63


class AnomalySettings(Settings):
    """How unusual, how often and for which quantities."""

    quantities: tuple[QuantityName, ...] | None = Field(
        default=None, description="Quantities watched; all that a detector scores if left out."
    )
    score: float = Field(
        default=5.0, gt=0, description="Score from which a reading counts as unusual."
    )
    direction: Literal["both", "above", "below"] = Field(
        default="both", description="Whether it counts above, below or on both sides of the usual."
    )
    at_least: int = Field(
        default=3, ge=1, description="Unusual readings that make it hold, among the last few."
    )
    of_last: int = Field(
        default=5, ge=1, le=_MOST_READINGS, description="How many last readings are looked at."
    )
    minimum_deviation: dict[QuantityName, float] = Field(
        default_factory=dict,
        description="Smallest distance from the expected value that counts, canonical unit.",
    )
    stale_s: float = Field(
        default=3_600.0,
        gt=0,
        description="Older readings are not judged, and without newer ones it no longer holds.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.at_least > self.of_last:
            raise ValueError("at_least must not exceed of_last")
        return self

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if self.quantities is not None and not self.quantities:
            yield "quantities", "must name at least one; leave it out for all that are scored"
        for name, least in self.minimum_deviation.items():
            if least < 0:
                yield f"minimum_deviation.{name}", "must not be below 0"
            if self.quantities is not None and name not in self.quantities:
                yield f"minimum_deviation.{name}", "is not one of the quantities that are watched"


_EVIDENCE: Final = ("value", "expected", "score", "band_low", "band_high")


@register("alert")
class Anomaly:
    """Holds while several of a series' last readings are unusual.

    A reading counts when its score and its distance from the expected value are both large enough.
    The condition begins with ``at_least`` of the ``of_last`` newest readings that arrived in order,
    and ends when none of them counts any more.

    Corrected readings are judged by what is usual for their own series, where a detector has scored
    them. Where a station has raw ones beside them, the policy's ``rating`` says which are judged:
    one cause is one alert, and what only fog does to a raw sensor is none.

    Source: Lamppost's own, so that one odd reading is no alert and one usual reading does not end
    it; limits are the policy's.

    Known failures: a detector that has not warmed up says nothing, so nothing is unusual on the
    first day; what is unusual everywhere, as smoke over a city, is an alert for every station.
    """

    name: ClassVar[str] = "anomaly"
    Settings: ClassVar[type[AnomalySettings]] = AnomalySettings

    @classmethod
    def describe(cls, settings: AnomalySettings) -> str:
        """Say what is unusual enough."""
        watched = (
            "any quantity" if settings.quantities is None else listed(settings.quantities, "or")
        )
        least = by_quantity(settings.minimum_deviation, with_unit)
        far = f" and far enough ({least})" if least else ""
        side = {"both": "from", "above": "above", "below": "below"}[settings.direction]
        return (
            f"It holds once {settings.at_least} of the last {counted(settings.of_last, 'reading')}"
            f" of {watched} lie {digits(settings.score)} standard deviations{far} {side} what is"
            " usual for the series, until none of them does or the newest is older than"
            f" {exactly(settings.stale_s)}."
        )

    def __init__(
        self,
        settings: AnomalySettings,
        series: SeriesTable,
        stations: Mapping[str, Station],  # noqa: ARG002 - every alert rule is given the stations
    ) -> None:
        """Prepare the memory of the last readings."""
        self._settings = settings
        self._series = series
        wanted = QUANTITIES if settings.quantities is None else settings.quantities
        least = {name: (settings.minimum_deviation.get(name, 0.0),) for name in wanted}
        self._least = PerSeries(series, least, width=1)
        self._state = SeriesState(
            unusual=np.uint64(0),
            holds=np.bool_(False),
            time=np.int64(NO_TIME),
            evidence=np.full(len(_EVIDENCE), np.nan),
        )

    def evaluate(self, observed: Observed) -> list[Signal]:
        """Judge the readings of this step."""
        self._state.grow(len(self._series))
        judged = observed.judged
        rows = np.flatnonzero(~np.isnan(self._least.of(judged.series)[0]))
        revision, scored = judged.revision[rows], ~np.isnan(judged.score[rows])
        fresh = (revision == 0) | ((revision == DERIVED) & scored)
        fresh &= judged.reasons[rows] & OUT_OF_ORDER.mask == 0
        fresh &= observed.now - judged.time[rows] <= self._settings.stale_s * SECOND_NS
        rows = rows if fresh.all() else rows[fresh]
        signals = self._judge(judged, rows) if len(rows) else []
        return signals + (self._given_up(observed.now) if observed.ticked else [])

    def snapshot(self) -> Snapshot:
        """Return the last readings of each series, as bits."""
        return self._state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the last readings of each series."""
        self._state.restore(snapshot)

    def _judge(self, judged: JudgedBatch, rows: npt.NDArray[np.int64]) -> list[Signal]:
        series = judged.series[rows]
        unusual = self._unusual(judged, rows)
        self._state["time"][series] = judged.time[rows]
        # Most series have nothing unusual now and had nothing before: they need no bookkeeping.
        busy = self._state["unusual"] > 0
        busy[series[unusual]] = True
        kept = busy[series]
        if not kept.any():
            return []
        groups = Groups.by_series(series[kept])
        counts = self._counts(groups, unusual[kept][groups.order])
        groups = Groups(rows[kept][groups.order], groups.series)
        carried = self._state["holds"][groups.codes]
        holds = latch(groups, counts >= self._settings.at_least, counts == 0, carried)
        self._state["holds"][groups.codes] = holds[groups.lasts]
        evidence = self._evidence(judged, groups)
        return [
            self._signal(judged, int(groups.order[row]), evidence[row], active=bool(holds[row]))
            for row in np.flatnonzero(worth_saying(groups, holds, carried))
        ]

    def _unusual(self, judged: JudgedBatch, rows: npt.NDArray[np.int64]) -> BoolArray:
        """Return which of some rows count as unusual."""
        score = judged.score[rows]
        if self._settings.direction == "both":
            score = np.abs(score)
        unusual = (
            score <= -self._settings.score
            if self._settings.direction == "below"
            else score >= self._settings.score
        )
        hot = np.flatnonzero(unusual)
        far = np.abs(judged.value[rows[hot]] - judged.expected[rows[hot]])
        unusual[hot] = far >= self._least.of(judged.series[rows[hot]])[0]
        return unusual

    def _counts(self, groups: Groups, unusual: BoolArray) -> npt.NDArray[np.int64]:
        """Return how many of the last readings were unusual, as of each row."""
        lanes = Lanes.of(groups)
        codes = groups.codes[lanes.groups]
        history = self._state["unusual"][codes]
        window = np.uint64((1 << self._settings.of_last) - 1)
        laid = unusual[lanes.order].astype(np.uint64)
        bits = np.empty_like(laid)
        for rows, lane in lanes.rounds():
            bits[rows] = history[lane] = (history[lane] << np.uint64(1) | laid[rows]) & window
        self._state["unusual"][codes] = history
        counts = np.empty(len(laid), np.int64)
        counts[lanes.order] = np.bitwise_count(bits)
        return counts

    def _evidence(self, judged: JudgedBatch, groups: Groups) -> npt.NDArray[np.float64]:
        """Return what was observed and expected as of each row, by its newest reading with a score.

        What holds goes on holding while readings without a score come in; those show nothing.
        """
        own = np.stack([getattr(judged, name)[groups.order] for name in _EVIDENCE], axis=1)
        latest = groups.latest(~np.isnan(judged.score[groups.order]))
        former = self._state["evidence"][groups.series]
        evidence: npt.NDArray[np.float64] = np.where(latest[:, None] >= 0, own[latest], former)
        self._state["evidence"][groups.codes] = evidence[groups.lasts]
        return evidence

    def _given_up(self, now: int) -> list[Signal]:
        """End what holds for series that have stopped."""
        if not self._state["holds"].any():
            return []
        stale = now - self._state["time"] > self._settings.stale_s * SECOND_NS
        codes = np.flatnonzero(self._state["holds"] & stale)
        self._state["holds"][codes] = False
        self._state["unusual"][codes] = 0
        return [self._stopped(int(code), now) for code in codes]

    def _signal(
        self, judged: JudgedBatch, row: int, evidence: npt.NDArray[np.float64], *, active: bool
    ) -> Signal:
        key = self._series[int(judged.series[row])]
        unit, what = QUANTITIES[key.quantity].unit, label(key.quantity, key.qualifiers)
        value, expected, score, low, high = evidence.tolist()
        if active:
            side = "above" if score > 0 else "below"
            sentence = (
                f"{what} {amount(value, unit)} is far {side} the expected {amount(expected, unit)} "
                f"(usual {number(low)} to {number(high)}, score {number(abs(score))})"
            )
        else:
            sentence = f"{what} {amount(value, unit)} is usual again"
        return Signal(
            subject=key.sensor,
            quantity=key.quantity,
            qualifiers=key.qualifiers,
            active=active,
            at=int(judged.time[row]),
            observed=value,
            expected=expected,
            band_low=low,
            band_high=high,
            unit=unit,
            sentence=sentence,
            clears_when=self._clears_when(),
        )

    def _stopped(self, code: int, now: int) -> Signal:
        key = self._series[code]
        since = format_instant(int(self._state["time"][code]))
        what = label(key.quantity, key.qualifiers)
        return Signal(
            subject=key.sensor,
            quantity=key.quantity,
            qualifiers=key.qualifiers,
            active=False,
            at=now,
            observed=np.nan,
            expected=np.nan,
            band_low=np.nan,
            band_high=np.nan,
            unit=QUANTITIES[key.quantity].unit,
            sentence=f"{what} is no longer judged: nothing that is rated has come since {since}",
            clears_when=self._clears_when(),
        )

    def _clears_when(self) -> str:
        return f"none of the last {self._settings.of_last} readings is unusual"
