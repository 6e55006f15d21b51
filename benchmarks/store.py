# SPDX-License-Identifier: EUPL-1.2
"""How long the portal's store takes to answer and to be fed."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx

from lamppost import log
from lamppost.clock import ManualClock
from lamppost.frames import Deliveries
from lamppost.log import Entry
from lamppost_app.engine import Engine
from lamppost_app.portal.app import create_app
from lamppost_app.portal.context import PortalContext
from lamppost_app.settings import DataSettings, Settings
from lamppost_app.sqlite_log import SqliteLog
from sensor_sim.load import FIRST_AT_NS, load_messages
from sinks.store import Store, StoreSettings

from .frames import policy_entry
from .rows import Row
from .timing import Plan, Spread

GROUP: Final = "store"
_STATIONS: Final = 5_000
_BUDGET_MS: Final = 50.0
_UPSERT_ROWS: Final = 25_000
_ADDRESS: Final = "http://127.0.0.1:8642"
_HOW: Final = f"DuckDB with two quantities of {_STATIONS:,} stations, {{rounds}} rounds of readings"


def measure(plan: Plan) -> list[Row]:
    """Measure the newest values through the programming interface, and an upsert."""
    rounds = plan.pick(40, 5)
    how = _HOW.format(rounds=rounds)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=DataSettings(dir=Path(folder)))
        store = Store(StoreSettings(path=settings.store_path))
        entries = list(_outbox(rounds))
        readings = [entry for entry in entries if entry.kind == log.READINGS]
        for entry in entries:
            store.write([entry], entry.seq)
        upserts = Spread([_wall_ms(store, [entry]) for entry in readings[-plan.pick(10, 4) :]])
        answers = asyncio.run(_latest(settings, store, entries[-1].at, plan.pick(20, 5)))
        store.close()
    return [
        _row("latest value of 5,000 stations by API", answers, f"{how}; GET /api/v1/latest of one"
             " quantity through the application without a network, wall clock.", _BUDGET_MS),
        _row("upsert of 25,000 readings already there", upserts, f"{how}; one transaction of"
             f" {_UPSERT_ROWS:,} rows that replace themselves, wall clock with its fsync.", None),
    ]  # fmt: skip


def _row(what: str, spread: Spread, how: str, budget: float | None) -> Row:
    low, high = spread.low, spread.high
    return Row(GROUP, what, spread.median, low, high, "ms", "less", how, budget)


def _wall_ms(store: Store, entries: Sequence[Entry]) -> float:
    began = time.perf_counter()
    store.write(entries, entries[-1].seq)
    return (time.perf_counter() - began) * 1e3


def _outbox(rounds: int) -> Iterator[Entry]:
    """Yield what an engine says about a city, as entries of an outbox."""
    engine = Engine()
    records = [*engine.apply(policy_entry()), *engine.apply(_registration())]
    messages = load_messages(rounds * _STATIONS, _STATIONS, 7, step_s=60)
    half = _UPSERT_ROWS // 2
    for start in range(0, len(messages), half):
        frame = Deliveries()
        for message in messages[start : start + half]:
            frame.add(message.topic, message.payload, message.due_at_ns, source="mqtt")
        at = frame.received_at[-1]
        records += engine.apply(Entry(0, log.FRAME, at, frame.to_bytes()))
    return (Entry(seq, *record) for seq, record in enumerate(records, start=1))


def _registration() -> Entry:
    stations = [
        {"sensor": message.topic.split("/")[1], "latitude": 52.0, "longitude": 4.0}
        for message in load_messages(_STATIONS, _STATIONS, 7)
    ]
    return Entry(0, log.REGISTRATION, FIRST_AT_NS, json.dumps(stations).encode())


async def _latest(settings: Settings, store: Store, now: int, count: int) -> Spread:
    inbox, outbox = SqliteLog(settings.inbox_path), SqliteLog(settings.outbox_path)
    context = PortalContext(
        settings=settings, inbox=inbox, outbox=outbox, store=store, clock=ManualClock(now)
    )
    taken = []
    transport = httpx.ASGITransport(create_app(context))
    async with httpx.AsyncClient(transport=transport, base_url=_ADDRESS) as session:
        for _ in range(count + 1):
            began = time.perf_counter()
            answer = await session.get("/api/v1/latest", params={"quantity": "pm2_5"})
            taken.append((time.perf_counter() - began) * 1e3)
            found = len(answer.raise_for_status().json()["items"])
            if found != _STATIONS:
                raise ValueError(f"{found} stations answered, not {_STATIONS}")
    inbox.close()
    outbox.close()
    return Spread(taken[1:])
