# SPDX-License-Identifier: EUPL-1.2
"""What all indices of hourly means share; an index adds its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from lamppost.batch import AggregateBatch, FloatArray, IndexBatch, Int64Array
from lamppost.component import Settings
from lamppost.index_needs import HeldHours
from lamppost.indices import IndexTable, Scale
from lamppost.series import SeriesTable
from lamppost.state import Snapshot
from lamppost.units import Conditions
from lamppost.wording import by_quantity, counted, listed, percent

from ._news import Rules
from ._rated import LastHours
from ._running import RunningValues
from ._sub_indices import Averaged, SubIndex, SubIndices

HOURS: Final = {"1h": 1, "8h": 8, "24h": 24}
"""Averaging periods made of hourly means."""

QUARTER: Final = "15min"
"""The highest quarter of the newest hour."""

_DAY_HOURS: Final = 24
_MADE: Final = frozenset({*HOURS, QUARTER})
_NEGATIVE: Final = {"zero": "0", "none": "no measurement"}


class HourlySettings(Settings):
    """What makes an hour count."""

    hour_coverage: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Part of an hour (or a quarter of one) that must be covered for it to count.",
    )
    corrected_days: int = Field(
        default=30,
        ge=0,
        description="How far back a corrected hour still corrects values, days: no less than "
        "correction_horizon_s of the windows.",
    )
    negative: Literal["zero", "none"] = Field(
        default="zero",
        description="What an hourly mean below 0 is taken for: zero, or no measurement.",
    )

    def told(self) -> str:
        """Return in words what an index has to say besides."""
        return ""

    def least_hours(self, hours: int) -> int:
        """Return how many hours of an averaging period must count."""
        return hours

    @property
    def rules(self) -> Rules:
        """What makes hours count."""
        corrected_hours = self.corrected_days * _DAY_HOURS
        return Rules(self.hour_coverage, corrected_hours, negative_counts=self.negative == "zero")


class RunningSettings(HourlySettings):
    """What makes a running mean valid."""

    valid_hours: int = Field(
        default=18, ge=1, le=_DAY_HOURS, description="Hours of the 24 that must count for a value."
    )
    valid_hours_of_8: int = Field(
        default=6, ge=1, le=8, description="Hours of the 8 that must count for a value."
    )

    def least_hours(self, hours: int) -> int:
        """Return how many hours of an averaging period must count."""
        return {8: self.valid_hours_of_8, 24: self.valid_hours}.get(hours, hours)


class HourlyIndex:
    """An index of hourly means, by tables.

    A subclass names its number, scale and tables; the highest of a pollutant's sub-indices counts.
    """

    name: ClassVar[str]
    number: ClassVar[int]
    scale: ClassVar[Scale]
    pollutants: ClassVar[Mapping[str, tuple[SubIndex, ...]]]
    Settings: ClassVar[type[HourlySettings]] = HourlySettings

    @classmethod
    def describe(cls, settings: HourlySettings) -> str:
        """Say what is averaged over which time, and what makes an hour count."""
        tables = cls.tables(settings)
        periods = by_quantity(
            tables,
            lambda some, _: f"over {listed([sub.period for sub in some if sub.period in _MADE])}",
        )
        needed = [
            f"{settings.least_hours(hours)} of {hours} h"
            for name, hours in HOURS.items()
            if hours > 1 and any(sub.period == name for some in tables.values() for sub in some)
        ]
        least = f", means need {listed(needed)}" if needed else ""
        told = settings.told()
        return (
            f"{cls.scale.title}, table of {cls.scale.version}, from the means of {periods}: an"
            f" hour counts with {percent(settings.hour_coverage)} covered{least}, a mean below 0"
            f" is taken for {_NEGATIVE[settings.negative]}{told}, and corrections of the last"
            f" {counted(settings.corrected_days, 'day')} are followed ({cls.scale.source})."
        )

    def __init_subclass__(cls) -> None:
        """Say in the scale over which periods the stream is averaged."""
        made = {*HOURS, QUARTER}
        averaging = {
            name: tuple(sub.period for sub in tables if sub.period in made)
            for name, tables in cls.pollutants.items()
        }
        cls.scale = replace(cls.scale, averaging=averaging)

    def __init__(self, settings: HourlySettings, series: SeriesTable) -> None:
        """Prepare the memory of hourly means."""
        self._settings = settings
        self._tables = self.tables(settings)
        self.sub_indices = SubIndices(self._tables, self._averaged)
        periods = {sub.period for tables in self._tables.values() for sub in tables}
        self._values = RunningValues(
            self.number,
            series,
            tuple(self._tables),
            self.sub_indices.rate(tuple(self._tables)),
            settings.rules,
            reach=max([HOURS[period] for period in periods if period in HOURS], default=1),
            outlasts=[max(map(self._outlasts, tables)) for tables in self._tables.values()],
            by_quarter=[
                name
                for name, tables in self._tables.items()
                if any(sub.period == QUARTER for sub in tables)
            ],
        )

    @classmethod
    def tables(cls, settings: HourlySettings) -> Mapping[str, tuple[SubIndex, ...]]:  # noqa: ARG003 - for indices with a choice
        """Return the tables in force under some settings."""
        return cls.pollutants

    @property
    def named_tables(self) -> tuple[IndexTable, ...]:
        """The tables in force, in the order of their numbers."""
        return self.sub_indices.named(self.scale.version)

    def weigh_at(self, conditions: Conditions) -> None:
        """Take masses of gases to be given at some conditions."""
        self._values.weigh_at(conditions)

    def look_back(self, held: HeldHours) -> None:
        """Ask here for hours further back than a day; without it they correct nothing."""
        self._values.look_back(held)

    def update(self, aggregates: AggregateBatch) -> IndexBatch:
        """Take hourly aggregates in and return the index values they lead to."""
        return self._values.update(aggregates)

    def run_on(self, closed: Int64Array) -> IndexBatch:
        """Return the values of hours that have closed without a window."""
        return self._values.run_on(closed)

    def snapshot(self) -> Snapshot:
        """Return the hourly means and revisions that are held."""
        return self._values.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over hourly means and revisions."""
        self._values.restore(snapshot)

    def _outlasts(self, sub: SubIndex) -> int:
        """Return for how many hours a period can lack its newest ones, and one that says so."""
        hours = HOURS.get(sub.period, 1)
        return hours - self._settings.least_hours(hours) + 1

    def _averaged(self, quantity: str, sub: SubIndex, last: LastHours) -> Averaged | None:  # noqa: ARG002 - for indices that average pollutants differently
        """Return means over the period of a sub-index; None where the stream makes none."""
        if sub.period == QUARTER:
            return Averaged(last.highest, np.where(np.isnan(last.highest), 0.0, 1.0))
        if sub.period not in HOURS:
            return None
        hours = HOURS[sub.period]
        return running_mean(last.means[:, :hours], self._settings.least_hours(hours))

    def how(self, quantity: str, sub: SubIndex, last: LastHours) -> list[str]:  # noqa: ARG002 - as above
        """Return, in sentences, how the mean of the first row comes about."""
        if sub.period == QUARTER:
            return ["the highest quarter of the newest hour"]
        hours = HOURS[sub.period]
        if hours == 1:
            return ["the newest hour"]
        valid = int((~np.isnan(last.means[0, :hours])).sum())
        least = self._settings.least_hours(hours)
        return [f"{valid} of the newest {hours} hours count, {least} are needed"]


def running_mean(means: FloatArray, least: int) -> Averaged:
    """Return the mean of the hours of each row that count, shape (n, hours), if enough do."""
    counted = ~np.isnan(means)
    valid = counted.sum(axis=1)
    total = np.where(counted, means, 0.0).sum(axis=1)
    mean = np.where(valid >= least, total / np.maximum(valid, 1), np.nan)
    return Averaged(mean, valid / means.shape[1])
