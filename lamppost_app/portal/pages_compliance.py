# SPDX-License-Identifier: EUPL-1.2
"""The page on which every station's year stands against limits and guidelines."""

from __future__ import annotations

from collections import Counter
from datetime import date
from http import HTTPStatus
from typing import Any, Final

import pyarrow as pa
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from lamppost.compliance import RuleSet
from lamppost.times import format_instant
from processors.compliance.reckoning import day_of_number
from sinks.store_reader import QueryTimedOut, Row

from . import queries_compliance, queries_stations
from .api_compliance import chosen
from .compliance_book import YearTable
from .compliance_words import exceeded_on, limit_words, printed_day, sentence
from .context import PortalContext, context_of
from .pages_console import page_number
from .rendering import render
from .texts import text

router = APIRouter(include_in_schema=False)

_PAGE: Final = 100
_MOST_DAYS: Final = 12
_FILTERS: Final = ("quantity", "area", "status", "station")
_ORDER: Final = ("exceeded", "at_risk", "not_enough_data", "met", "reported")


@router.get("/compliance", response_class=HTMLResponse)
def compliance(request: Request) -> HTMLResponse:
    """Show one law or guideline and one year."""
    context = context_of(request)
    asked = request.query_params
    year = int(asked["year"]) if asked.get("year", "").isdecimal() else None
    try:
        found = context.compliance_of(year if year in _years(context) else None)
    except QueryTimedOut as error:
        later = text("compliance.later")
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, later, {"Retry-After": "5"}) from error
    sets = found.compliance.sets
    rule_set = asked.get("rule_set", "")
    rule_set = rule_set if rule_set in sets else _usual(found)
    wanted = {name: asked.get(name, "") for name in _FILTERS}
    table = chosen(found, {**wanted, "rule_set": rule_set})
    pages = -(-table.num_rows // _PAGE)
    page = min(page_number(request), pages or 1)
    rows = table.slice((page - 1) * _PAGE, _PAGE).to_pylist()
    return render(
        request,
        "compliance.html",
        found=found,
        as_of=printed_day(day_of_number(found.as_of).isoformat(), found.year),
        years=_years(context),
        sets=sets,
        chosen_set=rule_set,
        in_force=rule_set in sets and _in_force(sets[rule_set], found.year),
        chosen=wanted,
        choices=_choices(context, found, rule_set),
        counts=_counts(chosen(found, {**wanted, "rule_set": rule_set, "status": ""})),
        rows=[_row(context, found, row) for row in rows],
        total=table.num_rows,
        page=page,
        pages=pages,
    )


def _years(context: PortalContext) -> list[int]:
    """Return the years there is something of, the newest first; the one under way always."""
    now = context.clock.now_ns()
    between = queries_compliance.measured_between(context.reader) or (now, now)
    first, last = (int(format_instant(at)[:4]) for at in (between[0], max(now, between[1])))
    return list(range(last, first - 1, -1))


def _in_force(given: RuleSet, year: int) -> bool:
    return given.in_force(date(year, 1, 1), date(year, 12, 31))


def _usual(found: YearTable) -> str:
    """Return the first set in force in a year, or the first of all."""
    sets = found.compliance.sets
    applying = [name for name, given in sets.items() if _in_force(given, found.year)]
    return next(iter([*applying, *sets]), "")


def _choices(context: PortalContext, found: YearTable, rule_set: str) -> dict[str, list[str]]:
    given = found.compliance.sets.get(rule_set)
    quantities = sorted({rule.quantity for rule in given.rules.values()}) if given else []
    areas, _ = queries_stations.areas_and_kinds(context.reader)
    return {"quantity": quantities, "area": areas, "status": list(_ORDER)}


def _counts(table: pa.Table) -> list[tuple[str, int]]:
    statuses = table.column("status").to_pylist() if table.num_rows else []
    found = Counter(statuses)
    return [(name, found[name]) for name in _ORDER if found[name]]


def _row(context: PortalContext, found: YearTable, row: Row) -> dict[str, Any]:
    rules, rule = context.rulebook(), found.rule(row)
    days = exceeded_on(found.exceedances(row))
    return {
        **row,
        "label": rules.label(row["quantity"]),
        "limit_words": limit_words(rule),
        "source": "; ".join(filter(None, (rule.source, rule.remarks))),
        "sentence": sentence(row, rule, rules),
        "days": days[-_MOST_DAYS:],
        "earlier_days": len(days[:-_MOST_DAYS]),
        "share": round(100 * (row["capture"] or 0.0)),
    }
