# SPDX-License-Identifier: EUPL-1.2
"""Years of hours held against rules of the default policy, for the tests of limits."""

from __future__ import annotations

from datetime import date

import numpy as np

from lamppost.compliance import Compliance, ComplianceRule
from lamppost.times import HOUR_NS
from processors.compliance.assessment import (
    STATUS_NAMES,
    Assessment,
    Year,
    assess,
)
from processors.compliance.daily import Days, Needs, reduce
from processors.compliance.reckoning import Reckoning, day_number, year_days
from tests.processor_conformance import POLICY

RULES = POLICY.compliance
BERLIN = "Europe/Berlin"
NAN = float("nan")


def law(name: str, rules: Compliance = RULES) -> ComplianceRule:
    """Return a rule of the default policy by set and name."""
    chosen, _, rule = name.partition(".")
    return rules.sets[chosen].rules[rule]


def hours_of(year: int, fill: float = 20.0, years: int = 1, day: str = "winter") -> np.ndarray:
    """Return one series with the same mean in each hour of some years up to one."""
    first, end = year_days(year - years + 1)[0], year_days(year)[1]
    starts = Reckoning(day, BERLIN).starts(first, end)
    return np.full((1, int(starts[-1] - starts[0]) // HOUR_NS), fill)


def by_day(values: np.ndarray) -> np.ndarray:
    """Return a view of hours as days of 24."""
    return values.reshape(len(values), -1, 24)


def days_of(
    rule: ComplianceRule, values: np.ndarray, first: int, end: int, rules: Compliance = RULES
) -> Days:
    """Work out days; the hours before the first day are not measured."""
    needs = Needs.of([rule])
    starts = Reckoning(rules.day, BERLIN).starts(first, end)
    lead = np.full((len(values), needs.lead), np.nan)
    begin = int(starts[0]) - needs.lead * needs.window_ns
    return reduce(np.hstack([lead, values]), begin, first, starts, needs, rules)


def judged(
    rule: ComplianceRule | str,
    values: np.ndarray,
    year: int = 2025,
    as_of: date | None = None,
    rules: Compliance = RULES,
    years: int = 1,
) -> Assessment:
    """Hold hours against a rule of the default policy."""
    found = law(rule, rules) if isinstance(rule, str) else rule
    first, end = year_days(year - years + 1)[0], year_days(year)[1]
    days = days_of(found, values, first, end, rules)
    last = day_number(as_of) if as_of else end
    return assess(found, days, Year(year, last), rules)


def status(found: Assessment) -> str:
    """Return the status of the one series."""
    return STATUS_NAMES[int(found.status[0])]
