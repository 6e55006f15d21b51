# SPDX-License-Identifier: EUPL-1.2
"""NowCast: the air quality index of the United States for now rather than for the last day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from lamppost.batch import AggregateBatch, FloatArray, IndexBatch, Int64Array
from lamppost.component import register
from lamppost.index_needs import HeldHours
from lamppost.indices import IndexTable, Scale
from lamppost.series import SeriesTable
from lamppost.state import Snapshot, nested, part
from lamppost.units import Conditions
from lamppost.wording import counted, digits, listed, percent

from . import _ozone, us_aqi
from ._hourly_index import HourlySettings
from ._hours import CodeArray
from ._rated import LastHours
from ._running import RunningValues
from ._sub_indices import Averaged, SubIndex, SubIndices

SCALE: Final = Scale(
    "US AQI NowCast",
    "2024-05",
    "EPA NowCast for particles; USEPA/O3-Nowcast; table of us_aqi",
    us_aqi.SCALE.categories,
    {"pm2_5": ("nowcast",), "pm10": ("nowcast",), "o3": ("nowcast", "1h")},
)
_NEWEST: Final = 3
_LEAST_OF_NEWEST: Final = 2
_NOWCAST: Final = "nowcast"
_PARTICLES: Final = {"pm2_5": us_aqi.PM2_5, "pm10": us_aqi.PM10}
# Hours after the last one for which particles and ozone have values, the last of them none.
_PARTICLES_OUTLAST: Final = _NEWEST - _LEAST_OF_NEWEST + 1
_OZONE_OUTLASTS: Final = _NEWEST


_OZONE: Final = {
    "pls": "of o3 by partial least squares for {series} series, for others and with less than 252"
    " of 336 h by 0.85 times the newest hour and 4.5 ppb",
    "surrogate": "of o3 by 0.85 times the newest hour and 4.5 ppb",
    "none": "not of o3",
}


class NowcastSettings(us_aqi.UsTableSettings, HourlySettings):
    """How much each hour weighs, and how ozone is estimated."""

    hours: int = Field(
        default=12, ge=3, le=24, description="Hours that enter (12; the variant pmAsian: 3)."
    )
    least_weight: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Least weight of an hour against the one after it (0.5; pmAsian: 0.1).",
    )
    ozone: Literal["pls", "surrogate", "none"] = Field(
        default="pls",
        description="How the ozone of eight hours is estimated: by partial least squares from two "
        "weeks of hours (the surrogate where they do not suffice), by the surrogate, or not.",
    )
    pls_series: int = Field(
        default=100,
        ge=0,
        description="Most series of ozone, the first to appear, that partial least squares "
        "estimate: each hour of each costs about 0.3 ms; the others take the surrogate.",
    )


@register("index")
class Nowcast:
    """US AQI of PM2.5, PM10 and O3 for now: recent hours weigh more where the air is changing.

    Formula, particles: with c_i the mean i hours ago of the hours that count among the last 12,
    w = max(0.5, min c / max c) and NowCast = sum w^i c_i / sum w^i, if 2 of the 3 newest hours
    count. Ozone: partial least squares with all components: 96 lagged hours predict the mean from
    4 hours before to 3 hours after now, fitted to the last 336 hours, gaps filled by a moving
    average; with fewer than 252 hours or more than 7 missing in a row 0.85 times the newest of
    three hours plus 4.5 ppb; where the newest hour is missing, the NowCast of the hour before or of
    that before it. The result is truncated and rated as ``us_aqi`` does. Neither needs the newest
    hour: an hour without readings has a value as long as those before it allow one, and the first
    that has none says so.

    Source: MazamaScience/AirMonitor, USEPA/sensortoolkit; USEPA/O3-Nowcast (GetNowcast.r,
    NowcastFun_Upd.r). The EPA publishes no expected result; with all components the estimate for
    its example is 19.584 ppb (not checked against the R code).

    Known failures: a station has a value from its second hour on, where AirMonitor asks for 12
    hours of record (AirNow's own rule was not read); 96 weights fitted to 238 hours follow noise;
    after a gap of eight hours ozone falls back to the surrogate for two weeks. A corrected hour of
    ozone changes up to two weeks of values, each worked out anew.
    """

    name: ClassVar[str] = "nowcast"
    number: ClassVar[int] = 2
    scale: ClassVar[Scale] = SCALE
    pollutants: ClassVar[Mapping[str, tuple[SubIndex, ...]]] = {
        **{name: (SubIndex(_NOWCAST, table),) for name, table in _PARTICLES.items()},
        "o3": (SubIndex(_NOWCAST, us_aqi.O3_8H), SubIndex("1h", us_aqi.O3_1H)),
    }
    Settings: ClassVar[type[NowcastSettings]] = NowcastSettings

    @classmethod
    def describe(cls, settings: NowcastSettings) -> str:
        """Say how much each hour weighs, and how ozone is estimated."""
        ozone = _OZONE[settings.ozone].format(series=settings.pls_series)
        negative = "0" if settings.negative == "zero" else "no measurement"
        return (
            f"{cls.scale.title}, table of {cls.scale.version}, of {listed(list(_PARTICLES))} from"
            f" the last {settings.hours} h, each weighing no less than"
            f" {digits(settings.least_weight)} times the hour after it, with {_LEAST_OF_NEWEST} of"
            f" the {_NEWEST} newest, and {ozone}: an hour counts with"
            f" {percent(settings.hour_coverage)} covered, a mean below 0 is taken for"
            f" {negative}{settings.told()}, and corrections of the last"
            f" {counted(settings.corrected_days, 'day')} are followed ({cls.scale.source})."
        )

    def __init__(self, settings: NowcastSettings, series: SeriesTable) -> None:
        """Prepare the memory of hourly means, longer for ozone."""
        self._settings = settings
        self._series = series
        self._ozone_series = np.empty(0, np.int32)
        self._counted = 0
        tables = self.tables(settings)
        self.sub_indices = SubIndices(tables, self._averaged)
        self._parts = {
            "particles": self._running(tuple(_PARTICLES), settings.hours, _PARTICLES_OUTLAST)
        }
        if "o3" in tables:
            reach = _ozone.LOOKS_BACK if settings.ozone == "pls" else _NEWEST
            self._parts["ozone"] = self._running(("o3",), reach, _OZONE_OUTLASTS)

    def _running(self, pollutants: tuple[str, ...], reach: int, outlasts: int) -> RunningValues:
        return RunningValues(
            self.number,
            self._series,
            pollutants,
            self.sub_indices.rate(pollutants),
            self._settings.rules,
            reach=reach,
            outlasts=[outlasts] * len(pollutants),
        )

    @classmethod
    def tables(cls, settings: NowcastSettings) -> Mapping[str, tuple[SubIndex, ...]]:
        """Return the tables a city has decided for."""
        return {
            name: tuple(settings.chosen(sub) for sub in subs)
            for name, subs in cls.pollutants.items()
            if name != "o3" or settings.ozone != "none"
        }

    @property
    def named_tables(self) -> tuple[IndexTable, ...]:
        """The tables in force, in the order of their numbers."""
        return self.sub_indices.named(self.scale.version)

    def weigh_at(self, conditions: Conditions) -> None:
        """Take masses of gases to be given at some conditions."""
        for values in self._parts.values():
            values.weigh_at(conditions)

    def look_back(self, held: HeldHours) -> None:
        """Ask here for hours further back than a day; without it they correct nothing."""
        for values in self._parts.values():
            values.look_back(held)

    def update(self, aggregates: AggregateBatch) -> IndexBatch:
        """Take hourly aggregates in and return the index values they lead to."""
        found = [values.update(aggregates) for values in self._parts.values()]
        return IndexBatch.concat([batch for batch in found if len(batch)] or found[:1])

    def run_on(self, closed: Int64Array) -> IndexBatch:
        """Return the values of hours that have closed without a window."""
        found = [values.run_on(closed) for values in self._parts.values()]
        return IndexBatch.concat([batch for batch in found if len(batch)] or found[:1])

    def snapshot(self) -> Snapshot:
        """Return the hourly means and revisions that are held."""
        arrays: Snapshot = {}
        for name, values in self._parts.items():
            arrays.update(nested(name, values.snapshot()))
        return arrays

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over hourly means and revisions; what is not told of starts afresh."""
        for name, values in self._parts.items():
            own = part(name, snapshot)
            if own:
                values.restore(own)

    def _averaged(self, quantity: str, sub: SubIndex, last: LastHours) -> Averaged:
        if sub.period != _NOWCAST:
            return Averaged(last.means[:, 0], np.where(np.isnan(last.means[:, 0]), 0.0, 1.0))
        if quantity in _PARTICLES:
            hours = last.means[:, : self._settings.hours]
            return weighted(hours, self._settings.least_weight)
        return self._ozone(last)

    def _ozone(self, last: LastHours) -> Averaged:
        per_ppb = us_aqi.O3_8H.per_unit / 1000
        means = last.means / per_ppb
        estimate = _ozone.surrogate(means)
        counted = ~np.isnan(means)
        coverage = counted[:, :_NEWEST].mean(axis=1)
        for row in self._least_squares(last):
            estimate[row] = _ozone.forecast(means[row])
            if not _ozone.is_short(means[row]):
                coverage[row] = counted[row, : _ozone.HISTORY].mean()
        return Averaged(estimate * per_ppb, coverage)

    def _least_squares(self, last: LastHours) -> list[int]:
        """Return the rows that partial least squares estimate, where there are enough hours."""
        if self._settings.ozone != "pls":
            return []
        return np.flatnonzero(np.isin(last.codes, self._estimated())).tolist()

    def how(self, quantity: str, sub: SubIndex, last: LastHours) -> list[str]:
        """Return, in sentences, how the mean of the first row comes about."""
        if sub.period != _NOWCAST:
            return ["the newest hour"]
        if quantity in _PARTICLES:
            return _weights(last.means[0, : self._settings.hours], self._settings.least_weight)
        history = last.means[0] / (us_aqi.O3_8H.per_unit / 1000)
        fitted = bool(self._least_squares(last)) and not _ozone.is_short(history)
        how = "least squares" if fitted else "0.85 * newest hour + 4.5 ppb"
        count = int((~np.isnan(history[: _ozone.HISTORY])).sum())
        return [f"{count} hours count: by {how}"]

    def _estimated(self) -> CodeArray:
        """Return the series that are estimated by partial least squares."""
        if self._counted < len(self._series):
            self._ozone_series = self._series.codes_of_quantity("o3")
            self._counted = len(self._series)
        return self._ozone_series[: self._settings.pls_series]


def weighted(means: FloatArray, least_weight: float) -> Averaged:
    """Return the weighted mean of hours, newest first, shape (n, hours), if the newest are there.

    >>> weighted(np.array([[30.0, 20.0, np.nan]]), 0.5).concentration.round(4).tolist()
    [26.0]
    """
    counted = ~np.isnan(means)
    low = np.where(counted, means, np.inf).min(axis=1)
    high = np.where(counted, means, -np.inf).max(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where(high > 0, np.maximum(low / high, least_weight), 1.0)
    weights = np.where(counted, weight[:, None] ** np.arange(means.shape[1]), 0.0)
    total = (weights * np.where(counted, means, 0.0)).sum(axis=1)
    enough = counted[:, :_NEWEST].sum(axis=1) >= _LEAST_OF_NEWEST
    mean = np.where(enough, total / np.maximum(weights.sum(axis=1), np.finfo(float).tiny), np.nan)
    return Averaged(mean, counted.mean(axis=1))


def _weights(hours: FloatArray, least: float) -> list[str]:
    """Return, in sentences, how hours are weighed, newest first."""
    there = hours[~np.isnan(hours)]
    newest = int((~np.isnan(hours[:_NEWEST])).sum())
    said = [f"{newest} of the {_NEWEST} newest hours count, {_LEAST_OF_NEWEST} are needed"]
    if newest < _LEAST_OF_NEWEST:
        return said
    low, high = float(there.min()), float(there.max())
    if high <= 0:
        return [*said, "all hours are 0"]
    weight = max(least, low / high)
    return [
        *said,
        f"weight of an hour: max({least:g}, {low:g} / {high:g}) = {weight:.4f}",
        "sum of weight^i * c_i over sum of weight^i, i hours ago",
    ]
