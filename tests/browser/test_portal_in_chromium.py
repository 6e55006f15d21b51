# SPDX-License-Identifier: EUPL-1.2
"""What people do on the pages, in a real browser, with scripts and without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import City, watched

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]

READY = "html[data-ready]"
OPEN_FIRST = ".alerts.open .alert[data-alert='alert-1']"


@pytest.fixture
def page(browser: Browser, city: City, foreign: list[str]) -> Iterator[Page]:
    """A desktop page with scripts."""
    context = watched(browser.new_context(viewport={"width": 1280, "height": 900}), city, foreign)
    yield context.new_page()
    context.close()
    assert foreign == []


@pytest.fixture
def plain_page(browser: Browser, city: City, foreign: list[str]) -> Iterator[Page]:
    """A desktop page without scripts."""
    context = watched(browser.new_context(java_script_enabled=False), city, foreign)
    yield context.new_page()
    context.close()
    assert foreign == []


def acknowledge(page: Page) -> None:
    """Open the form of the first alert, fill it in and send it."""
    row = page.locator(OPEN_FIRST)
    row.locator("summary").click()
    row.get_by_label("Your name").fill("Operator")
    row.get_by_label("What is being done").fill("Technician is on the way")
    row.get_by_role("button").click()


def test_an_alert_is_acknowledged_without_scripts(plain_page: Page, city: City) -> None:
    """List, form and result are plain HTML."""
    plain_page.goto(city.address)

    acknowledge(plain_page)

    expect(plain_page.locator(".alerts.acknowledged")).to_contain_text("Technician is on the way")
    expect(plain_page.locator(OPEN_FIRST)).to_have_count(0)


def test_an_alert_is_acknowledged_with_scripts(page: Page, city: City) -> None:
    """The same, on a live page."""
    page.goto(city.address)
    page.wait_for_selector(READY)

    acknowledge(page)

    expect(page.locator(".alerts.acknowledged")).to_contain_text("Technician is on the way")
    expect(page.locator(OPEN_FIRST)).to_have_count(0)


def test_a_new_alert_appears_by_itself(page: Page, city: City) -> None:
    """From the outbox to the row without a reload."""
    page.goto(city.address)
    page.wait_for_selector(READY)
    expect(page.locator("#health-live")).to_have_text("live")

    city.fire("fresh-1", title="Harbour smells of fire", sensor="aq-002")

    expect(page.locator("[data-alert='fresh-1']")).to_be_visible(timeout=3000)


def test_the_list_does_not_move_under_somebody_who_types(page: Page, city: City) -> None:
    """New alerts wait behind a button while a form is open, and what was typed stays."""
    page.goto(city.address)
    page.wait_for_selector(READY)
    row = page.locator(OPEN_FIRST)
    row.locator("summary").click()
    row.get_by_label("What is being done").fill("half a sente")

    city.fire("fresh-2", title="Another one")

    pill = page.get_by_role("button", name="Show changes")
    expect(pill).to_be_visible(timeout=3000)
    expect(row.get_by_label("What is being done")).to_have_value("half a sente")
    expect(page.locator("[data-alert='fresh-2']")).to_have_count(0)
    pill.click()
    expect(page.locator("[data-alert='fresh-2']")).to_be_visible()


def test_a_lost_connection_is_said_within_seconds(
    page: Page, city: City, foreign: list[str]
) -> None:
    """Never a silently frozen page."""
    page.goto(city.address)
    page.wait_for_selector(READY)
    expect(page.locator("#health-live")).to_have_text("live")

    city.context.live.close()

    expect(page.locator("#lost")).to_be_visible(timeout=8000)
    expect(page.locator("#health-live")).to_have_text("reconnecting")
    refused = [line for line in foreign if "503" in line]
    foreign[:] = [line for line in foreign if line not in refused]
    assert refused, "the page keeps trying"


def test_the_map_shows_every_placed_station(page: Page, city: City, screenshots: Path) -> None:
    """A canvas where the library is built in, the server's drawing where not; a table always."""
    page.goto(f"{city.address}/map")
    page.wait_for_selector(READY)

    if page.locator("#map[data-leaflet]").count():
        assert page.locator("#map").get_attribute("data-drawn") == "4"
        expect(page.locator("#map canvas")).to_be_visible()
    else:
        expect(page.locator("#map svg.locator a")).to_have_count(4)
    expect(page.locator("table.stations tbody tr")).to_have_count(4)
    page.screenshot(path=screenshots / "map.png", full_page=True)


