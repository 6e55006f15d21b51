# SPDX-License-Identifier: EUPL-1.2
"""The days of a year held against one rule: exceedances, capture, status, and where it leads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, Int64Array
from lamppost.compliance import CaptureRule, Compliance, ComplianceRule

from .capture import captured
from .daily import Days, Level, levels_of
from .reckoning import day_of_number, month_days, year_days

MET: Final = 0
AT_RISK: Final = 1
EXCEEDED: Final = 2
UNKNOWN: Final = 3
REPORTED: Final = 4
STATUS_NAMES: Final = {
    MET: "met",
    AT_RISK: "at_risk",
    EXCEEDED: "exceeded",
    UNKNOWN: "not_enough_data",
    REPORTED: "reported",
}
NO_DAY: Final = np.iinfo(np.int64).min
"""Stands for no date."""
_SEASON_MONTHS: Final = 6

BoolArray = npt.NDArray[np.bool_]


class Year(NamedTuple):
    """Which part of which year is looked at.

    Attributes:
        year: of the calendar.
        as_of: number of the last day that is complete, of this year or later.
    """

    year: int
    as_of: int

    @property
    def first(self) -> int:
        """Number of the first day."""
        return year_days(self.year)[0]

    @property
    def end(self) -> int:
        """Number of the first day that is not over yet, or not of this year."""
        return max(self.first, min(year_days(self.year)[1], self.as_of + 1))

    @property
    def final(self) -> bool:
        """Whether the year is over."""
        return self.as_of + 1 >= year_days(self.year)[1]

    def back(self, years: int) -> Year:
        """Return an earlier year."""
        return Year(self.year - years, self.as_of)


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a rule says of each of some series, all of shape (series,).

    Attributes:
        exceedances: values of the year above the limit; -1 where none are counted.
        allowance: how many the year may have, with what former years have left over; -1 likewise.
        value: what is compared with the limit: a mean or sum, over several years their mean; where
            exceedances are counted, their number, over several years its mean.
        highest: the highest value of those that are counted; NaN elsewhere.
        capture: part that was measured, as the capture rule asks.
        valid: whether that is enough.
        years: how many years entered.
        status: see :data:`STATUS_NAMES`.
        projected: number of the day on which the allowance is used up at the rate so far, or
            :data:`NO_DAY`.
        interim: how many of the interim targets are met.
        measured: whether there is anything of the year at all.
    """

    exceedances: Int64Array
    allowance: Int64Array
    value: FloatArray
    highest: FloatArray
    capture: FloatArray
    valid: BoolArray
    years: Int64Array
    status: npt.NDArray[np.uint8]
    projected: Int64Array
    interim: Int64Array
    measured: BoolArray


def assess(rule: ComplianceRule, days: Days, year: Year, rules: Compliance) -> Assessment:
    """Hold the days of a year against a rule.

    Args:
        rule: whose windows the days are made of.
        days: as many as the rule needs; those of former years where it is about several.
        year: which year, and how far it has come.
        rules: what counts as measured.
    """
    if rule.counts:
        return _counted(rule, days, year, rules)
    return _compared(rule, days, year, rules)


def exceedances_by_day(
    rule: ComplianceRule, days: Days, year: Year, rules: Compliance
) -> npt.NDArray[np.uint16]:
    """Return how often the limit was exceeded on each day of a year, shape (series, days)."""
    own = days.between(year.first, year.end)
    if not rule.counts or rule.limit is None:
        return np.zeros((own.series, own.end - own.first), np.uint16)
    return _daily_counts(rule, own, Level.of(rule, rule.limit), rules)


def _daily_counts(
    rule: ComplianceRule, days: Days, level: Level, rules: Compliance
) -> npt.NDArray[np.uint16]:
    if rule.averaging not in {"day", "max_daily_8h"}:
        return days.over(level)
    return level.exceeded(_daily(rule, days, rules)).astype(np.uint16)


def _total(counts: npt.NDArray[np.uint16]) -> Int64Array:
    total: Int64Array = counts.sum(axis=1, dtype=np.int64)
    return total


def _daily(rule: ComplianceRule, days: Days, rules: Compliance) -> FloatArray:
    """Return the one value of each day that the rule is about."""
    if rule.averaging == "day":
        return days.means(rules)
    if rule.averaging in {"max_daily_8h", "peak_season"}:
        return days.peaks()
    return days.highest()


