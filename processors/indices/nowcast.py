# SPDX-License-Identifier: EUPL-1.2
"""NowCast: the air quality index of the United States for now rather than for the last day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from lamppost.batch import AggregateBatch, FloatArray, IndexBatch
from lamppost.component import HeldHours, register
from lamppost.indices import Scale
from lamppost.series import SeriesTable
from lamppost.state import Snapshot, nested, part
from lamppost.units import Conditions
from lamppost.wording import counted, digits, listed, percent

from . import _ozone, us_aqi
from ._hourly_index import Averaged, HourlySettings, Mean, SubIndex
from ._hours import CodeArray
from ._rating import Values
from ._running import LastHours, Rated, RunningValues

SCALE: Final = Scale(
    "US AQI NowCast",
    "2024-05",
    "EPA NowCast for particles; USEPA/O3-Nowcast; table of us_aqi",
    us_aqi.SCALE.categories,
    {"pm2_5": ("nowcast",), "pm10": ("nowcast",), "o3": ("nowcast", "1h")},
)
_NEWEST: Final = 3
_LEAST_OF_NEWEST: Final = 2
_PARTICLES: Final = {"pm2_5": us_aqi.PM2_5, "pm10": us_aqi.PM10}


_OZONE: Final = {
    "pls": "of o3 by partial least squares for {series} series and the surrogate for others",
    "surrogate": "of o3 by the surrogate",
    "none": "not of o3",
}


class NowcastSettings(HourlySettings):
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
    that before it. The result is truncated and rated as ``us_aqi`` does.

    Source: MazamaScience/AirMonitor, USEPA/sensortoolkit; USEPA/O3-Nowcast (GetNowcast.r,
    NowcastFun_Upd.r). The EPA publishes no expected result; with all components the estimate for
    its example is 19.584 ppb (not checked against the R code).

    Known failures: 96 weights fitted to 238 hours follow noise; after a gap of eight hours ozone
    falls back to the surrogate for two weeks. A corrected hour of ozone changes up to two weeks of
    values, each worked out anew.
    """

    name: ClassVar[str] = "nowcast"
    number: ClassVar[int] = 2
    scale: ClassVar[Scale] = SCALE
    pollutants: ClassVar[Mapping[str, tuple[SubIndex, ...]]] = {
        **{name: (SubIndex("nowcast", table),) for name, table in _PARTICLES.items()},
        "o3": (SubIndex("nowcast", us_aqi.O3_8H), SubIndex("1h", us_aqi.O3_1H)),
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
            f" {digits(settings.least_weight)} times the hour after it, and {ozone}: an hour counts"
            f" with {percent(settings.hour_coverage)} covered, a mean below 0 is taken for"
            f" {negative}, and corrections of the last {counted(settings.corrected_days, 'day')}"
            f" are followed ({cls.scale.source})."
        )

    def __init__(self, settings: NowcastSettings, series: SeriesTable) -> None:
        """Prepare the memory of hourly means, longer for ozone."""
        self._settings = settings
        self._series = series
        self._ozone_series = np.empty(0, np.int32)
        self._counted = 0
        rules = settings.rules
        self._parts = {
            "particles": RunningValues(
                self.number, series, tuple(_PARTICLES), self._particles, rules, reach=settings.hours
            )
        }
        if settings.ozone != "none":
            reach = _ozone.LOOKS_BACK if settings.ozone == "pls" else _NEWEST
            self._parts["ozone"] = RunningValues(
                self.number, series, ("o3",), self._ozone, rules, reach=reach
            )

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

    def _particles(self, last: LastHours) -> Rated:
        averaged = weighted(last.means, self._settings.least_weight)
        found = us_aqi.PM2_5.values(averaged.concentration)
        other = us_aqi.PM10.values(averaged.concentration)
        return Rated(found.where(last.pollutant == 0, other), averaged.coverage)

    def _ozone(self, last: LastHours) -> Rated:
        per_ppb = us_aqi.O3_8H.per_unit / 1000
        means = last.means / per_ppb
        estimate = _ozone.surrogate(means)
        counted = ~np.isnan(means)
        coverage = counted[:, :_NEWEST].mean(axis=1)
        if self._settings.ozone == "pls":
            for row in np.flatnonzero(np.isin(last.codes, self._estimated())):
                estimate[row] = _ozone.forecast(means[row])
                coverage[row] = counted[row, : _ozone.HISTORY].mean()
        return Rated(rated_ozone(estimate * per_ppb, last.means[:, 0]), coverage)

    def mean_of(self, sub: SubIndex, hours: Sequence[float]) -> Mean:
        """Weigh hours, newest first, as the index does, and say how."""
        if sub.period != "nowcast":
            return Mean(hours[0], [f"the newest hour is {hours[0]:.6g}"])
        if sub.table is us_aqi.O3_8H:
            return self._ozone_of(hours)
        count = self._settings.hours
        newest = np.array([[*hours[:count], *[np.nan] * (count - len(hours))]])
        mean = float(weighted(newest, self._settings.least_weight).concentration[0])
        if np.isnan(mean):
            return Mean(
                mean, [f"fewer than {_LEAST_OF_NEWEST} of the {_NEWEST} newest hours count"]
            )
        low, high = np.nanmin(newest), np.nanmax(newest)
        least = self._settings.least_weight
        weight = max(least, low / high) if high > 0 else 1.0
        return Mean(
            mean,
            [
                f"weight of an hour: max({least:g}, {low:g} / {high:g}) = {weight:.4f}"
                if high > 0
                else "all hours are 0",
                f"sum of weight^i * c_i over sum of weight^i, i hours ago: {mean:.5f}",
            ],
        )

    def _ozone_of(self, hours: Sequence[float]) -> Mean:
        per_ppb = us_aqi.O3_8H.per_unit / 1000
        most = _ozone.LOOKS_BACK
        history = np.array([*hours[:most], *[np.nan] * (most - len(hours))]) / per_ppb
        estimate = _ozone.forecast(history)
        how = "0.85 * newest hour + 4.5 ppb" if _ozone.is_short(history) else "least squares"
        said = f"{int((~np.isnan(history)).sum())} hours: by {how} {estimate:.4f} ppb"
        return Mean(estimate * per_ppb, [said])

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


def rated_ozone(estimate: FloatArray, newest: FloatArray) -> Values:
    """Return the index of an estimate for eight hours, or of the newest hour if that is higher."""
    of_eight, of_hour = us_aqi.O3_8H.values(estimate), us_aqi.O3_1H.values(newest)
    return of_eight.where(~of_hour.exceeds(of_eight), of_hour)
