# SPDX-License-Identifier: EUPL-1.2
"""The demo as a new user meets it: one command, a browser, an alert to acknowledge."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from benchmarks.services import free_port

SECONDS = 120.0


class Demo:
    """A running ``lamppost demo``."""

    def __init__(self, folder: Path) -> None:
        """Start it on a free port."""
        self.address = f"http://127.0.0.1:{(port := free_port())}"
        self.output = folder / "output.log"
        command = [sys.executable, "-m", "lamppost_app", "demo", "--port", str(port)]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "--data", str(folder / "data")], stdout=output, stderr=output
            )

    def get(self, path: str) -> list[dict[str, Any]]:
        """Return the items of an API page, none while the portal is starting."""
        try:
            with urllib.request.urlopen(f"{self.address}/api/v1/{path}", timeout=10) as answer:
                items: list[dict[str, Any]] = json.load(answer)["items"]
        except OSError:
            return []
        return items

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition; show the output when it does not come."""
        until = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None, self.output.read_text(errors="replace")
            assert time.monotonic() < until, self.output.read_text(errors="replace")
            time.sleep(0.2)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo that has shown aggregates and alerts."""
    running = Demo(tmp_path_factory.mktemp("demo"))
    try:
        running.wait_until(lambda: running.get("aggregates?window=1min&limit=1"))
        running.wait_until(lambda: running.get("alerts?state=open"))
        yield running
    finally:
        running.process.terminate()
        assert running.process.wait(40) == 0


@pytest.mark.timeout(300)
def test_the_console_shows_the_city_with_reasons(
    demo: Demo, browser: Browser, screenshots: Path
) -> None:
    """Live aggregates and alerts with their reasons are on the page."""
    page = browser.new_page(viewport={"width": 1280, "height": 960})

    page.goto(f"{demo.address}/")
    page.wait_for_selector("[data-ready]", state="attached")

    text = page.inner_text("body")
    assert "expected" in text
    assert len(demo.get("stations?limit=500")) >= 250
    assert {item["sentence"] for item in demo.get("alerts?state=open")} != {""}
    page.screenshot(path=screenshots / "console.png")
    page.close()


@pytest.mark.timeout(300)
def test_an_acknowledgement_goes_through_the_engine(demo: Demo, browser: Browser) -> None:
    """What an operator types without JavaScript comes back as the alert's state."""
    alert = demo.get("alerts?state=open")[0]["alert_id"]
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{demo.address}/alerts/{alert}")

    page.fill("input[name=by]", "Operations")
    page.fill("[name=comment]", "On our way")
    page.click("form button[type=submit]")

    demo.wait_until(
        lambda: alert in {item["alert_id"] for item in demo.get("alerts?state=acknowledged")}
    )
    page.goto(f"{demo.address}/alerts/{alert}")  # what came back at once may be from before
    assert "On our way" in page.inner_text("body")
    page.close()


@pytest.mark.timeout(300)
def test_the_city_goes_on_living(demo: Demo) -> None:
    """New windows keep closing while the demo runs."""

    def newest() -> str:
        items = demo.get("aggregates?window=1min&station=aq-001&quantity=pm2_5&limit=1000")
        return max((item["start"] for item in items), default="")

    before = newest()

    demo.wait_until(lambda: newest() > before)
