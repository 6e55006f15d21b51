# SPDX-License-Identifier: EUPL-1.2
"""The pages say what is in the store, and work without scripts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lamppost import log
from lamppost.frames import arrow_bytes
from lamppost.log import Entry
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import MINUTE_NS, SECOND_NS
from lamppost_app.portal.texts import catalogue
from tests.unit.portal.conftest import NOW, MakePortal, Portal
from tests.unit.portal.seeded_city import (
    alert,
    alerts_body,
    columns_body,
    judged,
    rules_body,
)

PAGES = (
    "/", "/?severity=critical", "/?state=acknowledged&area=Harbour", "/alerts/alert-1",
    "/alerts/alert-2", "/stations", "/stations?search=harb", "/map", "/map?quantity=no2",
    "/map?quantity=index:us_aqi",
    "/stations/aq-001", "/stations/aq-001?range=7d", "/stations/tr-001?quantity=vehicle_count",
    "/stations/aq-001?until=2026-11-21T21:00:00Z", "/downloads", "/api",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_every_page_answers_with_one_heading_and_without_inline_code(
    portal: Portal, path: str
) -> None:
    """The content security policy would refuse inline styles, scripts and handlers."""
    answer = portal.get(path)

    assert answer.status_code == 200
    assert len(re.findall("<h1", answer.text)) == 1
    assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=", answer.text)


@pytest.mark.parametrize("value", [1e300, -1.7e308, 1.7e308, float("inf"), float("nan")])
def test_an_absurd_reading_costs_no_page(portal: Portal, value: float) -> None:
    """Its own chart, the other charts, the alert, the map and the console are all still there."""
    batch = judged(0, np.array([NOW - MINUTE_NS // 2]), np.array([value]))
    entry = Entry(60, log.READINGS, NOW, columns_body(batch.to_arrow()))
    portal.context.store.write([entry], 60)

    for path in ("/", "/stations", "/map", "/map/markers", "/alerts/alert-1", "/stations/aq-001",
                 "/api/v1/latest"):  # fmt: skip
        assert portal.get(path).status_code == 200, path
    assert portal.get("/stations/aq-001").text.count('<figure class="chart">') == 2


@pytest.mark.parametrize("path", ["/", "/stations", "/map", "/downloads", "/api"])
def test_an_empty_installation_has_pages_too(make_portal: MakePortal, path: str) -> None:
    """On the first day nothing is known yet."""
    answer = make_portal(seeded=False).get(path)

    assert answer.status_code == 200


def test_the_console_names_what_is_wrong_and_why(portal: Portal) -> None:
    """Title, place, reason and numbers of an open alert are on the list."""
    page = portal.get("/").text

    assert "Particulates far above usual" in page
    assert "PM2.5 has been three times the usual level" in page
    assert "<b>61.4 µg/m³</b>" in page
    assert "Barge with a smoking engine" in page
    assert "Noise at night" in page


def test_filters_in_the_address_choose_alerts(portal: Portal) -> None:
    """Every filter is a link somebody can send."""
    page = portal.get("/?severity=warning").text

    assert 'data-alert="alert-2"' in page
    assert 'data-alert="alert-1"' not in page


def test_an_old_open_alert_is_still_on_the_list(portal: Portal) -> None:
    """Open alerts are never filtered by time."""
    old = alert("ancient", NOW - 400 * 86_400_000_000_000)
    portal.context.store.write([Entry(99, log.ALERTS, NOW, alerts_body(old))], 99)

    assert 'data-alert="ancient"' in portal.get("/").text


def test_the_alert_page_tells_evidence_rule_and_history(portal: Portal) -> None:
    """Why did this fire: everything a reader needs to check it."""
    page = portal.get("/alerts/alert-4").text

    parts = ("6.0 – 18.0", "PM2.5 stays below 18", "pm_high", "0123456789ab", "<svg", "Operator",
             "Barge with a smoking engine")  # fmt: skip
    assert [part for part in parts if part not in page] == []


def test_the_alert_page_shows_the_readings_behind_it_and_the_numbers_behind_their_reasons(
    portal: Portal,
) -> None:
    """Value, what was expected, the sentence of each reason, its numbers, the rule in force."""
    late = alert("late", NOW, since=NOW - 10 * MINUTE_NS)
    portal.context.store.write([Entry(99, log.ALERTS, NOW, alerts_body(late))], 99)

    page = portal.get("/alerts/late").text
    behind = page[page.index('id="h-readings"') : page.index('id="h-history"')]
    rows = behind.split("<tr>")[2:]

    assert "The newest 12 of 108 readings until it fired" in behind
    assert ["It was -1 before." in row for row in rows] == [True] + [False] * 11
    assert all("suspect" in row and "It replaces an earlier value" in row for row in rows)
    assert behind.count("PM2.5 may be corrected by 5 µg/m³.") == 1
    assert "/stations/aq-001?quantity=pm2_5&amp;until=20" in behind


def test_an_alert_of_a_rule_about_windows_shows_the_window(portal: Portal) -> None:
    """A quarter of an hour of minutes."""
    rules = json.loads(rules_body())
    rules["policy"] = "windows"
    rules["content"]["alerts"]["pm_high"]["settings"]["window"] = "15min"
    since = NOW - 20 * MINUTE_NS
    own = alert("quarter", since, "aq-002", since=since, policy="windows")
    portal.context.store.write(
        [
            Entry(98, log.RULES, NOW, json.dumps(rules).encode()),
            Entry(99, log.ALERTS, NOW, alerts_body(own)),
        ],
        99,
    )

    assert "The newest 12 of 16 readings" in portal.get("/alerts/quarter").text


def test_an_alert_about_a_road_shows_its_lanes(portal: Portal) -> None:
    """A rule about a station is not about one of its series."""
    own = alert("road", NOW, "tr-001", quantity="vehicle_count")
    portal.context.store.write([Entry(99, log.ALERTS, NOW, alerts_body(own))], 99)

    page = portal.get("/alerts/road").text

    assert "Readings behind it" in page
    assert "No single series of the station is drawn here" in page


def test_an_alert_without_readings_has_no_such_part(portal: Portal) -> None:
    """Silence is about none."""
    assert "Readings behind it" not in portal.get("/alerts/alert-2").text


def test_unknown_things_are_not_found(portal: Portal) -> None:
    """A page says so, with the way back."""
    for path in ("/alerts/nothing", "/stations/nothing", "/nothing"):
        answer = portal.get(path)

        assert answer.status_code == 404
        assert "Back to the console" in answer.text


def test_names_of_stations_cannot_write_markup(portal: Portal) -> None:
    """A name is text, whatever is in it."""
    page = portal.get("/stations").text

    assert "Harbour &amp; quay &lt;east&gt;" in page
    assert "<east>" not in page


def test_flags_are_words_with_their_reasons(portal: Portal) -> None:
    """A suspect reading says so and why."""
    page = portal.get("/stations/aq-001?range=6h").text

    assert "suspect" in page
    assert "It replaces an earlier value" in page
    assert 'class="mark suspect"' in page
    assert 'class="mark fail"' in page
    assert 'class="gap"' in page
    assert 'class="band"' in page


def test_a_reason_names_the_numbers_of_the_rule(portal: Portal) -> None:
    """Of the quantity alone where the rule says so."""
    page = portal.get("/stations/aq-001?range=6h").text

    assert "The rule: PM2.5 may be corrected by 5 µg/m³." in page
    assert "Everything may be corrected." not in page


def test_the_index_card_names_period_coverage_and_pollutant(portal: Portal) -> None:
    """An index without its averaging period means nothing."""
    page = portal.get("/stations/aq-001").text

    assert "Unhealthy for sensitive groups" in page
    assert "For the hours up to" in page
    assert "Responsible: PM2.5" in page
    assert "averaged over 24h, 95 % valid" in page
    assert "Take it easy." in page


def test_the_station_page_says_what_is_wrong_with_the_clock(portal: Portal) -> None:
    """How far it is off, what that does, what to do, and what it rests on."""
    page = portal.get("/stations/aq-002").text

    assert page.count("1 h ahead: probably local time sent as UTC") == 2
    assert "filed under the time they arrive" in page
    assert "Send the time in UTC, or with its offset" in page
    assert "By the quickest readings of 5 times ten minutes" in page


def test_a_clock_that_is_right_or_not_known_needs_no_section(portal: Portal) -> None:
    """One line among the facts."""
    right, unknown = (portal.get(f"/stations/{sensor}").text for sensor in ("aq-001", "aq-003"))

    assert "right within a second" in right
    assert "not known yet: half an hour of readings is needed" in unknown
    assert "h-clock" not in right + unknown


def test_downloads_list_checksums_and_serve_parts(portal: Portal) -> None:
    """A file has its digest, an ETag, and can be fetched in ranges."""
    folder = portal.context.settings.open_data_path
    (folder / "2026").mkdir()
    (folder / "2026" / "hours.csv").write_text("a,b\n1,2\n")
    (folder / ".half").write_text("secret")

    page = portal.get("/downloads").text
    whole = portal.get("/downloads/files/2026/hours.csv")
    part = portal.get("/downloads/files/2026/hours.csv", headers={"Range": "bytes=0-2"})
    again = portal.get(
        "/downloads/files/2026/hours.csv", headers={"If-None-Match": whole.headers["etag"]}
    )

    assert "2026/hours.csv" in page
    assert re.search(r"<code class=\"digest\">[0-9a-f]{64}</code>", page)
    assert ".half" not in page
    assert portal.get("/downloads/files/.half").status_code == 404
    assert (part.status_code, part.text) == (206, "a,b")
    assert again.status_code == 304
    assert whole.headers["access-control-allow-origin"] == "*"


def test_every_text_key_of_the_templates_exists() -> None:
    """A page with a missing sentence would fail only when somebody opens it."""
    folder = Path(__file__).parents[3] / "lamppost_app" / "portal"
    sources = [*folder.glob("templates/*.html"), *folder.glob("*.py")]
    found = {
        key
        for source in sources
        for key in re.findall(r"""\b(?:t|text)\(["']([\w.]+)["'][,)]""", source.read_text())
    }

    assert found - set(catalogue()) == set()


def test_kept_texts_are_used() -> None:
    """Sentences nobody reads are taken out."""
    folder = Path(__file__).parents[3] / "lamppost_app" / "portal"
    paths = [*folder.glob("templates/*"), *folder.glob("*.py")]
    source = "".join(path.read_text() for path in paths)
    made_up = ("flag.", "severity.", "state.", "event.", "nav.", "shape.", "filter.",
               "acknowledge.", "console.", "kind.", "held.", "clock.", "fits.",
               "compliance_status.", "rated.", "averaging.", "amount.", "counted.",
               "month.")  # fmt: skip

    unused = [key for key in catalogue() if key not in source and not key.startswith(made_up)]

    assert unused == []


def test_the_station_page_says_what_was_quarantined_and_why(portal: Portal) -> None:
    """Code sentence, detail, state and a harmless excerpt; nothing private, nothing executable."""
    page = portal.get("/stations/aq-001").text

    assert "The unit is unknown or does not measure this quantity." in page
    assert "&#39;ppx&#39; does not measure no2" in page
    assert "read again" in page
    assert "52.37…" in page
    assert "52.370216" not in page
    assert "aa:bb:cc:dd:ee:ff" not in page
    assert "<b>&#34;" not in page


def test_a_sensor_nothing_was_accepted_from_has_a_page(portal: Portal) -> None:
    """Its owner finds out there why."""
    answer = portal.get("/stations/x")

    assert answer.status_code == 200
    assert "The bytes are not what the format says they should be." in answer.text
    assert portal.get("/stations/nobody").status_code == 404


def test_an_alert_about_the_system_links_no_station(portal: Portal) -> None:
    """The ledger belongs to no lamppost; its rule is explained although no policy has it."""
    event = alert("books", NOW, "", rule="ledger_imbalance", quantity="", qualifiers="sink=store")
    portal.context.store.write([Entry(99, log.ALERTS, NOW, alerts_body(event))], 99)

    console, page = portal.get("/").text, portal.get("/alerts/books").text

    assert 'href="/stations/"' not in console + page
    assert "Lamppost" in page
    assert "<code>ledger</code>" in page


def test_the_page_of_a_station_shows_the_lines_to_its_reference(portal: Portal) -> None:
    """The one in use with n, R2 and validity, and why the newest is not used."""
    page = portal.get("/stations/aq-001").text

    assert "0.520 x +2.75" in page
    assert "0.91" in page
    assert "not used: the clocks differ by 2 h" in page
    assert "/api/v1/fits?station=aq-001" in page


def test_the_page_of_a_station_shows_the_numbers_behind_a_reason(portal: Portal) -> None:
    """With the newest reading and in the table of readings."""
    page = portal.get("/stations/aq-001").text

    assert page.count("It was -1 before.") == 2
    assert page.count("It was -2 before.") == 1


def test_a_derived_value_is_shown_with_its_method_and_uncertainty(portal: Portal) -> None:
    """Beside the raw one, with the numbers that were in force, whatever came later."""
    key = SeriesKey("aq-001", "pm2_5", "corrected=lrapa")
    code = 90
    rules = {**json.loads(rules_body()), "policy": "feedfacecafe"}
    rules["methods"] = {"lrapa": {"version": "lrapa/1+0a", "formula": "0.5 x - 0.66"}}
    later = {**rules, "policy": "feedfacedad0"}
    later["methods"] = {"lrapa": {"version": "lrapa/1+0b", "formula": "0.6 x - 0.66"}}
    series = SeriesTable([*(SeriesKey("x", str(n)) for n in range(code)), key])
    batch = judged(code, np.array([NOW - SECOND_NS]), np.array([7.5]))
    bodies = {
        log.SERIES: arrow_bytes(series.to_arrow(code)),
        log.RULES: json.dumps(rules).encode(),
        log.READINGS: columns_body(
            replace(batch, uncertainty=np.array([1.25])).to_arrow(), rules["policy"]
        ),
    }
    entries = [Entry(60 + n, kind, NOW, body) for n, (kind, body) in enumerate(bodies.items())]
    entries.append(Entry(63, log.RULES, NOW, json.dumps(later).encode()))
    portal.context.store.write(entries, 63)

    page = portal.get("/stations/aq-001").text
    latest = portal.get("/api/v1/latest?station=aq-001").json()["items"]

    assert re.search(r"7\.5 ± 1\.[23]", page)
    assert "worked out by lrapa/1+0a" in page
    assert "0.5 x - 0.66" in page
    assert page.count("shown, not rated") == 1
    (derived,) = [item for item in latest if item["qualifiers"]]
    assert (derived["method"], derived["uncertainty"]) == ("lrapa/1+0a", 1.25)
    assert all(item["method"] is None for item in latest if not item["qualifiers"])


def test_a_wind_direction_is_also_a_point_of_the_compass(portal: Portal) -> None:
    """People know where north-north-east is, and what blows from there."""
    code = 90
    key = SeriesKey("aq-001", "wind_direction")
    series = SeriesTable([*(SeriesKey("x", str(n)) for n in range(code)), key])
    batch = judged(code, np.array([NOW - SECOND_NS]), np.array([20.0]), level=20.0)
    bodies = {
        log.SERIES: arrow_bytes(series.to_arrow(code)),
        log.READINGS: columns_body(batch.to_arrow()),
    }
    entries = [Entry(60 + n, kind, NOW, body) for n, (kind, body) in enumerate(bodies.items())]
    portal.context.store.write(entries, 61)

    page = portal.get("/stations/aq-001").text

    assert "20.0 ° NNE" in page
    assert page.count("NNE") == 1
