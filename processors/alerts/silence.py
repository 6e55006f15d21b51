# SPDX-License-Identifier: EUPL-1.2
"""Silence: a device from which nothing has come for too long."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from lamppost.alerts import Signal
from lamppost.batch import Int64Array
from lamppost.component import Observed, Settings, register
from lamppost.series import SeriesTable
from lamppost.state import Snapshot
from lamppost.stations import Station
from lamppost.times import SECOND_NS, format_instant

from ._wording import duration

_NEVER: Final = -(2**62)


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
        default=(), description="Kinds of stations watched; every device when left empty."
    )
    own_gap_s: float = Field(
        default=60.0,
        gt=0,
        description="After a longer pause of our own clock, silence counts from our return.",
    )


@register("alert")
class Silence:
    """Holds while nothing at all has come from a device.

    Looked at with every clock tick: a device is silent when all its series are. A registered
    station that never sent anything is silent from the first tick that knew it. The time in which
    we ourselves were away is not held against the devices.
    """

    name: ClassVar[str] = "silence"
    Settings: ClassVar[type[SilenceSettings]] = SilenceSettings

    def __init__(
        self, settings: SilenceSettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Start knowing no device."""
        self._settings = settings
        self._series = series
        self._stations = stations
        self._sensors: dict[str, int] = {}
        self._known_at: Int64Array = np.empty(0, np.int64)
        self._silent: dict[str, int] = {}
        self._sensor_of_series: Int64Array = np.empty(0, np.int64)
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
        heard = np.full(len(self._sensors), _NEVER, np.int64)
        received = observed.last_received[: len(self._sensor_of_series)]
        np.maximum.at(heard, self._sensor_of_series[: len(received)], received)
        counted_from = np.maximum(np.maximum(heard, self._known_at), self._returned_at)
        allowed = self._allowed_ns()
        is_silent = now - counted_from > allowed
        names = list(self._sensors)
        silent = {names[row]: row for row in np.flatnonzero(is_silent).tolist()}
        signals = [
            self._signal(name, now, int(heard[row]), int(allowed[row]), active=True)
            for name, row in silent.items()
        ]
        for name in self._silent:
            if name not in silent:
                row = self._sensors[name]
                signals.append(
                    self._signal(name, now, int(heard[row]), int(allowed[row]), active=False)
                )
        self._silent = silent
        return signals

    def snapshot(self) -> Snapshot:
        """Return the devices known, since when, and which are silent, as JSON."""
        content = {
            "sensors": list(self._sensors),
            "known_at": self._known_at.tolist(),
            "silent": list(self._silent),
            "ticked_at": self._ticked_at,
            "returned_at": self._returned_at,
        }
        return {"json": np.frombuffer(json.dumps(content).encode(), np.uint8)}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the devices known."""
        content = json.loads(np.asarray(snapshot["json"], np.uint8).tobytes())
        self._sensors = {name: number for number, name in enumerate(content["sensors"])}
        self._known_at = np.array(content["known_at"], np.int64)
        self._silent = {name: self._sensors[name] for name in content["silent"]}
        self._ticked_at, self._returned_at = content["ticked_at"], content["returned_at"]
        self._sensor_of_series = np.empty(0, np.int64)

    def _meet(self, now: int) -> None:
        """Number devices seen for the first time, from the registry and from their readings."""
        known = len(self._sensor_of_series)
        newcomers = [self._series[code].sensor for code in range(known, len(self._series))]
        for name in (*self._stations, *newcomers):
            self._sensors.setdefault(name, len(self._sensors))
        added = np.array([self._sensors[name] for name in newcomers], np.int64)
        self._sensor_of_series = np.concatenate([self._sensor_of_series, added])
        unmet = len(self._sensors) - len(self._known_at)
        self._known_at = np.concatenate([self._known_at, np.full(unmet, now, np.int64)])

    def _allowed_ns(self) -> Int64Array:
        """Return the silence each device is allowed; endless for those not watched."""
        return np.array([self._allowed_of(name) for name in self._sensors], np.int64)

    def _allowed_of(self, name: str) -> int:
        settings, station = self._settings, self._stations.get(name)
        if settings.kinds and (station is None or station.kind not in settings.kinds):
            return -_NEVER
        period_s = 0.0 if station is None else station.period_s or 0.0
        return round(max(settings.silent_s, (settings.periods or 0.0) * period_s) * SECOND_NS)

    def _signal(self, name: str, now: int, heard: int, allowed: int, *, active: bool) -> Signal:
        silence_s = (now - max(heard, int(self._known_at[self._sensors[name]]))) / SECOND_NS
        if not active:
            sentence = f"{name} is heard again"
        elif heard == _NEVER:
            sentence = f"{name} is registered, but nothing has ever been received from it"
        else:
            sentence = (
                f"nothing has been received from {name} for {duration(silence_s)}, "
                f"since {format_instant(heard // SECOND_NS * SECOND_NS)}"
            )
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
            clears_when=f"anything is received from {name}",
        )