def _units(rule: ComplianceRule, days: Days, rules: Compliance) -> tuple[Int64Array, Int64Array]:
    """Return how many values each day has, shape (series, days), and how many it may have."""
    if rule.averaging in {"day", "max_daily_8h", "peak_season"}:
        valid = ~np.isnan(_daily(rule, days, rules))
        return valid.astype(np.int64), (days.possible > 0).astype(np.int64)
    if rule.accumulate is not None:
        possible = days.accumulating(rule.accumulate)
        wanted = _in_months(days, rule.accumulate.months)
        valid = days.accumulated(rule.accumulate)[1].astype(np.int64)
        return valid * wanted, possible * wanted
    if rule.samples == "days":
        return (days.valid() > 0).astype(np.int64), (days.possible > 0).astype(np.int64)
    return days.valid().astype(np.int64), days.possible


def _in_months(days: Days, months: Sequence[int]) -> BoolArray:
    return np.array([day_of_number(day).month in months for day in range(days.first, days.end)])


def _capture(
    rule: ComplianceRule, days: Days, year: Year, rules: Compliance, capture: CaptureRule
) -> tuple[FloatArray, BoolArray]:
    own = days.between(year.first, year.end)
    valid, possible = _units(rule, own, rules)
    return captured(capture, rules.summer_months, valid, possible, own.first)


# ---- values that are counted
def _counted(rule: ComplianceRule, days: Days, year: Year, rules: Compliance) -> Assessment:
    levels = levels_of(rule)
    permitted = rule.permitted or 0
    capture, valid = _capture(rule, days, year, rules, rule.capture)
    own = days.between(year.first, year.end)
    counts = [_total(_daily_counts(rule, own, level, rules)) for level in levels]
    count = counts[0]
    former, years = _former_counts(rule, days, year, rules, levels[0])
    allowance = np.maximum(permitted * years - former, -1)
    exceeded = count > allowance
    units, _ = _units(rule, own, rules)
    measured = units.sum(axis=1)
    enough_years = years - ~valid >= rule.years_needed
    projected = _projection(count, allowance, units, year, rules)
    soon = (projected != NO_DAY) & (projected < year_days(year.year)[1])
    status = _status(
        [
            (exceeded, EXCEEDED),
            (~valid | ~enough_years, UNKNOWN),
            (soon, AT_RISK),
        ],
        len(count),
    )
    daily = _daily(rule, own, rules)
    return Assessment(
        exceedances=count,
        allowance=np.maximum(allowance, 0),
        value=(count + former) / years,
        highest=_or_nan(np.nanmax, daily) / rule.scale,
        capture=capture,
        valid=valid,
        years=years,
        status=status,
        projected=np.where(exceeded, NO_DAY, projected),
        interim=_interim([number <= permitted for number in counts[1:]], len(count)),
        measured=measured > 0,
    )


def _former_counts(
    rule: ComplianceRule, days: Days, year: Year, rules: Compliance, level: Level
) -> tuple[Int64Array, Int64Array]:
    """Return the exceedances of the former years that enter, and how many years enter with them."""
    total = np.zeros(days.series, np.int64)
    years = np.ones(days.series, np.int64)
    for back in range(1, rule.years):
        former = year.back(back)
        _, valid = _capture(rule, days, former, rules, rule.capture)
        own = days.between(former.first, former.end)
        total += np.where(valid, _total(_daily_counts(rule, own, level, rules)), 0)
        years += valid
    return total, years


