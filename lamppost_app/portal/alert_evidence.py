# SPDX-License-Identifier: EUPL-1.2
"""The readings behind an alert: what was measured until it fired, and how each was judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lamppost.periods import parse_length
from lamppost.times import HOUR_NS, format_instant
from sinks.store_reader import Row, StoreReader

from .api_details import details_of_series
from .context import PortalContext
from .queries_stations import alike_series, newest_readings

_MOST: Final = 12
_USUAL_REACH_NS: Final = 2 * HOUR_NS


@dataclass(frozen=True, slots=True)
class Evidence:
    """Readings until an alert fired, the newest first.

    Attributes:
        readings: the newest of them.
        total: how many there are.
        details: the numbers behind reasons, by series, instant and reason.
        in_force: what the rules say that gave these reasons, with their numbers.
        scored: whether something was expected of any of them.
        until: instant of the firing.
    """

    readings: list[Row]
    total: int
    details: dict[tuple[int, int, int], str]
    in_force: list[str]
    scored: bool
    until: str


def evidence(context: PortalContext, alert: Row, rule: dict[str, Any] | None) -> Evidence | None:
    """Return the readings behind an alert; None where it is not about any."""
    reader = context.reader
    series = alike_series(reader, alert["sensor"], alert["quantity"], alert["qualifiers"])
    start, end = alert["since"] - _reach_ns(rule), alert["fired_at"] + 1
    readings, total = newest_readings(reader, series, start, end, limit=_MOST)
    if not readings:
        return None
    return Evidence(
        readings,
        total,
        _details(reader, readings),
        _in_force(context, readings),
        any(row["expected"] is not None for row in readings),
        format_instant(alert["fired_at"]),
    )


def _reach_ns(rule: dict[str, Any] | None) -> int:
    """Return how long before its condition began a rule looks back: a window, where it has one."""
    settings = (rule or {}).get("settings") or {}
    try:
        return parse_length(str(settings.get("window") or ""))
    except ValueError:
        return _USUAL_REACH_NS


def _in_force(context: PortalContext, readings: list[Row]) -> list[str]:
    told: dict[str, None] = {}
    for row in readings:
        rules = context.rulebook(row["policy"])
        for reason in rules.reasons_in(row["reasons"]):
            told.update(dict.fromkeys(rules.in_force(reason, row["quantity"])))
    return list(told)


def _details(reader: StoreReader, readings: list[Row]) -> dict[tuple[int, int, int], str]:
    start, end = readings[-1]["time"], readings[0]["time"] + 1
    return {
        (series, time, reason): told
        for series in {row["series"] for row in readings}
        for (time, reason), told in details_of_series(reader, series, start, end).items()
    }
