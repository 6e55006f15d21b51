# SPDX-License-Identifier: EUPL-1.2
"""The public table of limits as a page, and what it says in words."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from lamppost.compliance import Compliance
from lamppost.policy import UnitRule
from lamppost_app.portal.compliance_words import exceeded_on, sentence
from lamppost_app.portal.rulebook import Rulebook
from processors.compliance.reckoning import day_number
from tests.unit.portal.conftest import MakePortal, Portal
from tests.unit.portal.limits_city import (
    KEYS,
    NOW,
    PROJECTED,
    STATIONS,
    YEAR_BEGAN,
    hourly,
    rows,
    write,
)
from tests.unit.portal.measured_years import (
    POLICY,
    hours_entry,
    rules_entry,
    series_entry,
    stations_entry,
)


# ---- the page
def test_the_page_says_it_in_words_without_a_script(city: Portal) -> None:
    """A sentence, a status in words, the days, and links to the data."""
    page = city.get("/compliance").text

    assert f"PM10: {PROJECTED}" in page
    assert "PM10: 40 days above 50 µg/m³; 35 days permitted." in page
    assert "NO₂: 0 of 18 permitted hours used." in page
    assert "Market &lt;square&gt;" in page
    assert "2026-02-14" in page
    assert '<th scope="col">' in page
    assert "Up to and including 1 July." in page
    assert "/api/v1/compliance?year=2026&amp;rule_set=eu_2008_50" in page


def test_filters_of_the_page_are_in_its_address(city: Portal) -> None:
    """Another law, another year, one status."""
    who = city.get("/compliance?rule_set=who_2021&status=exceeded").text
    future = city.get("/compliance?rule_set=eu_2024_2881").text
    strange = city.get("/compliance?rule_set=x&year=abc&status=y&page=z")

    assert "above 45 µg/m³; 3 days permitted" in who
    assert "permitted days used" not in who
    assert "does not apply to 2026" in future
    assert strange.status_code == 200
    assert "No row matches the filter." in strange.text


def test_a_city_without_rules_or_hours_has_a_page(make_portal: MakePortal) -> None:
    """It says so."""
    assert "names no limits" in make_portal(seeded=False).get("/compliance").text
    portal = make_portal(seeded=False)
    write(portal, rules_entry(1))
    assert "No station has measured anything" in portal.get("/compliance").text
    assert portal.get("/api/v1/compliance").json()["items"] == []


# ---- words
def row_of(**changes: Any) -> dict[str, Any]:
    """Return a row of the table as far as sentences need it."""
    ordinary = {
        "quantity": "pm10", "exceedances": 0, "remaining": 35, "value": 0.0, "years": 1,
        "status": "met", "projected": None, "lasts": False, "final": False, "valid": True,
        "capture": 1.0, "capture_required": 0.9, "year": 2026, "unit": "ug/m3",
    }  # fmt: skip
    return {**ordinary, **changes}


@pytest.mark.parametrize(
    ("rule", "changes", "expected"),
    [
        ("eu_2008_50.pm10_day", {}, "PM10: 0 of 35 permitted days used."),
        (
            "eu_2008_50.pm10_day",
            {"exceedances": 7, "remaining": 28, "lasts": True},
            "PM10: 7 of 35 permitted days used; at this rate that lasts the year.",
        ),
        (
            "eu_2008_50.pm10_day",
            {"exceedances": 41, "remaining": 0, "status": "exceeded"},
            "PM10: 41 days above 50 µg/m³; 35 days permitted.",
        ),
        (
            "eu_2008_50.pm10_day",
            {"valid": False, "capture": 0.612, "status": "not_enough_data"},
            "PM10: 0 of 35 permitted days used. Not enough data: 61 % measured, 90 % needed.",
        ),
        ("eu_2008_50.co_8h", {"quantity": "co"}, "CO: never above 10 mg/m³."),
        (
            "eu_2008_50.co_8h",
            {"quantity": "co", "exceedances": 1, "remaining": 0, "status": "exceeded"},
            "CO: 1 day above 10 mg/m³; none is permitted.",
        ),
        (
            "eu_2008_50.no2_hour",
            {"quantity": "no2", "exceedances": 12, "remaining": 6, "projected": "2026-09-03"},
            "NO₂: 12 of 18 permitted hours used; at this rate the 19th falls on 3 September.",
        ),
        (
            "eu_2008_50.pm10_year",
            {"value": 23.44},
            "PM10: mean of the year so far 23.4 µg/m³; the limit is 40 µg/m³.",
        ),
        (
            "eu_2008_50.pm10_year",
            {"value": 23.44, "final": True},
            "PM10: mean of the year 23.4 µg/m³; the limit is 40 µg/m³.",
        ),
        (
            "eu_2008_50.o3_8h",
            {"quantity": "o3", "exceedances": 20, "value": 22.33, "years": 3, "remaining": 27},
            "O₃: 20 days above 120 µg/m³ this year, 22.3 a year over 3 years; 25 days permitted.",
        ),
        (
            "eu_2008_50.o3_aot40",
            {"quantity": "o3", "value": 12345.0, "unit": "(ug/m3).h", "valid": False,
             "status": "not_enough_data"},
            (
                "O₃: AOT40, May to July so far 12,345 µg/m³·h; the limit is 18,000 µg/m³·h."
                " No verdict yet: 1 of 3 years needed."
            ),
        ),
        (
            "eu_2008_50.o3_year",
            {"quantity": "o3", "value": 61.0, "status": "reported"},
            "O₃: mean of the year so far 61.0 µg/m³.",
        ),
        (
            "who_2021.o3_peak_season",
            {"quantity": "o3", "value": None, "status": "not_enough_data", "years": 0},
            (
                "O₃: mean of the peak season: nothing to tell yet."
                " No verdict yet: 0 of 1 years needed."
            ),
        ),
    ],
)  # fmt: skip
def test_sentences_for_the_public(rule: str, changes: dict[str, Any], expected: str) -> None:
    """What a row says, in words."""
    chosen, _, name = rule.partition(".")
    given_rule = POLICY.compliance.sets[chosen].rules[name]
    labels = {"pm10": "PM10", "co": "CO", "no2": "NO₂", "o3": "O₃"}
    rules = Rulebook(quantities={name: {"label": label} for name, label in labels.items()})

    assert sentence(row_of(**changes), given_rule, rules) == expected


def test_days_tell_how_often() -> None:
    """Hours above on one day are one entry."""
    first = day_number(date(2026, 1, 17))

    assert exceeded_on([(first, 3), (first + 1, 1)]) == ["2026-01-17 (3)", "2026-01-18"]


def test_the_rules_come_back_from_the_store_as_they_were(city: Portal) -> None:
    """The policy in force is told by the outbox, not by files."""
    assert city.context.rulebook().compliance == POLICY.compliance
    assert Rulebook().compliance == Compliance()
    assert Rulebook(content={"compliance": {"of": "tomorrow"}}).compliance == Compliance()


def test_the_page_of_a_station_leads_to_its_limits(city: Portal) -> None:
    """And the page of limits stays with that station."""
    page = city.get("/stations/aq-1").text
    own = city.get("/compliance?station=aq-1").text

    assert 'href="/compliance?station=aq-1"' in page
    assert '<input type="hidden" name="station" value="aq-1">' in own
    assert "Harbour" not in own


def test_where_gases_are_kept_at_25_degrees_the_table_says_what_was_compared(
    make_portal: MakePortal,
) -> None:
    """197.5 at 25 °C is 200.9 at 20 °C, above the limit of 200."""
    portal = make_portal(seeded=False, now=NOW)
    kept = POLICY.model_copy(update={"units": UnitRule(gas_conditions="us_25c")})
    no2 = hourly(20.0, range(1), peak=197.5)
    write(
        portal,
        rules_entry(1, kept),
        stations_entry(2, STATIONS),
        series_entry(3, KEYS),
        hours_entry(4, {0: hourly(20.0), 1: no2}, YEAR_BEGAN),
    )

    found = rows(portal)
    page = portal.get("/compliance?rule_set=eu_2008_50").text

    row = found["aq-1", "no2_hour"]
    assert (row["exceedances"], row["gas_conditions"]) == (24, "20 °C and 101.325 kPa (EU)")
    assert row["highest"] == pytest.approx(197.5 * 24.4654 / 24.0551)
    compared = "Compared at 20 °C and 101.325 kPa (EU); measured at 25 °C and 101.325 kPa (US)."
    assert compared in row["sentence"]
    assert "Compared at" not in found["aq-1", "pm10_day"]["sentence"]
    assert compared in page
    assert "They are measured at 25 °C and 101.325 kPa (US) and brought there first." in page
