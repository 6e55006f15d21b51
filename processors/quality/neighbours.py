# SPDX-License-Identifier: EUPL-1.2
"""Neighbours: a station that stands alone among those around it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray, Int64Array
from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.details import Detail
from lamppost.explained import QuantitySettings
from lamppost.flags import Reason
from lamppost.grouping import BoolArray
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import Snapshot
from lamppost.stations import Station
from lamppost.times import SECOND_NS
from lamppost.wording import by_quantity, digits, exactly, in_common, listed, with_unit
from processors._per_series import PerSeries, QuantityName

from ._chosen import Chosen
from ._latest import Latest
from ._nearest import Nearest
from ._verdicts import answer, unsaid

NEIGHBOURS: Final = Reason(
    28,
    "neighbours",
    "The value stands far apart from what the stations around show.",
    "AirGradient map, PM2.5 outlier detection: median and IQR of the neighbours",
)

_NORMAL_IQR: Final = 1.349  # interquartile range of a normal distribution, in standard deviations
_ENOUGH: Final = 5


class NeighbourLimits(Settings):
    """How far one quantity may stand apart."""

    absolute: float = Field(
        default=14.0, gt=0, description="Distance from the median that is always believed."
    )
    scales: float = Field(
        default=3.8, gt=0, description="Distance from the median in robust standard deviations."
    )
    high_from: float | None = Field(
        default=60.0,
        description="Medians from here on are held against scales alone; never when null.",
    )

    def numbers(self) -> tuple[float, ...]:
        """Return the limits in a row."""
        return self.absolute, self.scales, np.inf if self.high_from is None else self.high_from


class NeighboursSettings(QuantitySettings):
    """Limits by quantity, and who is a neighbour; a quantity without limits is not judged."""

    quantities: dict[QuantityName, NeighbourLimits] = Field(
        default_factory=dict, description="Limits by canonical quantity name."
    )
    radii_m: tuple[float, ...] = Field(
        default=(10_000.0, 50_000.0, 300_000.0),
        min_length=1,
        description="Radius of the neighbourhood, metres; the next one where nobody is in it.",
    )
    max_age_s: float = Field(
        default=7_200.0, gt=0, description="How far apart in time two readings may lie, seconds."
    )
    most: int = Field(
        default=8,
        ge=1,
        le=1_000,
        description="Only this many nearest stations are asked. AirGradient asks all within the"
        " radius, which costs more the more there are; from 5 on nothing is widened. A choice.",
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        yield from super().doubts()
        if any(b <= a for a, b in itertools.pairwise((0.0, *self.radii_m))):
            yield "radii_m", "must be above 0 and rise: the next one is asked where nobody is in it"


Cause = Literal["spatial_zscore", "spatial_absolute", "within_threshold", "insufficient_neighbours"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Values held against their neighbours, column by column.

    Attributes:
        count: neighbours that were compared.
        centre: their median.
        scale: their interquartile range over 1.349.
        factor: sqrt(5 / count) below five neighbours, else 1.
        limit: largest distance from the centre that is believed.
        outlier: whether the value lies beyond it; False without neighbours.
    """

    count: Int64Array
    centre: FloatArray
    scale: FloatArray
    factor: FloatArray
    limit: FloatArray
    outlier: BoolArray


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one value is or is not an outlier.

    Attributes:
        reason: which rule decided.
        sentence: the same in words, with the numbers.
        centre: median of the neighbours.
        limit: largest distance from it that is believed.
        count: neighbours that were compared.
    """

    reason: Cause
    sentence: str
    centre: float
    limit: float
    count: int


def compare(value: FloatArray, around: FloatArray, limits: FloatArray) -> Comparison:
    """Hold values against those around them.

    Args:
        value: shape (n,).
        around: values of the neighbours, NaN for none, shape (n, neighbours).
        limits: absolute, scales and high_from, shape (3, n).
    """
    absolute, scales, high_from = limits
    ordered = np.sort(around, axis=1)
    count = (~np.isnan(ordered)).sum(axis=1)
    lower, centre, upper = (_quantile(ordered, count, share) for share in (0.25, 0.5, 0.75))
    with np.errstate(all="ignore"):
        scale = (upper - lower) / _NORMAL_IQR
        factor = np.sqrt(_ENOUGH / np.clip(count, 1, _ENOUGH))
        spread = scales * scale
        # Neighbours that agree to the digit have no scale to measure by.
        by_scale = (centre >= high_from) & (scale > 0)
        limit = np.where(by_scale, spread, np.maximum(absolute, spread)) * factor
        outlier = np.abs(value - centre) > limit
    return Comparison(count, centre, scale, factor, limit, outlier & (count > 0))


def explain(
    value: float, around: Sequence[float], limits: NeighbourLimits | None = None
) -> Explanation:
    """Say in words what :func:`compare` finds.

    >>> print(explain(9, [1, 2, 3, 4, 5]).sentence)
    It is 6 from the median 3 of 5 neighbours (1, 2, 3, 4, 5), whose IQR is 2; 14 is believed.
    """
    rule = limits or NeighbourLimits()
    if not around:
        sentence = "No station near enough has a reading near enough in time."
        return Explanation("insufficient_neighbours", sentence, np.nan, np.nan, 0)
    numbers = np.array([[number] for number in rule.numbers()])
    found = compare(np.array([value], np.float64), np.array([around], np.float64), numbers)
    centre, limit, count = float(found.centre[0]), float(found.limit[0]), int(found.count[0])
    by_scale = rule.high_from is not None and centre >= rule.high_from and found.scale[0] > 0
    reason: Cause = "spatial_zscore" if by_scale else "spatial_absolute"
    if not found.outlier[0]:
        reason = "within_threshold"
    sentence = _sentence(value, [f"{other:.4g}" for other in around], found, 0)
    return Explanation(reason, sentence, centre, limit, count)


def _sentence(value: float, shown: Sequence[str], found: Comparison, row: int) -> str:
    """Say how far a value is from its neighbours, given what each of these showed."""
    centre, limit, count = found.centre[row], found.limit[row], found.count[row]
    few = f"for so few the limit is {found.factor[row]:.4g} times as wide, so that "
    return (
        f"It is {abs(value - centre):.4g} from the median {centre:.4g} of {count}"
        f" neighbour{'s' * bool(count > 1)} ({', '.join(shown)}), whose IQR is"
        f" {found.scale[row] * _NORMAL_IQR:.4g}; {few * bool(count < _ENOUGH)}"
        f"{limit:.4g} is believed."
    )


@register("check")
class Neighbours:
    """Flags values far from what the stations around show at that time.

    Neighbours are the newest readings of the same quantity at the nearest stations of the same
    kind, within the first radius that has any and within ``max_age_s``, as they were when the value
    arrived; failed ones are left out. With their median ``m``, ``s = IQR / 1.349`` and
    ``f = sqrt(5 / n)`` below five neighbours (else 1) a value is suspect when
    ``|x - m| > max(absolute, scales s) f``, and from a median of ``high_from`` on when
    ``|x - m| > scales s f``. It never fails a value: a bonfire is real. What which neighbours
    showed, their median and the limit are published with the reason.

    Source: AirGradient's map, PM2.5 outlier detection; it asks all stations within the radius, here
    the ``most`` nearest are asked, so that a reading costs the same in a city of ten thousand.

    Known failures: a region that fails alike agrees with itself; a kerb or a valley differs from
    its surroundings by right; without stations nothing is judged. Where the nearest stations do not
    measure the quantity, fewer than ``most`` are left to compare with.
    """

    name: ClassVar[str] = "neighbours"
    reasons: ClassVar[tuple[Reason, ...]] = (NEIGHBOURS,)
    scope: ClassVar[Scope] = "city"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[NeighboursSettings]] = NeighboursSettings

    @classmethod
    def describe(cls, settings: NeighboursSettings) -> str:
        """Say how far a station may stand apart, and from whom."""
        given = settings.given()
        absolute = by_quantity(given, lambda one, unit: with_unit(one.absolute, unit))
        scales = in_common(given, lambda one, _: digits(one.scales))
        high = by_quantity(
            given,
            lambda one, unit: (
                "" if one.high_from is None else f"medians from {with_unit(one.high_from, unit)} on"
            ),
        )
        alone = f" (of these two by the spread alone: {high})" if high else ""
        radii = listed([f"{digits(radius / 1000)} km" for radius in settings.radii_m], "or else")
        return (
            "A reading further from the median of the stations around than what is believed in"
            f" any case ({absolute}) and than {scales} robust standard deviations of theirs{alone}"
            f" is suspect, and with n neighbours, fewer than {_ENOUGH}, both are √({_ENOUGH}/n)"
            f" times as far; asked are the {settings.most} nearest of the same kind within {radii}"
            f" that have a reading at most {exactly(settings.max_age_s)} apart."
        )

    def __init__(
        self, settings: NeighboursSettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Prepare the limits; neighbours are found as series appear."""
        self._settings = settings
        self._limits = PerSeries.given_by(series, settings.quantities, width=3)
        self._chosen = Chosen(series, settings.quantities)
        self._nearest = Nearest(
            self._chosen, stations, most=settings.most, radii_m=settings.radii_m
        )
        self._latest = Latest(self._chosen)
        self._max_age_ns = int(settings.max_age_s * SECOND_NS)

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the settings say anything about the quantity."""
        return self._limits.given_for(key.quantity)

    def judge(self, rows: Rows) -> Verdict:
        """Compare every reading with what its neighbours showed when it arrived."""
        where, seen = self._chosen.rows(rows)
        series = rows.groups.series[where]
        asking = np.flatnonzero(seen.usable & self._nearest.any().take(seen.groups.series))
        evaluated, suspect = np.zeros((2, len(seen)), np.bool_)
        if len(asking):
            plain = self._plainly_good(seen, asking, self._limits.of(series[asking]))
            evaluated[asking[plain]] = True
            asking = asking[~plain]
        details: list[Detail] = []
        if len(asking):
            near, around = self._around(seen, asking)
            found = compare(seen.value[asking], around, self._limits.of(series[asking]))
            evaluated[asking[found.count > 0]] = True
            suspect[asking[found.outlier]] = True
            for row in np.flatnonzero(found.outlier).tolist():
                place = asking[row]
                told = _sentence(seen.value[place], self._shown(near[row], around[row]), found, row)
                instant = int(seen.time[place])
                details.append(Detail(int(series[place]), instant, NEIGHBOURS.bit, told))
        self._latest.keep(seen, seen.usable)
        flag, reasons = unsaid(rows.missing)
        flag[where], reasons[where] = answer(
            seen.missing, reason=NEIGHBOURS, evaluated=evaluated, suspect=suspect
        )
        return Verdict(flag, reasons, details=details)

    def _shown(self, near: Int64Array, around: FloatArray) -> list[str]:
        """Return which neighbours showed what, the nearest first."""
        there = np.flatnonzero(~np.isnan(around))
        return [
            f"{self._chosen.key(number).sensor} {value:.4g}"
            for number, value in zip(near[there].tolist(), around[there].tolist(), strict=True)
        ]

    def _plainly_good(self, rows: Rows, asking: Int64Array, limits: FloatArray) -> BoolArray:
        """Return which rows are near every value a neighbour may have shown, old or new.

        A median lies between its values, so these need no median; they are nearly all.
        """
        near = self._nearest.all()
        if asking.size * len(near) < near.shape[1]:
            return np.zeros(len(asking), np.bool_)
        bounds = self._bounds(rows)
        lowest = np.full((len(asking), 2), np.inf)
        number = rows.groups.series[asking].astype(np.intp)
        for beside in near:
            # NOBODY takes the last place, where nothing is.
            np.minimum(lowest, bounds.take(beside.take(number), axis=0), out=lowest)
        low, negative = lowest.T
        absolute, _, high_from = limits
        value = rows.value[asking]
        with np.errstate(invalid="ignore"):
            farthest = np.maximum(value - low, -negative - value)
            # A hair less, for the rounding of the median.
            inside = farthest <= absolute * (1 - 1e-9)
        plain: BoolArray = inside & (-negative < high_from) & (low < np.inf)
        return plain

    def _bounds(self, rows: Rows) -> FloatArray:
        """Return the lowest value and the lowest negative one a series may show a row, (n + 1, 2).

        Infinite where it shows none; minus infinity where it may or may not show one.
        """
        time, value = self._latest.all()
        first, last = int(rows.time.min()), int(rows.time.max())
        age = self._max_age_ns
        known = ~np.isnan(value)
        sure = known & (time >= last - age) & (time <= first + age)
        possible = known & (time >= first - age) & (time <= last + age)
        bounds = np.full((len(value) + 1, 2), np.inf)
        bounds[:-1, 0] = np.where(sure, value, np.where(possible, -np.inf, np.inf))
        bounds[:-1, 1] = np.where(sure, -value, bounds[:-1, 0])
        places, usable, own = rows.groups.places, rows.usable, np.stack([rows.value, -rows.value])
        if not rows.groups.once:
            usable = np.logical_and.reduceat(usable, rows.groups.starts)
            own = np.minimum.reduceat(own, rows.groups.starts, axis=1)
        certain = sure[places] & usable & (last - first <= age)
        now = np.minimum(bounds.take(places, axis=0), own.T)
        now[~certain] = -np.inf
        bounds[places] = now
        return bounds

    def _around(self, rows: Rows, asking: Int64Array) -> tuple[Int64Array, FloatArray]:
        """Return the neighbours of each row, and what counts of them, NaN elsewhere."""
        near, ring = self._nearest.of(rows.groups.series[asking].astype(np.intp))
        found = self._latest.before(rows, asking, near.astype(np.int32), rows.usable)
        with np.errstate(over="ignore"):
            apart_ns = np.abs(found.time - rows.time[asking][:, None])
        fresh = ~np.isnan(found.value) & (apart_ns <= self._max_age_ns)
        inside = fresh & (ring == 0)
        for wider in range(1, len(self._settings.radii_m)):
            lonely = np.flatnonzero(~inside.any(axis=1))
            inside[lonely] = fresh[lonely] & (ring[lonely] <= wider)
        return near, np.where(inside, found.value, np.nan)

    def snapshot(self) -> Snapshot:
        """Return the newest reading of each series."""
        return self._latest.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the newest reading of each series."""
        self._latest.restore(snapshot)


def _quantile(ordered: FloatArray, count: Int64Array, share: float) -> FloatArray:
    """Return a quantile by linear interpolation of rows that ascend, NaN last."""
    if not ordered.shape[1]:
        return np.full(len(ordered), np.nan)
    position = share * np.maximum(count - 1, 0)
    below = position.astype(np.int64)
    row = np.arange(len(ordered))
    low, high = ordered[row, below], ordered[row, np.minimum(below + 1, np.maximum(count - 1, 0))]
    with np.errstate(over="ignore", invalid="ignore"):
        between: FloatArray = low + (high - low) * (position - below)
    return between
