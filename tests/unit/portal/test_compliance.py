# SPDX-License-Identifier: EUPL-1.2
"""The public table of limits: from the store's newest revisions to page, interface and words."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import threading
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamppost.clock import ManualClock
from lamppost.compliance import Compliance
from lamppost.log import Entry
from lamppost.series import SeriesKey
from lamppost.stations import Station
from lamppost.times import DAY_NS, HOUR_NS, parse_instant
from lamppost_app.portal import api_models
from lamppost_app.portal.compliance_book import ComplianceBook
from lamppost_app.portal.compliance_release import ComplianceRelease
from lamppost_app.portal.compliance_words import exceeded_on, sentence
from lamppost_app.portal.rulebook import Rulebook
from processors.compliance.reckoning import day_number
from sinks.open_data import fields
from sinks.open_data.handed_over import FOLDER
from sinks.open_data.sink import OpenDataSettings, OpenDataSink
from tests.unit.portal.conftest import MakePortal, Portal
from tests.unit.portal.measured_years import (
    POLICY,
    hours_entry,
    rules_entry,
    series_entry,
    stations_entry,
)

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


@pytest.fixture
def city(make_portal: MakePortal) -> Portal:
    """A portal over half a year of two stations."""
    portal = make_portal(seeded=False, now=NOW)
    write(portal, *first_entries())
    return portal


def rows(portal: Portal, query: str = "rule_set=eu_2008_50") -> dict[tuple[str, str], Any]:
    """Return rows by station and rule."""
    answer = portal.get(f"/api/v1/compliance?limit=10000&{query}").json()
    return {(row["station"], row["rule"]): row for row in answer["items"]}


def test_a_row_says_everything_one_needs_to_check_it(city: Portal) -> None:
    """Count, permitted, remaining, days, capture, status, date, words and versions."""
    row = rows(city)["aq-1", "pm10_day"]

    assert row.pop("exceeded_on")[:3] == ["2026-01-01", "2026-01-03", "2026-01-05"]
    assert row == {
        "station": "aq-1", "name": "Market <square>", "area": "Centre", "quantity": "pm10",
        "qualifiers": "", "year": 2026, "rule_set": "eu_2008_50", "rule": "pm10_day",
        "purpose": "limit value", "in_force": True, "averaging": "day", "limit": 50.0,
        "unit": "ug/m3", "permitted": 35, "exceedances": 23, "remaining": 12, "value": 23.0,
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


# ---- the release
def test_the_table_is_left_for_the_release_and_taken_in(city: Portal, tmp_path: Path) -> None:
    """The portal leaves it, the open-data sink publishes it with its hash; once for each change."""
    context = city.context
    release = ComplianceRelease(context, threading.Event())
    release.look()
    left = context.settings.data.dir / FOLDER
    sink = OpenDataSink(OpenDataSettings(dir=tmp_path / "open", handed_over=left))

    sink.write([rules_entry(1)], 1)
    path = tmp_path / "open" / "compliance" / "year=2026" / "compliance.csv"
    first = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    write(city, hours_entry(5, {0: np.full(24, 20.0)}, YEAR_BEGAN, revision=1))
    release.look()
    sink.write([rules_entry(2)], 2)
    second = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))

    def count(rows: list[dict[str, str]]) -> list[str]:
        key = ("aq-1", "eu_2008_50", "pm10_day")
        return [r["exceedances"] for r in rows if (r["station"], r["rule_set"], r["rule"]) == key]

    assert (count(first), count(second)) == (["23"], ["22"])
    assert first[0].keys() == {field.name for field in fields.COMPLIANCE.fields}
    descriptor = json.loads((tmp_path / "open" / "datapackage.json").read_text(encoding="utf-8"))
    described = {found["path"]: found for found in descriptor["resources"]}
    resource = described["compliance/year=2026/compliance.csv"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (resource["hash"], resource["bytes"]) == (f"sha256:{digest}", path.stat().st_size)


def test_a_table_without_dates_and_days_is_published_too(
    make_portal: MakePortal, tmp_path: Path
) -> None:
    """In January there is nothing to project and nothing above."""
    portal = make_portal(seeded=False, now=NOW)
    write(portal, rules_entry(1), series_entry(2, KEYS[:1]))
    write(portal, hours_entry(3, {0: np.full(24 * 40, 20.0)}, YEAR_BEGAN))
    ComplianceRelease(portal.context, threading.Event()).look()
    left = portal.context.settings.data.dir / FOLDER
    sink = OpenDataSink(OpenDataSettings(dir=tmp_path / "open", handed_over=left))

    sink.write([rules_entry(1)], 1)

    path = tmp_path / "open" / "compliance" / "year=2026" / "compliance.csv"
    found = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    assert {(row["projected"], row["exceeded_on"], row["status"]) for row in found} == {
        ("", "", "not_enough_data")
    }


def test_what_was_left_broken_costs_only_itself(tmp_path: Path) -> None:
    """The release goes on without it."""
    left = tmp_path / "left"
    left.mkdir()
    (left / "compliance-2026.parquet").write_bytes(b"no table")
    (left / "something-else.txt").write_text("no")
    sink = OpenDataSink(OpenDataSettings(dir=tmp_path / "open", handed_over=left))

    sink.write([rules_entry(1)], 1)

    assert not (tmp_path / "open" / "compliance").exists()
    assert (tmp_path / "open" / "datapackage.json").is_file()


def test_a_portal_that_stops_does_not_wait_for_the_table(city: Portal) -> None:
    """Reading years takes long, stopping must not."""
    city.context.compliance.stop()

    page, answer = city.get("/compliance"), city.get("/api/v1/compliance")

    assert (page.status_code, answer.status_code) == (503, 503)
    assert "being worked out" in page.text
    assert answer.headers["retry-after"] == "5"
