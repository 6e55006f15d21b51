# SPDX-License-Identifier: EUPL-1.2
"""The working of an index, step by step, for one question.

Hours are averaged and rated by the very code that rates those of the stream, under the policy's own
settings: the answer is what a station with these hours would be told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, cast

import numpy as np

from lamppost.batch import FloatArray
from lamppost.component import Component, Settings
from lamppost.indices import Category, IndexTable, Scale, combine
from lamppost.series import SeriesKey, SeriesTable
from lamppost.units import CONDITIONS, Conditions, to_conditions
from lamppost.wording import unit_of

from . import _ozone
from ._hourly_index import HOURS, QUARTER, HourlySettings
from ._rated import LastHours, Rated
from ._sub_indices import Averaged, SubIndex, SubIndices

_NOWCAST: Final = "nowcast"
_MOST_HOURS: Final = _ozone.LOOKS_BACK


class _List(NamedTuple):
    """What numbers a list holds that are no hours: the highest mean of some in a row counts."""

    what: str
    takes: str
    least: int
    most: int


_LISTS: Final = {
    QUARTER: _List("means of the quarters of one hour, four at most", "the highest is", 1, 4),
    "10min": _List("means of ten minutes of one hour, six at most", "the highest is", 1, 6),
    # WHO 2021: the six months in a row with the highest mean of daily maxima of eight hours.
    "peak_season": _List(
        "six to twelve monthly means of the daily highest eight hours, in a row",
        "the highest mean of six in a row is",
        6,
        12,
    ),
}


class Explains(Protocol):
    """An index that can show its working."""

    scale: Scale
    sub_indices: SubIndices

    @property
    def named_tables(self) -> Sequence[IndexTable]:
        """The tables in force."""
        ...

    def how(self, quantity: str, sub: SubIndex, last: LastHours) -> list[str]:
        """Return, in sentences, how the mean of some hours comes about."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """What is asked about one pollutant.

    Attributes:
        quantity: canonical name.
        period: averaging period; empty for the first one of the index, or for all that are made of
            hours where there are several numbers.
        numbers: in the canonical unit, newest first, NaN where there is none; one number is the
            mean, except for the nowcast, which is made of hours.
        sentences: how they were read.
    """

    quantity: str
    period: str
    numbers: tuple[float, ...]
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Worked:
    """What an index says about one pollutant, and how it comes to that.

    Attributes:
        quantity: canonical name.
        table: the averaging period and the version of the table.
        rated: the answer, one row; the concentration in the canonical unit.
        sentences: the working.
    """

    quantity: str
    table: IndexTable
    rated: Rated
    sentences: tuple[str, ...]

    @property
    def concentration(self) -> float:
        """As the index takes it, canonical unit; NaN without one."""
        return float(self.rated.values.concentration[0])

    @property
    def value(self) -> float:
        """Of the index; NaN without one."""
        return float(self.rated.values.value[0])

    @property
    def category(self) -> int:
        """1 (best) upwards, 0 without a value."""
        return int(self.rated.values.category[0])

    @property
    def beyond(self) -> bool:
        """Whether the value lies beyond the table."""
        return bool(self.rated.values.beyond[0])

    @property
    def coverage(self) -> float:
        """Part of the averaging period that counts."""
        return float(self.rated.coverage[0])


class NoTableError(ValueError):
    """The index says nothing about such a pollutant, averaging period or list of numbers."""


def tables_of(component: Component, settings: Settings) -> Mapping[str, tuple[SubIndex, ...]]:
    """Return the tables of an index by pollutant.

    Raises:
        NoTableError: it is none that works by tables.
    """
    if hasattr(component.cls, "tables"):
        found: Mapping[str, tuple[SubIndex, ...]] = component.cls.tables(
            cast("HourlySettings", settings)
        )
        return found
    message = f"the index {component.name} cannot show its working"
    raise NoTableError(message)


def work(
    component: Component, settings: Settings, given: Given, conditions: Conditions = "eu_20c"
) -> list[Worked]:
    """Return what an index says about a pollutant, over each averaging period that is meant.

    Args:
        component: the index.
        settings: its own, of the policy.
        given: the question.
        conditions: at which masses of gases are given.

    Raises:
        NoTableError: the message says what the index knows.
    """
    chosen = _meant(component, settings, given)
    series = SeriesTable([SeriesKey("question", given.quantity)])
    index: Explains = component.cls(settings, series)
    question = _Question(index, cast("HourlySettings", settings), given, conditions)
    return [question.answer(sub) for sub in chosen]


def _meant(component: Component, settings: Settings, given: Given) -> list[SubIndex]:
    """Return the sub-indices a question is about."""
    tables = tables_of(component, settings)
    if given.quantity not in tables:
        known = ", ".join(tables)
        off = " under this policy" if given.quantity in component.cls.pollutants else ""
        message = f"{component.name} says nothing about {given.quantity}{off}; it knows {known}"
        raise NoTableError(message)
    subs = tables[given.quantity]
    of_hours = [sub for sub in subs if sub.period in HOURS or sub.period == _NOWCAST]
    if not given.period:
        return (of_hours if len(given.numbers) > 1 else []) or [subs[0]]
    chosen = [sub for sub in subs if sub.period == given.period]
    if not chosen:
        known = ", ".join(sub.period for sub in subs)
        message = f"{component.name} has no {given.quantity} over {given.period}; it has {known}"
        raise NoTableError(message)
    return chosen


class _Question:
    """One pollutant as the stream would tell it to the index."""

    def __init__(
        self, index: Explains, settings: HourlySettings, given: Given, conditions: Conditions
    ) -> None:
        self._index, self._given, self._conditions = index, given, conditions
        self._negative = settings.negative
        self._counted = settings.rules.counted(np.array(given.numbers, np.float64))
        self._to_eu = to_conditions(given.quantity, conditions)

    def answer(self, sub: SubIndex) -> Worked:
        averaged, said = self._averaged(sub)
        rated = self._index.sub_indices.rated(self._given.quantity, sub, averaged)
        concentration = rated.values.concentration / self._to_eu
        told = rated._replace(values=rated.values._replace(concentration=concentration))
        sentences = [*self._given.sentences, *self._about_negative(), *said]
        sentences += self._explained(sub, float(averaged.concentration[0]))
        table = self._index.named_tables[int(rated.table[0]) - 1]
        return Worked(self._given.quantity, table, told, tuple(sentences))

    def _averaged(self, sub: SubIndex) -> tuple[Averaged, list[str]]:
        """Return the mean, as the tables mean it, and how it comes about."""
        if len(self._given.numbers) == 1 and sub.period != _NOWCAST:
            said = [f"taken for the mean of {sub.period}"]
            return self._alone(float(self._counted[0])), said
        last = self._last_hours()
        averaged = self._index.sub_indices.averaged(self._given.quantity, sub, last)
        if sub.period in _LISTS or averaged is None:
            mean, said = mean_of_list(sub.period, self._counted)
            return self._alone(mean), said
        return averaged, self._index.how(self._given.quantity, sub, last)

    def _alone(self, mean: float) -> Averaged:
        return Averaged(
            np.array([mean * self._to_eu]), np.array([0.0 if math.isnan(mean) else 1.0])
        )

    def _last_hours(self) -> LastHours:
        """Return the numbers as hours the index is told of, with none before the first."""
        means = np.full((1, _MOST_HOURS), np.nan)
        count = min(len(self._counted), _MOST_HOURS)
        means[0, :count] = self._counted[:count] * self._to_eu
        return LastHours(np.zeros(1, np.int32), np.zeros(1, np.int64), means, np.full(1, np.nan))

    def _about_negative(self) -> list[str]:
        if not any(number < 0 for number in self._given.numbers):
            return []
        way = "taken for 0" if self._negative == "zero" else "no measurement"
        return [f"what is below 0 is {way} (negative: {self._negative})"]

    def _explained(self, sub: SubIndex, mean: float) -> list[str]:
        """Return how a mean becomes the value."""
        if math.isnan(mean):
            return []
        unit = unit_of(self._given.quantity)
        said = f"mean {mean / self._to_eu:.6g} {unit}"
        if self._to_eu != 1.0:
            said += f" at {CONDITIONS[self._conditions]}, {mean:.6g} at {CONDITIONS['eu_20c']}"
        return [said, *sub.table.explain(mean)]


def mean_of_list(period: str, numbers: FloatArray) -> tuple[float, list[str]]:
    """Return the mean a list of numbers stands for that are no hours, and how.

    Raises:
        NoTableError: a list says nothing about such a period; the message says what is expected.
    """
    known = _LISTS.get(period)
    if known is None:
        message = f"the {period} is the mean of all its hours: give that mean, as one number"
        raise NoTableError(message)
    if not known.least <= len(numbers) <= known.most:
        message = f"a list for {period} is {known.what}, not {len(numbers)} numbers"
        raise NoTableError(message)
    runs = np.lib.stride_tricks.sliding_window_view(numbers, known.least)
    whole = runs[~np.isnan(runs).any(axis=1)]
    if not len(whole):
        return math.nan, [f"{known.what}: none of them counts"]
    mean = float(whole.mean(axis=1).max())
    return mean, [f"{known.what}: {known.takes} {mean:.6g}"]


@dataclass(frozen=True, slots=True)
class Together:
    """The value of several pollutants.

    Attributes:
        worst: what decides; None without any value.
        responsible: pollutants that are as bad.
    """

    worst: Worked | None
    responsible: tuple[str, ...]

    def category(self, scale: Scale) -> Category | None:
        """Return the category."""
        return scale.categories[self.worst.category - 1] if self.worst else None


def together(found: Sequence[Worked]) -> Together:
    """Return the value of pollutants as that of a station is: the highest counts."""
    best: dict[str, Worked] = {}
    for worked in found:
        known = best.setdefault(worked.quantity, worked)
        if worked.rated.exceeds(known.rated)[0]:
            best[worked.quantity] = worked
    counted = list(best.values())
    rows = combine(
        np.zeros(len(counted), np.int64),
        np.arange(len(counted)),
        np.array([worked.value for worked in counted], np.float64),
        corrected=np.zeros(len(counted), np.bool_),
    )
    if not rows.responsible.any():
        return Together(None, ())
    responsible = tuple(counted[row].quantity for row in np.flatnonzero(rows.responsible).tolist())
    return Together(counted[int(rows.worst[0])], responsible)
