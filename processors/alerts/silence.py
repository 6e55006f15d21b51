# SPDX-License-Identifier: EUPL-1.2
"""Silence: a device from which nothing has come for too long."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import Field, model_validator

from lamppost.alerts import Signal
from lamppost.batch import Int64Array
from lamppost.component import Observed, Settings, register
from lamppost.grouping import BoolArray
from lamppost.series import SeriesTable
from lamppost.state import SeriesState, Snapshot
from lamppost.stations import Station
from lamppost.times import SECOND_NS, format_instant
from lamppost.wording import digits, duration, exactly, listed

_NEVER: Final = -(2**62)
_PASSED_OVER: Final = -1


class SilenceSettings(Settings):
    """How long a device may be silent."""

    silent_s: float = Field(
        default=900.0, gt=0, description="Shortest silence that counts, seconds."
    )
    periods: float | None = Field(
        default=None,
        gt=0,
        description="Also at least this many of the station's own periods between readings.",
    )
    kinds: tuple[str, ...] = Field(
        default=(), description="Kinds of stations watched; every kind when left empty."
    )
    own_gap_s: float = Field(
        default=60.0,
        gt=0,
        description="After a longer pause of our own clock, silence counts from our return.",
    )
    registered_only: bool = Field(
        default=True,
        description="Whether registered stations alone are watched; if not, steady senders are, "
        "too.",
    )
    steady_for_s: float = Field(
        default=10_800.0,
        gt=0,
        description="An unregistered sensor is watched once it has reported this long without a "
        "silence.",
    )
    forget_after_s: float = Field(
        default=86_400.0,
        gt=0,
        description="An unregistered sensor silent for longer is watched no more: its alert ends.",
    )

    @model_validator(mode="after")
    def _remembers_long_enough(self) -> Self:
        if self.forget_after_s <= self.silent_s:
            raise ValueError("forget_after_s must exceed silent_s")
        return self


@register("alert")
class Silence:
    """Holds while nothing at all has come from a device.

    Looked at with every clock tick: a device is silent when all its series are. A registered
    station that never sent anything is silent from the first tick that knew it. Any name can turn
    up in a message, so an unregistered sensor is watched only if the policy says so, only after it
    has reported steadily for hours, and is forgotten when it does not come back. The time in which
    we ourselves were away is not held against the devices.

    Source: Lamppost's own; the shortest silence is the policy's choice.

    Known failures: a device that repeats its last message forever is not silent (the check of flat
    lines sees that one); a broker that is cut off looks like all its devices falling silent.
    """

    name: ClassVar[str] = "silence"
    Settings: ClassVar[type[SilenceSettings]] = SilenceSettings

    @classmethod
    def describe(cls, settings: SilenceSettings) -> str:
        """Say who is watched, and which silence counts."""
        kinds = f" of kind {listed(settings.kinds, 'or')}" if settings.kinds else ""
        others = ""
        if not settings.registered_only:
            others = (
                f", or from a sensor nobody registered that had reported for"
                f" {exactly(settings.steady_for_s)} (until it is forgotten after"
                f" {exactly(settings.forget_after_s)})"
            )
        periods = ""
        if settings.periods is not None:
            periods = f" and {digits(settings.periods)} of its own periods"
        return (
            f"It holds while nothing has come for {exactly(settings.silent_s)}{periods} from a"
            f" registered station{kinds}{others}; after a pause of more than"
            f" {exactly(settings.own_gap_s)} of this machine it counts from its return."
        )

    def __init__(
        self, settings: SilenceSettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Start knowing no device."""
        self._settings = settings
        self._series = series
        self._stations = stations
        self._met: dict[str, Station] = {}
        self._names: list[str] = []
        self._rows: dict[str, int] = {}
        self._row_of_series: Int64Array = np.empty(0, np.int64)
        self._registered: BoolArray = np.empty(0, np.bool_)
        self._allowed: Int64Array = np.empty(0, np.int64)
        self._state = SeriesState(
            known_at=np.int64(_NEVER),
            heard=np.int64(_NEVER),
            steady_since=np.int64(_NEVER),
            trusted=np.bool_(False),
            silent=np.bool_(False),
        )
        self._ticked_at = _NEVER
        self._returned_at = _NEVER

    def evaluate(self, observed: Observed) -> list[Signal]:
        """Look for silent devices, at clock ticks only."""
        if not observed.ticked:
            return []
        now = observed.now
        if now - self._ticked_at > self._settings.own_gap_s * SECOND_NS:
            self._returned_at = now
        self._ticked_at = now
        self._meet(now)
        self._hear(observed.last_received)
        state = self._state
        quiet = now - np.maximum(np.maximum(state["heard"], state["known_at"]), self._returned_at)
        self._forget(quiet > self._settings.forget_after_s * SECOND_NS)
        silent = (quiet > self._allowed) & (self._registered | state["trusted"])
        ended = np.flatnonzero(state["silent"] & ~silent).tolist()
        state["silent"][:] = silent
        return [
            *(self._signal(row, now, active=True) for row in np.flatnonzero(silent).tolist()),
            *(self._signal(row, now, active=False) for row in ended),
        ]

    def snapshot(self) -> Snapshot:
        """Return the devices known, since when, and which are silent; names and clock as JSON."""
        content = {
            "sensors": self._names,
            "ticked_at": self._ticked_at,
            "returned_at": self._returned_at,
        }
        text = np.frombuffer(json.dumps(content).encode(), np.uint8)
        return {**self._state.snapshot(), "json": text}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the devices known."""
        self._state.restore(snapshot)
        content = json.loads(np.asarray(snapshot["json"], np.uint8).tobytes())
        self._names = content["sensors"]
        self._rows = {name: row for row, name in enumerate(self._names)}
        self._ticked_at, self._returned_at = content["ticked_at"], content["returned_at"]
        self._met = {}
        self._row_of_series = np.empty(0, np.int64)
        self._look_up()

    def _meet(self, now: int) -> None:
        """Number devices seen for the first time, from the registry and from their readings."""
        registry_changed = self._met != self._stations
        if registry_changed:
            self._met = dict(self._stations)
            self._number(self._met)
            # A sensor that was passed over may have been registered since.
            self._row_of_series = np.empty(0, np.int64)
        first = len(self._row_of_series)
        newcomers = [self._series[code].sensor for code in range(first, len(self._series))]
        if not self._settings.registered_only:
            self._number(newcomers)
        added = np.array([self._rows.get(name, _PASSED_OVER) for name in newcomers], np.int64)
        self._row_of_series = np.concatenate([self._row_of_series, added])
        known = len(self._state)
        self._state.grow(len(self._names))
        self._state["known_at"][known:] = now
        if registry_changed or known < len(self._names):
            self._look_up()

    def _number(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._rows:
                self._rows[name] = len(self._names)
                self._names.append(name)

    def _look_up(self) -> None:
        """Keep what the registry says of each device as arrays."""
        self._registered = np.array([name in self._met for name in self._names], np.bool_)
        self._allowed = np.array([self._allowed_of(name) for name in self._names], np.int64)

    def _allowed_of(self, name: str) -> int:
        """Return the silence a device is allowed, ns; endless for a kind that is not watched."""
        settings, station = self._settings, self._met.get(name)
        if settings.kinds and (station is None or station.kind not in settings.kinds):
            return -_NEVER
        period_s = 0.0 if station is None else station.period_s or 0.0
        return round(max(settings.silent_s, (settings.periods or 0.0) * period_s) * SECOND_NS)

    def _hear(self, last_received: Int64Array) -> None:
        """Take in the newest receipts, and trust devices that have reported for long enough."""
        state = self._state
        rows = self._row_of_series[: len(last_received)]
        watched = rows != _PASSED_OVER
        heard = state["heard"].copy()
        np.maximum.at(heard, rows[watched], last_received[: len(rows)][watched])
        gap = heard - np.maximum(state["heard"], self._returned_at)
        begins = (state["steady_since"] == _NEVER) | (gap > self._allowed)
        begins &= heard > state["heard"]
        state["steady_since"][begins] = heard[begins]
        state["heard"][:] = heard
        steady = heard - state["steady_since"] >= self._settings.steady_for_s * SECOND_NS
        state["trusted"][:] |= steady & (state["steady_since"] != _NEVER)

    def _forget(self, gone: BoolArray) -> None:
        self._state["trusted"][gone] = False
        self._state["steady_since"][gone] = _NEVER

    def _signal(self, row: int, now: int, *, active: bool) -> Signal:
        name, allowed = self._names[row], int(self._allowed[row])
        heard, known_at = int(self._state["heard"][row]), int(self._state["known_at"][row])
        silence_s = (now - max(heard, known_at)) / SECOND_NS
        since = format_instant(max(heard, known_at) // SECOND_NS * SECOND_NS)
        clears_when = f"anything is received from {name}"
        if not self._registered[row]:
            clears_when += f", or nothing for {duration(self._settings.forget_after_s)}"
        if active and heard == _NEVER:
            sentence = f"{name} is registered, but nothing has ever been received from it"
        elif active:
            sentence = (
                f"nothing has been received from {name} for {duration(silence_s)}, since {since}"
            )
        elif silence_s * SECOND_NS > allowed:
            sentence = f"{name} has not been heard since {since}; it is no longer watched"
        else:
            sentence = f"{name} is heard again"
        return Signal(
            subject=name,
            quantity="",
            qualifiers="",
            active=active,
            at=now,
            observed=silence_s,
            expected=allowed / SECOND_NS,
            band_low=np.nan,
            band_high=np.nan,
            unit="s",
            sentence=sentence,
            clears_when=clears_when,
        )