def test_the_map_works_where_the_library_is_absent(
    page: Page, city: City, without_libraries: None
) -> None:
    """The drawing stays, and its markers lead to the stations."""
    page.goto(f"{city.address}/map")
    page.wait_for_selector(READY)

    page.locator("#map svg.locator a", has_text="Market square").first.click(force=True)

    expect(page.locator("h1")).to_have_text("Market square")


def test_the_map_works_without_scripts(plain_page: Page, city: City, screenshots: Path) -> None:
    """Markers are links on the server's drawing."""
    plain_page.goto(f"{city.address}/map")

    expect(plain_page.locator("#map svg.locator a")).to_have_count(4)
    plain_page.screenshot(path=screenshots / "map-plain.png", full_page=True)


def test_a_station_has_charts_and_a_table(page: Page, city: City, screenshots: Path) -> None:
    """A chart per quantity, drawn by the server."""
    page.goto(f"{city.address}/stations/aq-001?range=6h")
    page.wait_for_selector(READY)

    expect(page.locator(".chart svg")).to_have_count(2)
    expect(page.locator(".chart .mark.suspect").first).to_be_visible()
    page.screenshot(path=screenshots / "station.png", full_page=True)


def test_a_wrong_clock_is_explained(page: Page, city: City, screenshots: Path) -> None:
    """What it is, what it means and what to do, for whoever owns the sensor."""
    page.goto(f"{city.address}/stations/aq-002")
    page.wait_for_selector(READY)

    section = page.get_by_role("region", name="Clock")
    expect(section).to_contain_text("1 h ahead: probably local time sent as UTC")
    expect(section).to_contain_text("Send the time in UTC, or with its offset")
    page.screenshot(path=screenshots / "clock.png", full_page=True)


def test_the_alert_page_can_be_walked_by_keyboard(page: Page, city: City) -> None:
    """The skip link comes first, and focus can always be seen."""
    page.goto(f"{city.address}/alerts/alert-1")
    page.wait_for_selector(READY)

    page.keyboard.press("Tab")

    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


SIZES = {"desktop": (1280, 900), "phone": (390, 844), "narrow": (320, 700)}
PAGES = {
    "console": "/", "alert": "/alerts/alert-1", "stations": "/stations", "map": "/map",
    "station": "/stations/aq-001?range=6h", "clock": "/stations/aq-002",
    "downloads": "/downloads", "interface": "/api",
}  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_pages_fit_every_screen(
    browser: Browser, city: City, foreign: list[str], screenshots: Path, size: str, scheme: str
) -> None:
    """Nothing scrolls sideways, controls are large enough, and nothing comes from elsewhere."""
    width, height = SIZES[size]
    context = watched(
        browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme),
        city,
        foreign,
    )
    page = context.new_page()

    for name, path in PAGES.items():
        page.goto(f"{city.address}{path}")
        page.wait_for_selector(READY)
        page.screenshot(path=screenshots / f"{name}-{size}-{scheme}.png", full_page=True)
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{name} is {overflow} px too wide"
        small = page.evaluate(
            """[...document.querySelectorAll("button, input, select, summary, nav a, .actions a")]
            .filter((e) => e.offsetParent && e.type !== "hidden")
            .filter((e) => Math.min(e.offsetWidth, e.offsetHeight) < 24)
            .map((e) => e.outerHTML.slice(0, 80))"""
        )
        assert small == [], f"{name}: targets below 24 px"
    context.close()
    assert foreign == []
