# SPDX-License-Identifier: EUPL-1.2
"""Names as long as they may be, and odd ones, on every page in a real browser."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from lamppost import log
from lamppost.frames import arrow_bytes
from lamppost.log import Entry
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import MINUTE_NS
from tests.browser.conftest import City
from tests.unit.portal.seeded_city import SERIES, STATIONS, aggregates, columns_body, judged

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]

LONG = "W" * 128
ODD = "North/South & 50 %?#ü"


def add_station(city: City, sensor: str) -> None:
    """Let a station with readings, windows and an alert come through the outbox."""
    now = time.time_ns() // MINUTE_NS * MINUTE_NS
    station = Station(sensor=sensor, name=sensor, latitude=52.36, longitude=4.9, area=sensor,
                      owner=sensor, licence=sensor, kind=sensor)  # fmt: skip
    series = [*SERIES, SeriesKey(sensor, "pm2_5", "channel=" + "W" * 64)]
    times = now - MINUTE_NS * np.arange(9, 0, -1)
    code = len(SERIES)
    records = [
        (log.STATIONS, json.dumps([s.model_dump() for s in (*STATIONS, station)]).encode()),
        (log.SERIES, arrow_bytes(SeriesTable(series).to_arrow())),
        (log.READINGS, columns_body(judged(code, times, np.full(9, 12.0)).to_arrow())),
        (log.AGGREGATES, columns_body(aggregates(code, times, MINUTE_NS, 12.0).to_arrow())),
    ]
    for kind, body in records:
        seq = city.context.store.cursor() + 1
        city.context.store.write([Entry(seq, kind, now, body)], seq)
    city.fire("long", sensor=sensor, title=sensor, sentence=sensor, clears_when=sensor)


@pytest.mark.parametrize("width", [1280, 320])
def test_the_longest_names_do_not_widen_a_page(
    browser: Browser, city: City, screenshots: Path, width: int
) -> None:
    """Names wrap; a table with them stays readable inside its own frame."""
    add_station(city, LONG)
    page = browser.new_page(viewport={"width": width, "height": 900})

    for path in ("/", "/stations", "/map", f"/stations/{LONG}", "/alerts/long", "/downloads"):
        page.goto(f"{city.address}{path}")
        page.wait_for_selector("html[data-ready]")
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        widest = page.evaluate(
            "Math.max(0, ...[...document.querySelectorAll('th, td')].map((e) => e.offsetWidth))"
        )
        cut = page.evaluate(
            """[...document.querySelectorAll("h1, h2, h3, th, td, dd, p, .badge")]
            .filter((e) => e.offsetParent && !e.classList.contains("visually-hidden"))
            .filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth)
            .map((e) => e.outerHTML.slice(0, 80))"""
        )
        assert overflow <= 0, f"{path} is {overflow} px too wide"
        assert widest <= 640, f"{path} has a cell of {widest} px"
        assert cut == [], path
        page.screenshot(path=screenshots / f"long-{width}-{path[1:7]}.png")
    page.close()
    page.close()


@pytest.mark.parametrize("path", ["/stations", "/", "/alerts/long"])
def test_links_lead_to_stations_with_odd_names(browser: Browser, city: City, path: str) -> None:
    """Slashes, percent and question marks are part of the name, not of the address."""
    add_station(city, ODD)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{city.address}{path}")

    page.locator("main a[href^='/stations/']", has_text=ODD).first.click()

    assert page.inner_text("h1") == ODD
    page.close()
    page.close()
