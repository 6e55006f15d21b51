# SPDX-License-Identifier: EUPL-1.2
"""A portal on a real port over a seeded store, and a real Chromium."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from lamppost import log
from lamppost.alerts import AcknowledgeCommand
from lamppost.clock import SystemClock
from lamppost.log import Entry
from lamppost_app.portal import rendering
from lamppost_app.portal.app import create_app
from lamppost_app.portal.context import PortalContext
from lamppost_app.portal.server import PortalServer
from lamppost_app.settings import DataSettings, Settings
from lamppost_app.sqlite_log import SqliteLog
from sinks.store import Store, StoreSettings
from tests.services import binary
from tests.unit.portal.seeded_city import alert, alerts_body, city_entries

CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@dataclass
class City:
    """A running portal whose engine is played by a thread."""

    address: str
    context: PortalContext

    def fire(self, alert_id: str, **changes: object) -> None:
        """Let an alert event come through the outbox."""
        event = alert(alert_id, time.time_ns(), **changes)
        seq = self.context.store.cursor() + 1
        entry = Entry(seq, log.ALERTS, time.time_ns(), alerts_body(event))
        self.context.store.write([entry], seq)

    def confirm_commands(self, stop: threading.Event) -> None:
        """Answer acknowledgements as the engine does."""
        position = 0
        while not stop.wait(0.02):
            for entry in self.context.inbox.read(position, 10):
                position = entry.seq
                command = AcknowledgeCommand.model_validate_json(entry.body)
                self.fire(
                    command.alert_id, kind="acknowledged", by=command.by, comment=command.comment
                )


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    """Serve a city until the test ends."""
    settings = Settings(data=DataSettings(dir=tmp_path / "data"))
    store = Store(StoreSettings(path=settings.store_path))
    entries = city_entries(time.time_ns())
    store.write(entries, entries[-1].seq)
    inbox, outbox = SqliteLog(settings.inbox_path), SqliteLog(settings.outbox_path)
    folder = settings.open_data_path
    folder.mkdir(parents=True)
    (folder / "aggregates-2026-11-21.csv").write_text("station,value\naq-001,12\n")
    (folder / "stations.geojson").write_text(json.dumps({"type": "FeatureCollection"}))
    context = PortalContext(
        settings=settings, inbox=inbox, outbox=outbox, store=store, clock=SystemClock()
    )
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(context), log_config=None, timeout_graceful_shutdown=3)
    server = PortalServer(config, context.live)
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    serving.start()
    running = City(f"http://127.0.0.1:{listening.getsockname()[1]}", context)
    stop = threading.Event()
    answering = threading.Thread(target=running.confirm_commands, args=[stop])
    answering.start()
    yield running
    stop.set()
    server.should_exit = True
    answering.join()
    serving.join(timeout=10)
    assert not serving.is_alive(), "the server must stop promptly, live channels or not"
    for opened in (store, inbox, outbox):
        opened.close()


@pytest.fixture
def without_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation whose browser libraries were not built in."""
    monkeypatch.setattr(rendering, "libraries", dict)


# Not for the session: while Playwright runs, no other test of this thread can start an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium once for a module."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=binary("chromium"), args=CHROMIUM_ARGUMENTS
        )
        yield started
        started.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Where screenshots go."""
    folder = Path(os.environ.get("LAMPPOST_SCREENSHOT_DIR", str(tmp_path)))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def foreign() -> list[str]:
    """Collect requests that leave for other origins; must stay empty."""
    return []


def watched(context: BrowserContext, city: City, foreign: list[str]) -> BrowserContext:
    """Note every request of a browser context that goes elsewhere, and every script error."""

    def look(url: str) -> None:
        if not url.startswith((city.address, "data:", "blob:")):
            foreign.append(url)

    context.on("request", lambda request: look(request.url))
    context.on("weberror", lambda error: foreign.append(f"script error: {error.error}"))
    context.on(
        "console",
        lambda message: foreign.append(message.text) if message.type == "error" else None,
    )
    return context
