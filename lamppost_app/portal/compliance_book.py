# SPDX-License-Identifier: EUPL-1.2
"""Every station's year held against every rule, as columns; worked out anew when it changes."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lamppost.batch import Int64Array
from lamppost.compliance import Basis, Compliance, ComplianceRule, RuleSet
from lamppost.rating import Rating
from lamppost.series import SeriesKey
from processors.compliance.assessment import (
    NO_DAY,
    STATUS_NAMES,
    Assessment,
    Year,
    assess,
    exceedances_by_day,
)
from processors.compliance.daily import Days
from processors.compliance.reckoning import Reckoning, day_of_number, year_days
from sinks.store_reader import QueryTimedOut, Row, StoreReader

from . import queries_compliance
from .compliance_days import KeptDays

_LOAD_TIMEOUT_S: Final = 300.0
_WAIT_S: Final = 8.0
_MOST_YEARS: Final = 3
"""Years kept: the one under way, the one before, and one that somebody looks at."""
# Typed loosely: the Arrow stubs know no arrays of mixed types.
_arrow: Any = pa
_NOTHING: Final[pa.Table] = _arrow.table({"place": []})


class RuleKey(NamedTuple):
    """One rule of one set."""

    rule_set: str
    rule: str


class YearRules(NamedTuple):
    """What a city says of its years.

    Attributes:
        policy: version of the policy.
        compliance: the limits.
        rating: which of raw and corrected series are held against them.
        zone: the city's time zone.
    """

    policy: str
    compliance: Compliance
    rating: Rating
    zone: str


@dataclass(frozen=True, slots=True)
class Exceedances:
    """On which days the series of a rule were above the limit, and how often.

    Attributes:
        row: of the series, ascending.
        day: number of the day.
        count: how often.
    """

    row: Int64Array
    day: Int64Array
    count: npt.NDArray[np.uint16]

    def of(self, row: int) -> list[tuple[int, int]]:
        """Return the days of one series, with how often."""
        at = slice(*np.searchsorted(self.row, [row, row + 1]))
        return list(zip(self.day[at].tolist(), self.count[at].tolist(), strict=True))


@dataclass(frozen=True)
class YearTable:
    """A year of every station.

    Attributes:
        year: which.
        version: changes when anything in it does.
        as_of: number of the last day that entered.
        compliance: the rules.
        table: one row for each series and rule, by station, quantity, qualifiers, set and rule.
        days: on which days what was exceeded.
    """

    year: int
    version: str
    as_of: int
    compliance: Compliance
    table: pa.Table
    days: dict[RuleKey, Exceedances]

    def rule(self, row: Row) -> ComplianceRule:
        """Return the rule a row is about."""
        return self.compliance.sets[row["rule_set"]].rules[row["rule"]]

    def exceedances(self, row: Row) -> list[tuple[int, int]]:
        """Return the days on which a row's limit was exceeded, with how often."""
        found = self.days.get(RuleKey(row["rule_set"], row["rule"]))
        return [] if found is None else found.of(row["place"])


@dataclass
class _KeptYear:
    """The days of a year, when they last changed, and the table made of them."""

    days: list[KeptDays]
    changed_at: int = 0
    table: YearTable | None = None


