# SPDX-License-Identifier: EUPL-1.2
"""Clock skew: a device whose clock is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.alerts import Signal
from lamppost.batch import Int64Array
from lamppost.clock_skew import ClockBatch, ClockState, is_steady, is_unset, state_of
from lamppost.component import Observed, Settings, register
from lamppost.grouping import BoolArray
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.stations import Station
from lamppost.times import SECOND_NS
from lamppost.wording import digits, duration, exactly

_NEVER: Final = np.int64(-(2**62))
_OURS: Final = ""


class ClockSkewSettings(Settings):
    """How wrong a clock may be."""

    off_s: float = Field(
        default=60.0, gt=0, description="A clock further off, ahead or behind, counts as wrong."
    )
    clear_s: float = Field(
        default=30.0, gt=0, description="It counts as wrong until it is this close again."
    )
    periods: float = Field(
        default=2.0,
        ge=0,
        description="Behind, it must also be off by this many of the station's own periods: a "
        "reading that names the beginning of its interval looks late.",
    )
    together: int = Field(
        default=10,
        ge=2,
        description="From this many sensors on, when most are off by the same, the alert is about "
        "this machine's clock instead.",
    )
    stale_s: float = Field(
        default=86_400.0, gt=0, description="Without newer readings it no longer holds."
    )

    @model_validator(mode="after")
    def _ends_before_it_begins(self) -> Self:
        if self.clear_s > self.off_s:
            raise ValueError("clear_s must not exceed off_s")
        return self


@register("alert")
class ClockSkew:
    """Holds while the clock of a device is wrong.

    Judged is, for each series, skew = median of min(receipt - device time), the minimum taken over
    each ten minutes and the median over the last five of them in which the series was heard. It
    begins beyond ``off_s`` and ends at ``clear_s``, about half an hour after the clock was set. A
    clock that is ahead is certain, for no reading arrives before it was sent. One that seems to be
    behind counts only if the minima agree (within 2 s, or 5 % of the skew): a delay varies. When
    most sensors are off by the same, one alert without a sensor says so instead: then it is the
    clock of this machine.

    Source: the sample with the least delay is the best one, as in the clock filter of NTP (RFC
    5905, section 10). Differences of time zones are those of the IANA database, leap seconds those
    of IERS Bulletin C. Spans, limits and what counts as steady are choices, not verified on a
    recorded city.

    Known failures: where every reading is under way for equally long (a gateway that holds them,
    an interval longer than ``periods`` that is named by its beginning), that looks like a clock
    that is behind. A device that is heard less than three times says nothing, and one that gives
    no time has no clock to be judged.
    """

    name: ClassVar[str] = "clock_skew"
    Settings: ClassVar[type[ClockSkewSettings]] = ClockSkewSettings

    @classmethod
    def describe(cls, settings: ClockSkewSettings) -> str:
        """Say how wrong a clock may be, and for how long that is known."""
        return (
            f"It holds while the clock of a device is off by more than {exactly(settings.off_s)}"
            f" (behind, also by more than {digits(settings.periods)} of the station's own"
            f" periods), until it is within {exactly(settings.clear_s)} or unheard for"
            f" {exactly(settings.stale_s)}; when {settings.together} or more are off alike, it is"
            " about this machine's clock instead."
        )

    def __init__(
        self, settings: ClockSkewSettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Start without knowing any clock."""
        self._settings = settings
        self._series = series
        self._stations = stations
        self._off = round(settings.off_s * SECOND_NS)
        self._clear = round(settings.clear_s * SECOND_NS)
        self._ours = self._watching = False
        self._state = SeriesState(
            skew=np.int64(0), spread=np.int64(0), known_at=_NEVER, holds=np.bool_(False)
        )
        self._names: list[str] = []
        self._rows: dict[str, int] = {}
        self._row_of_series: Int64Array = np.empty(0, np.int64)

    def evaluate(self, observed: Observed) -> list[Signal]:
        """Look at clocks when something new is known of them."""
        if not observed.ticked or not (len(observed.clocks) or self._watching):
            return []
        self._meet()
        now, before = observed.now, self._holding()
        stale = now - self._state["known_at"] > self._settings.stale_s * SECOND_NS
        self._state["holds"][stale] = False
        said: list[Signal] = []
        if len(observed.clocks):
            said = self._judge(observed.clocks, now, ~stale)
        elif self._ours and stale.all():
            self._ours = False
            said = [self._our_signal(0, 0, now)]
        held = self._holding()
        self._watching = self._ours or bool(held)
        heard = set(self._row_of_series[observed.clocks.series].tolist())
        said += [
            self._signal(row, now, active=True) for row in sorted(held & (heard | held - before))
        ]
        return said + [self._signal(row, now, active=False) for row in sorted(before - held)]

    def snapshot(self) -> Snapshot:
        """Return what is known of each series' clock."""
        return {**self._state.snapshot(), "ours": np.array(self._ours)}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what is known of each series' clock."""
        self._state.restore(snapshot)
        self._ours = bool(snapshot["ours"])
        self._watching = self._ours or bool(self._state["holds"].any())

    def _meet(self) -> None:
        """Number the sensors of series seen for the first time."""
        self._state.grow(len(self._series))
        known = len(self._row_of_series)
        if known == len(self._series):
            return
        added = np.empty(len(self._series) - known, np.int64)
        for place in range(len(added)):
            name = self._series[known + place].sensor
            row = added[place] = self._rows.setdefault(name, len(self._names))
            if row == len(self._names):
                self._names.append(name)
        self._row_of_series = np.append(self._row_of_series, added)

    def _holding(self) -> set[int]:
        """Return the sensors for which it holds."""
        return set(self._row_of_series[np.flatnonzero(self._state["holds"])].tolist())

    def _judge(self, clocks: ClockBatch, now: int, is_current: BoolArray) -> list[Signal]:
        """Take estimates in and judge every series something is known of."""
        state = self._state
        state["skew"][clocks.series], state["spread"][clocks.series] = clocks.skew, clocks.spread
        state["known_at"][clocks.series] = now
        known = is_current.copy()
        known[clocks.series] = True
        codes = np.flatnonzero(known)
        skew, spread = state["skew"][codes], state["spread"][codes]
        certain = (skew < 0) | is_unset(skew, state["known_at"][codes])
        on = certain | is_steady(skew, spread)
        on &= (skew < -self._off) | self._is_behind(codes, skew)
        # Twice as much may it vary until it ends, so that one at the limit is one alert.
        off = ~(certain | is_steady(skew, spread // 2)) | (np.abs(skew) <= self._clear)
        common, signals = self._look_at_ours(codes, skew, ~off if self._ours else on, now)
        if self._ours:
            shared = np.abs(skew - common) <= self._off
            on &= ~shared
            off |= shared
        state["holds"][codes] = on | (state["holds"][codes] & ~off)
        return signals

    def _is_behind(self, codes: Int64Array, skew: Int64Array) -> BoolArray:
        """Return which clocks seem further behind than they may; few are worth a closer look."""
        behind: BoolArray = skew > self._off
        some = np.flatnonzero(behind)
        names = [self._names[row] for row in self._row_of_series[codes[some]].tolist()]
        behind[some] = skew[some] > np.array([self._allowed(name) for name in names], np.int64)
        return behind

    def _allowed(self, name: str) -> int:
        station = self._stations.get(name)
        period_s = 0.0 if station is None else station.period_s or 0.0
        return max(round(period_s * self._settings.periods * SECOND_NS), self._off)

    def _look_at_ours(
        self, codes: Int64Array, skew: Int64Array, wrong: BoolArray, now: int
    ) -> tuple[int, list[Signal]]:
        """Tell whether it is our own clock: return what most are off by, and what is to be said."""
        common = int(np.median(skew))
        shared = wrong & (np.abs(skew - common) <= self._clear)
        sensors = len(np.unique(self._row_of_series[codes]))
        before = self._ours
        most = 2 * int(np.count_nonzero(shared)) >= len(codes)
        self._ours = most and sensors >= self._settings.together
        if not self._ours and not before:
            return common, []
        return common, [self._our_signal(common, sensors, now)]

    def _our_signal(self, common: int, sensors: int, now: int) -> Signal:
        state = state_of(common, 0, now)
        side = "behind" if common < 0 else "ahead, or all readings take that long"
        sentence = (
            f"most of {sensors} sensors are off by the same: the clock of this machine is probably"
            f" {state.amount} {side}; compare it with a time server"
        )
        if not self._ours:
            sentence = "the sensors no longer say that the clock of this machine is wrong"
        return self._made(_OURS, now, common, sentence, active=self._ours, behind=self._off)

    def _signal(self, row: int, now: int, *, active: bool) -> Signal:
        name = self._names[row]
        codes = np.flatnonzero(self._row_of_series == row)
        codes = codes[self._state["known_at"][codes] != _NEVER]
        if active:
            codes = codes[self._state["holds"][codes]]
        worst = int(codes[np.argmax(np.abs(self._state["skew"][codes]))])
        skew, spread, known_at = (
            int(self._state[column][worst]) for column in ("skew", "spread", "known_at")
        )
        state = state_of(skew, spread, known_at)
        if active:
            sentence = _wrong(name, state)
        elif now - known_at > self._settings.stale_s * SECOND_NS:
            sentence = f"nothing new is known of the clock of {name}; it is no longer judged"
        elif self._ours:
            sentence = f"most sensors are off as {name} is: it is not its clock"
        else:
            sentence = _right(name, state)
        behind = self._allowed(name)
        return self._made(name, now, skew, sentence, active=active, behind=behind)

    def _made(
        self, name: str, now: int, skew: int, sentence: str, *, active: bool, behind: int
    ) -> Signal:
        near = duration(self._settings.clear_s)
        return Signal(
            subject=name,
            quantity="",
            qualifiers="" if name else "clock=ours",
            active=active,
            at=now,
            observed=skew / SECOND_NS,
            expected=0.0,
            band_low=-self._off / SECOND_NS,
            band_high=behind / SECOND_NS,
            unit="s",
            sentence=sentence,
            clears_when=f"time given and time of receipt agree within {near} for half an hour",
        )


def _wrong(name: str, state: ClockState) -> str:
    by_receipt = "its readings are filed under the time of their receipt"
    if state.kind == "unset":
        return f"the clock of {name} is not set, it says {state.date}; {by_receipt}"
    if state.kind == "ahead":
        said = f"the clock of {name} is {state.amount} ahead{state.because}"
        return f"{said}; readings too far in the future are filed under the time of their receipt"
    if state.because:
        said = f"the clock of {name} is {state.amount} behind{state.because}"
        return f"{said}; its readings are filed {state.amount} too early"
    said = f"the clock of {name} is {state.amount} behind, or its readings take that long"
    return f"{said}; if it is the clock, they are filed {state.amount} too early"


def _right(name: str, state: ClockState) -> str:
    if state.kind == "right":
        return f"the clock of {name} is right within a second"
    if state.kind == "delayed":
        return f"the readings of {name} come late by varying times; its clock cannot be judged"
    return f"the clock of {name} is {state.amount} {state.kind}, which is allowed"
