# SPDX-License-Identifier: EUPL-1.2
"""Which new series are let in: names are the devices' choice, and every series takes memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from lamppost.policy import GrowthRule
from lamppost.refusal_codes import Code
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS


class TurnedAway(NamedTuple):
    """Why a new series is not let in.

    Attributes:
        code: a reason code of quarantine.
        detail: what exactly, for the owner of the device.
    """

    code: Code
    detail: str


class Admission:
    """Numbers series, new ones within what the policy allows.

    What is turned away leaves no trace here, so it may be let in later: the hour goes by, the
    sensor is registered, the policy changes.
    """

    def __init__(self, series: SeriesTable, stations: Collection[str]) -> None:
        """Take the table of series, and the sensors the register knows; both may grow."""
        self.rule = GrowthRule()
        self._series = series
        self._stations = stations
        self._of_sensor = Counter(key.sensor for key in series)
        self._hour = 0
        self._new = 0
        self.register()

    def register(self) -> None:
        """Count anew how many sensors the register does not know."""
        self._strangers = sum(sensor not in self._stations for sensor in self._of_sensor)

    def knows(self, sensor: str) -> bool:
        """Return whether a sensor is registered or has a series."""
        return sensor in self._stations or sensor in self._of_sensor

    def code(self, key: SeriesKey, now: int) -> int | TurnedAway:
        """Return the code of a series, or why it is turned away."""
        known = self._series.find(key)
        if known is not None:
            return known
        refusal = self._refusal(key.sensor, now)
        if refusal is not None:
            return refusal
        if self._is_stranger(key.sensor):
            self._strangers += 1
            self._new += 1
        self._of_sensor[key.sensor] += 1
        return self._series.code(key)

    def _refusal(self, sensor: str, now: int) -> TurnedAway | None:
        rule = self.rule
        if now // HOUR_NS != self._hour:
            self._hour, self._new = now // HOUR_NS, 0
        if self._of_sensor.get(sensor, 0) >= rule.series_per_sensor:
            detail = f"{rule.series_per_sensor} series of it are known"
            return TurnedAway("too_many_series", detail)
        if not self._is_stranger(sensor):
            return None
        if self._strangers >= rule.unregistered_sensors:
            detail = f"{rule.unregistered_sensors} unregistered sensors are known"
            return TurnedAway("too_many_sensors", f"{detail}; register {sensor!r}")
        if self._new >= rule.new_sensors_per_h:
            detail = f"{sensor!r} is one too many new ones in this hour"
            return TurnedAway("too_many_sensors", detail)
        return None

    def _is_stranger(self, sensor: str) -> bool:
        """Return whether a sensor would be one more that neither we nor the register know."""
        return sensor not in self._of_sensor and sensor not in self._stations

    def facts(self) -> dict[str, Any]:
        """Return what does not follow from the series and the register."""
        return {"hour": self._hour, "new": self._new}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take over such a document."""
        self._hour, self._new = facts["hour"], facts["new"]