class ComplianceBook:
    """Keeps the days in memory and follows the store: what is new or revised is read again."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._forget()

    def stop(self) -> None:
        """Give up what is being read, which can take long; nothing is told any more."""
        self._stop.set()

    def _forget(self) -> None:
        self._rules = ("", "")
        self._compliance = Compliance()
        self._rating = Rating()
        self._reckoning = Reckoning("UTC", "UTC")
        self._position: int | None = None
        self._series: list[Row] = []
        self._years: dict[int, _KeptYear] = {}

    def table(
        self,
        reader: StoreReader,
        rules: YearRules,
        year: int | None,
        now: int,
    ) -> YearTable:
        """Return a year as the store tells it now.

        Args:
            reader: of the store.
            rules: what the policy says.
            year: which year; None for the one under way.
            now: engine time, ns UTC.

        Raises:
            QueryTimedOut: somebody else's question takes long, as the first one does.
        """
        if not self._lock.acquire(timeout=_WAIT_S):
            raise QueryTimedOut("the table of limits is being worked out; ask again")
        try:
            return self._table(reader, rules, year, now)
        except BaseException:
            self._forget()  # half read is not read
            raise
        finally:
            self._lock.release()

    def _table(
        self,
        reader: StoreReader,
        rules: YearRules,
        year: int | None,
        now: int,
    ) -> YearTable:
        if (rules.policy, rules.zone) != self._rules:
            self._begin(rules)
        today = self._reckoning.day(now)
        this_year = day_of_number(today).year
        year = this_year if year is None else year
        span = Year(year, today - 1)
        with reader.snapshot(_LOAD_TIMEOUT_S) as position:
            if year != this_year and not self._measured(reader, year):
                version = f"{rules.policy} {rules.zone} {year} nothing"
                return YearTable(year, version, span.end - 1, self._compliance, _NOTHING, {})
            self._update(reader, year, position)
        kept = self._years[year]
        version = f"{rules.policy} {rules.zone} {year} {span.end} {kept.changed_at}"
        if kept.table is None or kept.table.version != version:
            kept.table = self._work_out(kept, span, version)
        return kept.table

    def _measured(self, reader: StoreReader, year: int) -> bool:
        """Return whether there can be anything of a year; others are not worth their memory."""
        if year in self._years:
            return True
        between = queries_compliance.measured_between(reader)
        if between is None:
            return False
        first, last = (day_of_number(self._reckoning.day(at)).year for at in between)
        return first <= year <= last

    def _begin(self, rules: YearRules) -> None:
        self._forget()
        self._rules = (rules.policy, rules.zone)
        self._compliance = rules.compliance
        self._rating = rules.rating
        self._reckoning = Reckoning(rules.compliance.day, rules.zone)

    def _kept_year(self, year: int) -> _KeptYear:
        """Return what is kept of a year, in the place of the one not asked for longest."""
        kept = self._years.pop(year, None) or _KeptYear(
            [
                KeptDays(basis, given, self._compliance, self._reckoning, year, self._stop)
                for basis, given in _groups(self._compliance).items()
            ]
        )
        self._years[year] = kept
        while len(self._years) > _MOST_YEARS:
            self._years.pop(next(iter(self._years)))
        return kept

    def _update(self, reader: StoreReader, year: int, position: int) -> None:
        self._kept_year(year)
        quantities = sorted({rule.quantity for _, rule in _rules_of(self._compliance)})
        series = queries_compliance.measuring(reader, quantities) if quantities else []
        renamed = series != self._series
        self._series = series
        codes: dict[str, list[int]] = defaultdict(list)
        for row in series:
            codes[row["quantity"]].append(row["series"])
        former = self._position
        changed = {
            length: queries_compliance.changed(reader, length, former)
            for length in {rule.window_ns for _, rule in _rules_of(self._compliance)}
            if former is not None and position > former
        }
        for kept in self._years.values():
            moved = renamed
            for days in kept.days:
                moved |= days.update(
                    reader, codes[days.basis.quantity], changed.get(days.basis.window_ns)
                )
            if moved:
                # A position means the same after a restart, unlike a number of changes.
                kept.changed_at = position
        self._position = position

    def _work_out(self, year: _KeptYear, span: Year, version: str) -> YearTable:
        by_quantity: dict[str, list[Row]] = defaultdict(list)
        for row in self._series:
            by_quantity[row["quantity"]].append(row)
        kept = {found.basis: found for found in year.days}
        rated = {
            basis: _rated(by_quantity[basis.quantity], found.days, span, self._rating)
            for basis, found in kept.items()
        }
        parts: list[pa.Table] = []
        days: dict[RuleKey, Exceedances] = {}
        for key, rule in _rules_of(self._compliance):
            series = by_quantity[rule.quantity]
            if not series:
                continue
            known = kept[rule.basis].days
            found = assess(rule, known, span, self._compliance)
            if rule.counts:
                days[key] = _exceedances(rule, known, span, self._compliance)
            chosen = self._compliance.sets[key.rule_set]
            rows = np.flatnonzero(found.measured & rated[rule.basis])
            parts.append(_columns(key, chosen, rule, series, found, span, rows))
        table = _arrow.concat_tables(parts) if parts else _NOTHING
        if parts:
            order = ["station", "quantity", "qualifiers", "rule_set", "rule"]
            table = table.sort_by([(name, "ascending") for name in order]).combine_chunks()
        return YearTable(span.year, version, span.end - 1, self._compliance, table, days)


def _groups(compliance: Compliance) -> dict[Basis, list[ComplianceRule]]:
    """Return the rules that are worked out from the same."""
    groups: dict[Basis, list[ComplianceRule]] = defaultdict(list)
    for _, rule in _rules_of(compliance):
        groups[rule.basis].append(rule)
    return groups


def _rules_of(compliance: Compliance) -> Iterator[tuple[RuleKey, ComplianceRule]]:
    for set_name, chosen in compliance.sets.items():
        for rule_name, rule in chosen.rules.items():
            yield RuleKey(set_name, rule_name), rule


def _rated(series: Sequence[Row], days: Days, span: Year, rating: Rating) -> npt.NDArray[np.bool_]:
    """Return which series are held against limits.

    Of those that measure the same the best one that has enough of what the most complete one has.
    """
    rated = np.ones(len(series), np.bool_)
    keys = [SeriesKey(row["station"], row["quantity"], row["qualifiers"]) for row in series]
    valid = days.between(span.first, span.end).valid().sum(axis=1)
    for classes in rating.choices(keys):
        counts = [int(valid[places].max()) for places in classes]
        enough = [count >= max(rating.year_share * max(counts), 1) for count in counts]
        chosen = enough.index(True) if True in enough else 0
        for places in classes[:chosen] + classes[chosen + 1 :]:
            rated[places] = False
    return rated


def _exceedances(
    rule: ComplianceRule,
    days: Days,
    span: Year,
    compliance: Compliance,
) -> Exceedances:
    counts = exceedances_by_day(rule, days, span, compliance)
    row, column = np.nonzero(counts)
    return Exceedances(row, column + span.first, counts[row, column])


def _columns(
    key: RuleKey,
    chosen: RuleSet,
    rule: ComplianceRule,
    series: Sequence[Row],
    found: Assessment,
    span: Year,
    rows: npt.NDArray[np.intp],
) -> pa.Table:
    """Return what a rule says of some of the series."""
    count = len(rows)
    own = {
        name: _arrow.array([series[row][name] for row in rows.tolist()], pa.string())
        for name in ("station", "name", "area", "quantity", "qualifiers")
    }
    first, end = year_days(span.year)
    year = day_of_number(first), day_of_number(end - 1)
    counted = found.exceedances[rows] >= 0
    left = np.maximum(found.allowance - found.exceedances, 0)[rows]
    projected = found.projected[rows]
    # Counts begin anew with the year: a day in the next one is none.
    soon = (projected != NO_DAY) & (projected < end)
    dates = [
        day_of_number(day).isoformat() if near else None
        for day, near in zip(projected.tolist(), soon.tolist(), strict=True)
    ]
    words = [STATUS_NAMES[code] for code in found.status[rows].tolist()]
    ordinary: dict[str, tuple[object, Any]] = {
        "year": (span.year, pa.int64()),
        "rule_set": (key.rule_set, pa.string()),
        "rule": (key.rule, pa.string()),
        "purpose": (rule.purpose, pa.string()),
        "in_force": (chosen.in_force(*year), pa.bool_()),
        "averaging": (rule.averaging, pa.string()),
        "limit": (rule.limit, pa.float64()),
        "unit": (rule.limit_unit, pa.string()),
        "gas_conditions": (rule.conditions, pa.string()),
        "permitted": (rule.permitted, pa.int64()),
        "capture_required": (_required(rule), pa.float64()),
        "final": (span.final, pa.bool_()),
        "as_of": (day_of_number(span.end - 1).isoformat(), pa.string()),
    }
    repeated = {
        name: _arrow.repeat(_arrow.scalar(value, kind), count)
        for name, (value, kind) in ordinary.items()
    }
    numbers = {
        "exceedances": _arrow.array(found.exceedances[rows], mask=~counted),
        "allowance": _arrow.array(found.allowance[rows], mask=~counted),
        "remaining": _arrow.array(left, mask=~counted),
        "value": _floats(found.value[rows]),
        "highest": _floats(found.highest[rows]),
        "years": _arrow.array(found.years[rows]),
        "capture": _floats(found.capture[rows]),
        "valid": _arrow.array(found.valid[rows]),
        "status": _arrow.array(words, pa.string()),
        "projected": _arrow.array(dates, pa.string()),
        "lasts": _arrow.array((projected != NO_DAY) & ~soon),
        "interim": _arrow.array(found.interim[rows], mask=np.full(count, not rule.interim)),
        "place": _arrow.array(rows),
    }
    table: pa.Table = _arrow.table({**own, **repeated, **numbers})
    return table


def _required(rule: ComplianceRule) -> float:
    return rule.capture.months / 6 if rule.capture.of == "summer_months" else rule.capture.share


def _floats(values: npt.NDArray[np.float64]) -> Any:  # noqa: ANN401 - an Arrow array
    return _arrow.array(values, mask=~np.isfinite(values))
