# SPDX-License-Identifier: EUPL-1.2
"""The public table of limits: from the store's newest revisions to the interface."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest

from lamppost.clock import ManualClock
from lamppost.rating import Rating
from lamppost.series import SeriesKey
from lamppost.times import DAY_NS, HOUR_NS, parse_instant
from lamppost_app.portal import api_models
from lamppost_app.portal.compliance_book import ComplianceBook
from tests.unit.portal.conftest import MakePortal, Portal
from tests.unit.portal.limits_city import (
    DAYS,
    KEYS,
    NOW,
    PROJECTED,
    YEAR_BEGAN,
    first_entries,
    hourly,
    rows,
    write,
)
from tests.unit.portal.measured_years import (
    POLICY,
    hours_entry,
    rules_entry,
    series_entry,
)


def test_a_row_says_everything_one_needs_to_check_it(city: Portal) -> None:
    """Count, permitted, remaining, days, capture, status, date, words and versions."""
    row = rows(city)["aq-1", "pm10_day"]

    assert row.pop("exceeded_on")[:3] == ["2026-01-01", "2026-01-03", "2026-01-05"]
    assert row == {
        "station": "aq-1", "name": "Market <square>", "area": "Centre", "quantity": "pm10",
        "qualifiers": "", "year": 2026, "rule_set": "eu_2008_50", "rule": "pm10_day",
        "purpose": "limit value", "in_force": True, "averaging": "day", "limit": 50.0,
        "unit": "ug/m3", "gas_conditions": "", "permitted": 35, "exceedances": 23, "remaining": 12,
        "value": 23.0,
        "highest": 51.0, "years": 1, "interim": None, "capture": 1.0, "capture_required": 0.9,
        "valid": True, "status": "at_risk", "projected": "2026-10-12", "final": False,
        "as_of": "2026-07-01", "policy": POLICY.version,
        "sentence": f"PM10: {PROJECTED}",
    }  # fmt: skip


def test_answers_are_what_their_model_says(city: Portal) -> None:
    """Rows are serialised without a model, for speed; so this holds them to it."""
    answer = city.get("/api/v1/compliance").json()

    page = api_models.Page[api_models.ComplianceItem].model_validate(answer, strict=True)
    assert page.model_dump(mode="json") == answer


def test_pages_along_the_next_link_give_every_row_once(city: Portal) -> None:
    """Keyset paging: no row twice, none left out, sorted by the key."""
    whole = city.get("/api/v1/compliance?limit=10000").json()["items"]

    found, address = [], "/api/v1/compliance?limit=7"
    while address:
        answer = city.get(address).json()
        found += answer["items"]
        address = answer["next"]

    assert found == whole
    names = ("station", "quantity", "qualifiers", "rule_set", "rule")
    keys = [tuple(row[name] for name in names) for row in whole]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("station=aq-2&rule=pm10_day&rule_set=eu_2008_50", [("aq-2", "pm10_day")]),
        ("quantity=no2&rule_set=eu_2008_50", [("aq-1", "no2_hour"), ("aq-1", "no2_year")]),
        ("status=exceeded&rule_set=eu_2008_50", [("aq-2", "pm10_day")]),
        ("area=South&quantity=pm10&rule_set=eu_2008_50&status=met", [("aq-2", "pm10_year")]),
        ("year=2020", []),
    ],
)
def test_rows_can_be_chosen(city: Portal, query: str, expected: list[tuple[str, str]]) -> None:
    """Station, quantity, area, set, rule, status and year narrow the answer."""
    assert sorted(rows(city, query)) == expected


def test_wrong_questions_are_problems(city: Portal) -> None:
    """RFC 9457, with the parameter."""
    for query in ("rule_set=nothing", "year=12", "status=fine", "colour=red"):
        answer = city.get(f"/api/v1/compliance?{query}")

        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]


def test_csv_and_its_description_have_the_same_columns(city: Portal) -> None:
    """For spreadsheets; days stand in one cell."""
    answer = city.get("/api/v1/compliance?rule=pm10_day&rule_set=eu_2008_50&format=csv")
    found = list(csv.DictReader(io.StringIO(answer.text)))
    described = city.get("/api/v1/csvw/compliance").json()["tableSchema"]["columns"]

    assert [row["exceedances"] for row in found] == ["23", "40"]
    assert found[0]["exceeded_on"].startswith("2026-01-01;2026-01-03;")
    assert [column["name"] for column in described] == list(found[0])


def test_the_tag_changes_when_the_table_does_and_not_before(city: Portal) -> None:
    """Between two hours a client is told that nothing is new."""
    path = "/api/v1/compliance?rule_set=eu_2008_50"
    tag = city.get(path).headers["etag"]

    write(city, hours_entry(5, {0: np.array([30.0])}, NOW, length=60_000_000_000))
    same = city.get(path, headers={"If-None-Match": tag})
    write(city, hours_entry(6, {0: np.array([30.0])}, YEAR_BEGAN + HOUR_NS, revision=1))
    other = city.get(path, headers={"If-None-Match": tag})

    write(city, hours_entry(7, {0: np.array([31.0])}, YEAR_BEGAN + HOUR_NS, revision=2))
    object.__setattr__(city.context, "compliance", ComplianceBook())  # a portal that has just begun
    begun = city.get(path)

    assert (same.status_code, other.status_code) == (304, 200)
    assert len({tag, other.headers["etag"], begun.headers["etag"]}) == 3


def test_a_late_correction_changes_the_table(city: Portal) -> None:
    """The newest revision counts, wherever in the year it lies."""
    before = rows(city)["aq-1", "pm10_day"]
    corrected = {0: np.full(24, 20.0)}

    write(city, hours_entry(5, corrected, YEAR_BEGAN, revision=1))
    after = rows(city)["aq-1", "pm10_day"]

    assert (before["exceedances"], after["exceedances"]) == (23, 22)
    assert after["exceeded_on"] == before["exceeded_on"][1:]


def test_a_station_that_is_new_appears(city: Portal) -> None:
    """With all its hours, though the others were read before."""
    rows(city)
    keys = [*KEYS, SeriesKey("aq-3", "pm10")]

    write(
        city,
        series_entry(5, keys, len(KEYS)),
        hours_entry(6, {4: hourly(20.0, range(3))}, YEAR_BEGAN),
    )

    assert rows(city)["aq-3", "pm10_day"]["exceedances"] == 3
    assert rows(city)["aq-1", "pm10_day"]["exceedances"] == 23


def test_the_year_goes_on_with_the_clock(city: Portal) -> None:
    """A day enters when it is over."""
    write(city, hours_entry(5, {0: np.full(24, 60.0)}, YEAR_BEGAN + DAYS * DAY_NS))
    before = rows(city)["aq-1", "pm10_day"]
    clock = city.context.clock
    assert isinstance(clock, ManualClock)

    clock.advance(DAY_NS)
    after = rows(city)["aq-1", "pm10_day"]

    assert (before["as_of"], before["exceedances"]) == ("2026-07-01", 23)
    assert (after["as_of"], after["exceedances"]) == ("2026-07-02", 24)


def test_three_years_of_ozone_are_read_though_one_is_asked_for(city: Portal) -> None:
    """And the year before tells its own."""
    summer = parse_instant("2025-04-01T00:00:00Z") - HOUR_NS
    days = np.full((183, 24), 60.0)
    days[90:120] = 125.0  # the night after does not stay above

    write(city, hours_entry(5, {3: days.ravel()}, summer))

    now, then = rows(city)["aq-2", "o3_8h"], rows(city, "rule_set=eu_2008_50&year=2025")
    assert (now["years"], now["value"]) == (2, 15.0)
    assert then["aq-2", "o3_8h"]["exceedances"] == 30
    assert then["aq-2", "o3_8h"]["final"] is True
    assert rows(city)["aq-2", "o3_8h"] == now


def test_years_nobody_measured_cost_nothing(city: Portal) -> None:
    """Any year can be asked for; only those there is something of are kept, and three of them."""
    begun = [parse_instant(f"{year}-06-01T00:00:00Z") for year in range(2019, 2026)]
    write(city, *(hours_entry(5 + n, {0: np.full(48, 60.0)}, at) for n, at in enumerate(begun)))

    assert rows(city, "year=1970") == rows(city, "year=2100") == {}
    counts = [rows(city, f"rule=pm10_day&year={year}") for year in range(2019, 2027)]

    assert [len(found) for found in counts] == [1] * 7 + [2]
    assert (
        rows(city, "rule=pm10_day&rule_set=who_2021&year=2020")["aq-1", "pm10_day"]["exceedances"]
        == 2
    )
    assert len(city.context.compliance._years) == 3


def test_hours_with_thin_coverage_are_not_measured(city: Portal) -> None:
    """45 minutes of an hour."""
    write(
        city,
        hours_entry(5, {0: np.full(24, 20.0)}, YEAR_BEGAN, revision=1, coverage=0.74),
    )

    row = rows(city)["aq-1", "pm10_day"]
    assert (row["exceedances"], row["capture"]) == (22, pytest.approx(181 / 182))


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_revisions_makes_no_difference(make_portal: MakePortal, seed: int) -> None:
    """Law: told in any order, looked at meanwhile or not, the table is the same."""
    random = np.random.default_rng(seed)
    told = []
    for revision in range(6):
        begin = int(random.integers(0, DAYS - 2)) * 24 + int(random.integers(0, 24))
        hours = random.choice([20.0, 130.0, 210.0, np.nan], int(random.integers(1, 60)))
        series = {int(code): hours for code in random.choice(4, 2, replace=False)}
        told.append((begin, series, revision + 1))
    found = []
    for order in (range(6), random.permutation(6)):
        portal = make_portal(seeded=False, now=NOW)
        write(portal, *first_entries())
        for number in order:
            begin, series, revision = told[int(number)]
            seq = portal.context.store.cursor() + 1
            begun = YEAR_BEGAN + begin * HOUR_NS
            write(portal, hours_entry(seq, series, begun, revision=revision))
            if random.random() < 0.5:
                rows(portal)
        found.append((rows(portal, ""), _afresh(portal)))

    assert found[0] == found[1]
    assert found[0][0] == found[0][1]


def _afresh(portal: Portal) -> dict[tuple[str, str], Any]:
    """Return the rows as a portal that has just started tells them."""
    context = portal.context
    object.__setattr__(context, "compliance", ComplianceBook())
    return rows(portal, "")


# ---- raw and corrected series side by side
CORRECTED = (
    SeriesKey("pa-1", "pm10", "channel=a"),
    SeriesKey("pa-1", "pm10", "channel=ab;corrected=lrapa"),
    SeriesKey("pa-1", "pm10", "channel=a;corrected=local_fit"),
)


def held(make_portal: MakePortal, rating: Rating, measured: dict[int, int]) -> list[str]:
    """Return which of the series are held against limits, by how many days each has."""
    portal = make_portal(seeded=False, now=NOW)
    hours = {series: hourly(20.0)[: days * 24] for series, days in measured.items()}
    write(
        portal,
        rules_entry(1, POLICY.model_copy(update={"rating": rating})),
        series_entry(2, CORRECTED),
        hours_entry(3, hours, YEAR_BEGAN),
    )
    answer = portal.get("/api/v1/compliance?limit=10000&rule=pm10_day&rule_set=eu_2008_50").json()
    return [row["qualifiers"] for row in answer["items"]]


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        ({0: 180, 1: 180}, 1),
        ({0: 180, 1: 135}, 1),
        # Less than three quarters of what the raw one has.
        ({0: 180, 1: 134}, 0),
        ({0: 180}, 0),
        ({0: 180, 1: 180, 2: 180}, 2),
        ({0: 180, 1: 180, 2: 90}, 1),
        ({1: 90}, 1),
    ],
)
def test_one_series_of_each_thing_is_held_against_limits(
    make_portal: MakePortal, measured: dict[int, int], expected: int
) -> None:
    """The best that has most of the year: a local fit, another correction, the raw one."""
    assert held(make_portal, Rating(), measured) == [CORRECTED[expected].qualifiers]


@pytest.mark.parametrize(("series", "expected"), [("raw", [0]), ("both", [0, 1])])
def test_a_city_may_hold_raw_series_against_limits(
    make_portal: MakePortal, series: str, expected: list[int]
) -> None:
    """The policy decides."""
    rating = Rating.model_validate({"series": series})

    found = held(make_portal, rating, {0: 180, 1: 180})

    assert found == [CORRECTED[place].qualifiers for place in expected]