def _projection(
    count: Int64Array, allowance: Int64Array, units: Int64Array, year: Year, rules: Compliance
) -> Int64Array:
    """Return the day on which one more than the allowance is reached at the rate so far.

    The rate is exceedances per day with data, and every coming day is taken to have data.
    """
    days = (units > 0).sum(axis=1)
    known = (count > 0) & (days >= rules.project_from_days) & (not year.final)
    needed = np.maximum(allowance + 1 - count, 0)
    ahead = -(-needed * days // np.maximum(count, 1))
    return np.where(known, year.end - 1 + ahead, NO_DAY)


# ---- one value of the year that is compared
def _compared(rule: ComplianceRule, days: Days, year: Year, rules: Compliance) -> Assessment:
    values, valids, captures = [], [], []
    for back in range(rule.years):
        former = year.back(back)
        capture, valid = _capture(rule, days, former, rules, rule.capture)
        found, complete = _STATISTICS[rule.averaging](rule, days, former, rules)
        values.append(found)
        captures.append(capture)
        valids.append(valid & complete & ~np.isnan(found))
    entering = np.array(valids)
    years = entering.sum(axis=0)
    total = np.where(entering, values, 0.0).sum(axis=0)
    # One year that is not valid, or not over, is told all the same; it is no verdict.
    mean = np.where(years > 0, total / np.maximum(years, 1), values[0])
    enough = years >= rule.years_needed
    levels = levels_of(rule)
    over = [level.exceeded(mean) for level in levels]
    worse = over[0] if levels else np.zeros(len(mean), np.bool_)
    # What was added up over, or the highest of some stretches, does not fall again.
    ended = year.final or rule.averaging in {"aot40", "peak_season"}
    steps = [(~enough, UNKNOWN), (worse, EXCEEDED if ended else AT_RISK)]
    if not levels:
        steps = [(~enough, UNKNOWN), (np.ones(len(mean), np.bool_), REPORTED)]
    own = days.between(year.first, year.end)
    nothing = np.full(len(mean), -1, np.int64)
    return Assessment(
        exceedances=nothing,
        allowance=nothing,
        value=mean / rule.scale,
        highest=np.full(len(mean), np.nan),
        capture=captures[0],
        valid=valids[0],
        years=years,
        status=_status(steps, len(mean)),
        projected=np.full(len(mean), NO_DAY),
        interim=_interim([~found for found in over[1:]], len(mean)),
        measured=np.asarray(own.valid().any(axis=1), np.bool_),
    )


def _mean_of_year(
    rule: ComplianceRule,
    days: Days,
    year: Year,
    rules: Compliance,
) -> tuple[FloatArray, BoolArray]:
    """Return the mean of the valid hours of a year, or of its days."""
    own = days.between(year.first, year.end)
    valid = _units(rule, own, rules)[0].astype(np.float64)
    total = np.where(valid > 0, own.window_means() * valid, 0.0).sum(axis=1)
    count = valid.sum(axis=1)
    mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean, np.ones(len(mean), np.bool_)


def _sum_of_year(
    rule: ComplianceRule,
    days: Days,
    year: Year,
    rules: Compliance,
) -> tuple[FloatArray, BoolArray]:
    """Return what the months add up to, scaled to all their hours; complete when they are over.

    Scaled by possible over valid hours (2008/50/EC, Annex VII).
    """
    own = days.between(year.first, year.end)
    if rule.accumulate is None:
        raise ValueError(rule.averaging)
    wanted = _in_months(own, rule.accumulate.months)
    total = (own.accumulated(rule.accumulate)[0] * wanted).sum(axis=1)
    valid, possible = _units(rule, own, rules)
    hours = valid.sum(axis=1)
    scaled = total * np.divide(
        possible.sum(), hours, out=np.full(len(total), np.nan), where=hours > 0
    )
    over = year.as_of + 1 >= month_days(year.year, max(rule.accumulate.months))[1]
    return scaled, np.full(len(scaled), over)


def _peak_season(
    rule: ComplianceRule, days: Days, year: Year, rules: Compliance
) -> tuple[FloatArray, BoolArray]:
    """Return the highest mean of the daily peaks over six months in a row that end in the year.

    Months that are not over, or stretches with too little data, do not enter.
    """
    best = np.full(days.series, np.nan)
    for last in range(1, 13):
        end = month_days(year.year, last)[1]
        month = year.year * 12 + last - _SEASON_MONTHS
        first = month_days(month // 12, month % 12 + 1)[0]
        own = days.between(first, end)
        if end > year.as_of + 1 or (own.first, own.end) != (first, end):
            continue
        peaks = _daily(rule, own, rules)
        share = (~np.isnan(peaks)).mean(axis=1)
        best = np.fmax(
            best, np.where(share >= rule.capture.share - 1e-9, _or_nan(np.nanmean, peaks), np.nan)
        )
    return best, ~np.isnan(best)


_STATISTICS: Final[
    dict[str, Callable[[ComplianceRule, Days, Year, Compliance], tuple[FloatArray, BoolArray]]]
] = {"year": _mean_of_year, "aot40": _sum_of_year, "peak_season": _peak_season}


def _status(steps: Sequence[tuple[BoolArray, int]], size: int) -> npt.NDArray[np.uint8]:
    """Return the first status whose condition holds, met where none does."""
    status = np.full(size, MET, np.uint8)
    for condition, name in reversed(steps):
        status[condition] = name
    return status


def _interim(met: Sequence[BoolArray], size: int) -> Int64Array:
    targets: Int64Array = np.sum([np.zeros(size, np.int64), *met], axis=0)
    return targets


def _or_nan(function: Callable[..., FloatArray], values: FloatArray) -> FloatArray:
    """Apply a function along the rows that hold a number, NaN for the others."""
    found = np.full(len(values), np.nan)
    some = ~np.isnan(values).all(axis=1) if values.shape[1] else np.zeros(len(values), np.bool_)
    found[some] = function(values[some], axis=1)
    return found
