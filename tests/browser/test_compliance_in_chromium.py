# SPDX-License-Identifier: EUPL-1.2
"""The table of limits in a real browser: small, large, light, dark, with scripts and without."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from lamppost.series import SeriesKey
from lamppost.times import DAY_NS, HOUR_NS, format_instant, parse_instant
from tests.browser.conftest import City, watched
from tests.unit.portal.measured_years import hours_entry, rules_entry, series_entry
from tests.unit.portal.seeded_city import SERIES

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]

SIZES = [(1280, 900), (390, 844), (320, 700)]


def measure(city: City) -> int:
    """Let the city have measured a year in which a fifth of all days was too dirty."""
    year = int(format_instant(time.time_ns())[:4]) - 1
    begun = parse_instant(f"{year}-01-01T00:00:00Z") - HOUR_NS
    days = np.full(((parse_instant(f"{year + 1}-01-01T00:00:00Z") - begun) // DAY_NS, 24), 20.0)
    days[::5] = 70.0
    keys = [*SERIES, SeriesKey("aq-001", "pm10"), SeriesKey("aq-002", "pm10")]
    seq = city.context.store.cursor()
    entries = [
        rules_entry(seq + 1),
        series_entry(seq + 2, keys, len(SERIES)),
        hours_entry(seq + 3, {5: days.ravel(), 6: np.full(days.size, 20.0)}, begun),
    ]
    city.context.store.write(entries, seq + 3)
    return year


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_the_table_can_be_read_on_every_screen(
    browser: Browser,
    city: City,
    foreign: list[str],
    screenshots: Path,
    scripts: bool,  # noqa: FBT001
    scheme: str,
) -> None:
    """Words beside colours, nothing sideways but the table itself, nothing from elsewhere."""
    year = measure(city)
    for width, height in SIZES:
        context = watched(
            browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                java_script_enabled=scripts,
            ),
            city,
            foreign,
        )
        page = context.new_page()

        page.goto(f"{city.address}/compliance?year={year}")

        table = page.get_by_role("region", name="Limits and guidelines")
        row = table.get_by_role("row").filter(has_text="Market square").first
        expect(row).to_contain_text("exceeded")
        expect(row).to_contain_text("PM10: 73 days above 50 µg/m³; 35 days permitted.")
        row.get_by_text("Days above").click()
        expect(row).to_contain_text(f"{year}-12-")
        page.get_by_label("Status").select_option("met")
        page.get_by_role("button", name="Apply").click()
        expect(table.get_by_role("row").filter(has_text="days permitted")).to_have_count(0)
        expect(table.get_by_role("row").filter(has_text="Market square")).to_have_count(1)
        page.screenshot(path=screenshots / f"limits-{width}-{scheme}.png", full_page=True)
        page.go_back()
        if scripts:
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{wide} px too wide at {width}"
        context.close()
    assert foreign == []
