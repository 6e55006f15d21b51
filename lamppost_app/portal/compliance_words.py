# SPDX-License-Identifier: EUPL-1.2
"""What became of a limit, in sentences for the public."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from lamppost.compliance import ComplianceRule
from lamppost.wording import printed_unit
from processors.compliance.reckoning import day_of_number
from sinks.store_reader import Row

from .formatting import printed_number
from .rulebook import Rulebook
from .texts import text


def exceeded_on(days: Iterable[tuple[int, int]]) -> list[str]:
    """Return days with how often, where it was more than once.

    >>> exceeded_on([(0, 1), (1, 3)])
    ['1970-01-01', '1970-01-02 (3)']
    """
    return [
        f"{day_of_number(day).isoformat()} ({count})" if count > 1 else
        day_of_number(day).isoformat()
        for day, count in days
    ]  # fmt: skip


def sentence(row: Row, rule: ComplianceRule, rules: Rulebook) -> str:
    """Return what a row of the table says, in one or two sentences."""
    label = rules.label(row["quantity"])
    said = f"{label}: {_counted(row, rule) if rule.counts else _compared(row, rule)}"
    return f"{said}{_brought(rule)}{_lacking(row, rule)}"


def limit_words(rule: ComplianceRule) -> str:
    """Return the limit of a rule as a column shows it.

    >>> limit_words(ComplianceRule(quantity="pm10", averaging="day", limit=50, permitted=35,
    ...                            source="2008/50/EC"))
    'Mean of a day: 50 µg/m³, 35 days a year'
    """
    if rule.limit is None:
        return _what(rule)
    words = f"{_what(rule)}: {_limit(rule)}"
    if rule.permitted is not None:
        words = text("compliance.a_year", limit=words, permitted=_amount(rule.permitted, rule))
    return words + (text("compliance.mean_of_years", years=rule.years) if rule.years > 1 else "")


def printed_day(day: str, year: int) -> str:
    """Return a date as people say it, with the year where it is another.

    >>> printed_day("2026-10-12", 2026), printed_day("2025-12-31", 2026)
    ('12 October', '31 December 2025')
    """
    found = date.fromisoformat(day)
    named = f"{found.day} {text(f'month.{found.month}')}"
    return named if found.year == year else f"{named} {found.year}"


def ordinal(number: int) -> str:
    """Return a number as a rank.

    >>> [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 36, 102, 111)]
    ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '36th', '102nd', '111th']
    """
    ending = (
        "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number}{ending}"


def _counted(row: Row, rule: ComplianceRule) -> str:
    used, permitted = row["exceedances"], rule.permitted or 0
    facts = {
        "used": _amount(used, rule),
        "number": used,
        "allowed": permitted,
        "unit": text(f"counted.{_counted_unit(rule)}"),
        "permitted": _amount(permitted, rule),
        "limit": _limit(rule),
        "years": row["years"],
        "mean": printed_number(row["value"]),
    }
    if row["years"] > 1:
        said = text("compliance.over_years", **facts)
    elif row["status"] == "exceeded":
        said = text("compliance.exceeded" if permitted else "compliance.exceeded_at_all", **facts)
    elif not permitted:
        return text("compliance.never", **facts)
    else:
        said = text("compliance.used_up", **facts)
    return f"{said}{_ahead(row, used + row['remaining'] + 1)}"


def _ahead(row: Row, next_one: int) -> str:
    """Return what follows at the rate so far."""
    if row["status"] == "exceeded" or row["final"]:
        return "."
    if row["projected"] is None:
        return f"; {text('compliance.lasts')}." if row["lasts"] else "."
    when = printed_day(row["projected"], row["year"])
    return f"; {text('compliance.falls_on', rank=ordinal(next_one), day=when)}."


def _compared(row: Row, rule: ComplianceRule) -> str:
    what = _what(rule)
    what = what if what[1:2].isupper() else what[:1].lower() + what[1:]
    if row["value"] is None:
        return text("compliance.no_value", what=what)
    value = f"{printed_number(row['value'])} {printed_unit(row['unit'])}"
    key = "compliance.compared" if row["final"] else "compliance.compared_so_far"
    if rule.limit is None:
        key = "compliance.reported" if row["final"] else "compliance.reported_so_far"
    return text(key, what=what, value=value, limit=_limit(rule))


def _brought(rule: ComplianceRule) -> str:
    """Return from where a gas was brought to the conditions of its limit; nothing if it was not."""
    if not rule.measured_conditions:
        return ""
    return f" {text('compliance.brought', at=rule.conditions, measured=rule.measured_conditions)}"


def _lacking(row: Row, rule: ComplianceRule) -> str:
    """Return what is missing for a verdict, nothing where there is one."""
    if not row["valid"] and row["capture"] is not None and row["capture"] < row["capture_required"]:
        shares = {name: round(100 * row[name]) for name in ("capture", "capture_required")}
        return f" {text('compliance.not_enough', **shares)}"
    if row["status"] == "not_enough_data":
        return f" {text('compliance.too_early', years=row['years'], needed=rule.years_needed)}"
    return ""


def _limit(rule: ComplianceRule) -> str:
    return "" if rule.limit is None else f"{rule.limit:,g} {printed_unit(rule.limit_unit)}"


def _what(rule: ComplianceRule) -> str:
    named = rule.averaging[0].isalpha() or rule.averaging == "1h"
    return text(f"averaging.{rule.averaging if named else 'window'}", window=rule.averaging)


def _amount(count: int, rule: ComplianceRule) -> str:
    """Return a number of days, hours or windows."""
    unit = _counted_unit(rule)
    return text(f"amount.{unit}" if count == 1 else f"amount.{unit}s", count=count)


def _counted_unit(rule: ComplianceRule) -> str:
    if rule.averaging in {"day", "max_daily_8h"}:
        return "day"
    return "hour" if rule.averaging == "1h" else "window"
