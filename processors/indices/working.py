# SPDX-License-Identifier: EUPL-1.2
"""The working of an index, step by step, for one question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from lamppost.component import Component, Settings
from lamppost.indices import Category, Scale, combine
from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesTable

from ._hourly_index import HourlySettings, Mean, SubIndex


class Explains(Protocol):
    """An index that can show its working."""

    scale: Scale

    def mean_of(self, sub: SubIndex, hours: Sequence[float]) -> Mean:
        """Average hours as the index does, newest first, and say how."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """What is asked about one pollutant.

    Attributes:
        quantity: canonical name.
        period: averaging period; empty for the first one of the index.
        hours: in the canonical unit, newest first, NaN where there is none; one number is the mean.
        sentences: how they were read.
    """

    quantity: str
    period: str
    hours: tuple[float, ...]
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Worked:
    """What an index says about one pollutant, and how it comes to that.

    Attributes:
        quantity: canonical name.
        period: averaging period.
        concentration: as the index takes it, canonical unit; NaN without one.
        value: of the index; NaN without one.
        category: 1 (best) upwards, 0 without a value.
        beyond: whether the value lies beyond the table.
        sentences: the working.
    """

    quantity: str
    period: str
    concentration: float
    value: float
    category: int
    beyond: bool
    sentences: tuple[str, ...]


class NoTableError(ValueError):
    """The index says nothing about such a pollutant or averaging period."""


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
    if hasattr(component.cls, "pollutants"):
        named: Mapping[str, tuple[SubIndex, ...]] = component.cls.pollutants
        return named
    message = f"the index {component.name} cannot show its working"
    raise NoTableError(message)


def work(component: Component, settings: Settings, given: Given) -> list[Worked]:
    """Return what an index says about a pollutant, over each averaging period that is meant.

    Raises:
        NoTableError: the message says what the index knows.
    """
    tables = tables_of(component, settings)
    if given.quantity not in tables:
        message = (
            f"{component.name} says nothing about {given.quantity}; it knows {', '.join(tables)}"
        )
        raise NoTableError(message)
    subs = tables[given.quantity]
    period = given.period or subs[0].period
    index: Explains = component.cls(settings, SeriesTable())
    chosen = [sub for sub in subs if sub.period == period]
    if not chosen:
        known = ", ".join(sub.period for sub in subs)
        message = f"{component.name} has no {given.quantity} over {period}; it has {known}"
        raise NoTableError(message)
    return [_worked(index, sub, given) for sub in chosen]


def _worked(index: Explains, sub: SubIndex, given: Given) -> Worked:
    mean = index.mean_of(sub, given.hours)
    values = sub.table.values(np.array([mean.concentration]))
    sentences = [*given.sentences, *mean.sentences]
    if not math.isnan(mean.concentration):
        unit = QUANTITIES[given.quantity].unit
        sentences.append(f"mean {mean.concentration:.6g} {unit}")
        sentences += sub.table.explain(mean.concentration)
    return Worked(
        given.quantity,
        sub.period,
        float(values.concentration[0]),
        float(values.value[0]),
        int(values.category[0]),
        bool(values.beyond[0]),
        tuple(sentences),
    )


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
    names = list(dict.fromkeys(worked.quantity for worked in found))
    rows = combine(
        np.zeros(len(found), np.int64),
        np.array([names.index(worked.quantity) for worked in found], np.int64),
        np.array([worked.value for worked in found], np.float64),
        corrected=np.zeros(len(found), np.bool_),
    )
    if not rows.responsible.any():
        return Together(None, ())
    responsible = dict.fromkeys(
        found[row].quantity for row in np.flatnonzero(rows.responsible).tolist()
    )
    return Together(found[int(rows.worst[0])], tuple(responsible))
