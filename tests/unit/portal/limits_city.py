# SPDX-License-Identifier: EUPL-1.2
"""Half a year of two stations, for the tests of the public table of limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lamppost.log import Entry
from lamppost.series import SeriesKey
from lamppost.stations import Station
from lamppost.times import parse_instant
from tests.unit.portal.measured_years import (
    hours_entry,
    rules_entry,
    series_entry,
    stations_entry,
)

if TYPE_CHECKING:
    from tests.unit.portal.conftest import MakePortal, Portal

NOW = parse_instant("2026-07-02T09:00:00Z")
YEAR_BEGAN = parse_instant("2025-12-31T23:00:00Z")  # 1 January, winter time in Berlin
KEYS = (
    SeriesKey("aq-1", "pm10"),
    SeriesKey("aq-1", "no2"),
    SeriesKey("aq-2", "pm10"),
    SeriesKey("aq-2", "o3"),
)
STATIONS = (
    Station(sensor="aq-1", name="Market <square>", latitude=52.5, longitude=13.4, area="Centre"),
    Station(sensor="aq-2", name="Harbour", latitude=52.5, longitude=13.4, area="South"),
)
DAYS = 182
PROJECTED = "23 of 35 permitted days used; at this rate the 36th falls on 12 October."


def hourly(level: float, above: range = range(0), peak: float = 51.0) -> np.ndarray:
    """Return hours of the year so far, with some days above."""
    days = np.full((DAYS, 24), level)
    days[list(above)] = peak
    return days.ravel()


def first_entries() -> list[Entry]:
    """Return a year so far: aq-1 has used 23 of 35 days."""
    return [
        rules_entry(1),
        stations_entry(2, STATIONS),
        series_entry(3, KEYS),
        hours_entry(
            4,
            {
                0: hourly(20.0, range(0, 46, 2)),
                1: hourly(30.0),
                2: hourly(20.0, range(40)),
                3: hourly(60.0),
            },
            YEAR_BEGAN,
        ),
    ]


def write(portal: Portal, *entries: Entry) -> None:
    """Store entries."""
    portal.context.store.write(list(entries), entries[-1].seq)


def half_a_year(make_portal: MakePortal) -> Portal:
    """Return a portal over half a year of two stations."""
    portal = make_portal(seeded=False, now=NOW)
    write(portal, *first_entries())
    return portal


def rows(portal: Portal, query: str = "rule_set=eu_2008_50") -> dict[tuple[str, str], Any]:
    """Return rows by station and rule."""
    answer = portal.get(f"/api/v1/compliance?limit=10000&{query}").json()
    return {(row["station"], row["rule"]): row for row in answer["items"]}
