# SPDX-License-Identifier: EUPL-1.2
"""A portal over a seeded store, spoken to without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from lamppost.clock import ManualClock
from lamppost.times import HOUR_NS
from lamppost_app.cursors import Cursors
from lamppost_app.portal.app import create_app
from lamppost_app.portal.context import PortalContext
from lamppost_app.settings import DataSettings, HttpSettings, Settings
from lamppost_app.sqlite_log import SqliteLog
from sinks.store import Store, StoreSettings
from tests.unit.portal.limits_city import half_a_year
from tests.unit.portal.seeded_city import city_entries

NOW = 1_795_300_200_000_000_000


@dataclass
class Portal:
    """An application and everything it stands on."""

    context: PortalContext
    app: Any

    def request(
        self, method: str, path: str, *, client: str = "127.0.0.1", host: str = "127.0.0.1:8642",
        raises: bool = True, **options: Any,
    ) -> httpx.Response:  # fmt: skip
        """Send one request; what the application does not handle is raised, or answered."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(
                self.app, client=(client, 4711), raise_app_exceptions=raises
            )
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as session:
                return await session.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """Send a POST."""
        return self.request("POST", path, **options)


MakePortal = Callable[..., Portal]


@pytest.fixture
def make_portal(tmp_path: Path) -> Iterator[MakePortal]:
    """Make portals with their own settings."""
    opened: list[Any] = []

    def make(*, seeded: bool = True, now: int = NOW, **http: Any) -> Portal:
        http = {"reads_per_s": 0, **http}
        data = DataSettings(dir=tmp_path / str(len(opened)))
        settings = Settings(data=data, http=HttpSettings(**http))
        store = Store(StoreSettings(path=settings.store_path))
        inbox, outbox = SqliteLog(settings.inbox_path), SqliteLog(settings.outbox_path)
        cursors = Cursors(settings.cursors_path)
        opened.extend((store, inbox, outbox, cursors))
        if seeded:
            entries = city_entries(NOW)
            store.write(entries, entries[-1].seq)
            hour = NOW // HOUR_NS * HOUR_NS
            cursors.open_books("store", 0)
            cursors.advance("store", 9, {(name, hour): (5, 0) for name in ("aq-002", "tr-001")})
            cursors.compare("store", {("aq-002", hour): 5}, 9)
        context = PortalContext(
            settings=settings,
            inbox=inbox,
            outbox=outbox,
            store=store,
            cursors=cursors,
            clock=ManualClock(now),
        )
        return Portal(context, create_app(context))

    yield make
    for item in opened:
        item.close()


@pytest.fixture
def portal(make_portal: MakePortal) -> Portal:
    """A portal over a city that has run for two hours."""
    return make_portal()


@pytest.fixture
def city(make_portal: MakePortal) -> Portal:
    """A portal over half a year of two stations."""
    return half_a_year(make_portal)
