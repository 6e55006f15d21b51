# SPDX-License-Identifier: EUPL-1.2
"""The live channel tells what is new, resumes, and ends when told to."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from lamppost import log
from lamppost.log import Entry
from lamppost_app.portal import live
from lamppost_app.portal.events import changes_after
from lamppost_app.portal.live import LiveFeed
from tests.unit.portal.conftest import NOW, Portal
from tests.unit.portal.seeded_city import alert, alerts_body


async def _collect(
    portal: Portal, last_seen: int | None, write: Entry | None, count: int
) -> list[str]:
    """Return the first events of a listener."""
    feed = LiveFeed()
    store = portal.context.store

    def changes(entry: int) -> live.Changes | None:
        return changes_after(portal.context, entry)

    following = asyncio.create_task(feed.run(store.cursor, changes))
    await asyncio.sleep(0)
    events: list[str] = []
    async for chunk in feed.stream(last_seen, changes, dict):
        events.append(chunk.decode())
        if len(events) == 2 and write is not None:
            store.write([write], write.seq)
        if len(events) == count:
            feed.close()
    await following
    return events


def test_a_new_alert_arrives_with_a_rising_id(portal: Portal) -> None:
    """The id is the position in the outbox."""
    entry = Entry(50, log.ALERTS, NOW, alerts_body(alert("new", NOW)))

    events = asyncio.run(_collect(portal, None, entry, 3))

    assert events[0] == "retry: 2000\n\n"
    assert events[1].startswith("event: heartbeat\n")
    assert events[2].startswith("id: 50\nevent: alerts\n")
    assert json.loads(events[2].split("data: ")[1])[0]["alert_id"] == "new"


def test_a_listener_that_comes_back_gets_what_it_missed(portal: Portal) -> None:
    """Last-Event-ID continues, even after a restart of the portal."""
    events = asyncio.run(_collect(portal, 6, None, 3))

    assert "event: alerts" in events[2]
    assert len(json.loads(events[2].split("data: ")[1])) == 4


def test_a_listener_from_another_future_is_told_to_reload(portal: Portal) -> None:
    """An id beyond the store belongs to another installation."""
    events = asyncio.run(_collect(portal, 10**9, None, 3))

    assert "event: reset" in events[2]


def test_idle_listeners_share_one_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred open pages ask the store no more often than one."""
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.2)
    asked: list[int] = []

    def heartbeat() -> dict[str, Any]:
        asked.append(1)
        return {"number": len(asked)}

    async def listen(feed: LiveFeed) -> int:
        chunks = [chunk async for chunk in feed.stream(None, lambda _entry: {}, heartbeat)]
        return sum(chunk.startswith(b"event: heartbeat") for chunk in chunks)

    async def scene() -> list[int]:
        feed = LiveFeed()
        listeners = [asyncio.create_task(listen(feed)) for _ in range(100)]
        await asyncio.sleep(1.1)
        feed.close()
        return await asyncio.gather(*listeners)

    heard = asyncio.run(scene())

    assert min(heard) >= 3
    assert len(asked) <= 7
