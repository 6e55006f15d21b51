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
import numpy as np

from lamppost import log
from lamppost.batch import AggregateBatch
from lamppost.clock import ManualClock
from lamppost.flags import GOOD
from lamppost.frames import Deliveries, arrow_bytes
from lamppost.log import Entry
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS, format_instant
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
_UPSERT_BUDGET_MS: Final = 40.0
_YEAR_BUDGET_MS: Final = 100.0
_WEEK_H: Final = 168
_WEEKS: Final = 53
_YEAR_H: Final = 8760
_FIRST_HOUR_NS: Final = FIRST_AT_NS // HOUR_NS * HOUR_NS
_LATEST: Final = ("latest", {"quantity": "pm2_5"})
_ONE_STATION: Final = {"station": "s7", "window": "1h", "limit": "10000"}
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
        latest = asyncio.run(
            _answers(settings, store, entries[-1].at, plan.pick(20, 5), _LATEST, _STATIONS)
        )
        store.close()
    return [
        _row("latest value of 5,000 stations by API", latest, f"{how}; GET /api/v1/latest of one"
             " quantity through the application without a network, wall clock.", _BUDGET_MS),
        _row("upsert of 25,000 readings already there", upserts, f"{how}; one transaction of"
             f" {_UPSERT_ROWS:,} rows that replace themselves, wall clock with its fsync.",
             _UPSERT_BUDGET_MS),
        *_year(plan),
    ]  # fmt: skip


def _year(plan: Plan) -> list[Row]:
    """Measure a year of hours of one station, and 25,000 hours revised."""
    stations = plan.pick(500, 50)
    how = f"DuckDB with a year of hours of {stations} stations, written week by week"
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=DataSettings(dir=Path(folder)))
        store = Store(StoreSettings(path=settings.store_path))
        keys = [SeriesKey(f"s{number}", "pm2_5") for number in range(stations)]
        store.write(
            [Entry(1, log.SERIES, FIRST_AT_NS, arrow_bytes(SeriesTable(keys).to_arrow()))], 1
        )
        for week in range(_WEEKS):
            entry = _hours(2 + week, stations, week * _WEEK_H, _WEEK_H, 0)
            store.write([entry], entry.seq)
        question = {
            **_ONE_STATION,
            "from": format_instant(_FIRST_HOUR_NS),
            "to": format_instant(_FIRST_HOUR_NS + _YEAR_H * HOUR_NS),
        }
        now = _FIRST_HOUR_NS + _YEAR_H * HOUR_NS
        answers = asyncio.run(
            _answers(settings, store, now, plan.pick(10, 4), ("aggregates", question), _YEAR_H)
        )
        days = _UPSERT_ROWS // stations
        revised = [
            _wall_ms(store, [_hours(100 + number, stations, _YEAR_H - days, days, number)])
            for number in range(1, plan.pick(10, 4))
        ]
        store.close()
    return [
        _row("a year of hourly values of one station by API", answers, f"{how}; GET"
             " /api/v1/aggregates in one page through the application without a network, wall"
             " clock.", _YEAR_BUDGET_MS),
        _row("25,000 hours revised", Spread(revised), f"{how}; one transaction of {_UPSERT_ROWS:,}"
             " windows, each a new revision whose former one goes to the history, wall clock with"
             " its fsync.", None),
    ]  # fmt: skip


def _hours(seq: int, stations: int, first: int, count: int, revision: int) -> Entry:
    """Return an entry with the hours of all stations, those of one hour together."""
    size = stations * count
    start = _FIRST_HOUR_NS + HOUR_NS * (first + np.arange(size) // stations)
    mean = np.random.default_rng(seq).normal(20.0, 5.0, size).round(2)
    batch = AggregateBatch(
        series=np.arange(size, dtype=np.int32) % stations,
        start=start,
        length=np.full(size, HOUR_NS),
        calendar=np.zeros(size, np.uint8),
        revision=np.full(size, revision, np.int32),
        count=np.full(size, 60),
        expected=np.full(size, 60.0),
        coverage=np.full(size, 1.0),
        mean=mean,
        min=mean - 3,
        max=mean + 4,
        sd=np.full(size, 1.5),
        total=mean * 60,
        first=mean + 1,
        last=mean - 1,
        **{name: mean + place for place, name in enumerate(("q05", "q25", "q50", "q75", "q95"))},
        suspect=np.zeros(size, np.int64),
        excluded=np.zeros(size, np.int64),
        flag=np.full(size, GOOD, np.uint8),
    )
    at = int(start[-1]) + HOUR_NS
    return Entry(seq, log.AGGREGATES, at, arrow_bytes(batch.to_arrow()))


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


async def _answers(
    settings: Settings, store: Store, now: int, count: int,
    question: tuple[str, dict[str, str]], expected: int,
) -> Spread:  # fmt: skip
    inbox, outbox = SqliteLog(settings.inbox_path), SqliteLog(settings.outbox_path)
    context = PortalContext(
        settings=settings, inbox=inbox, outbox=outbox, store=store, clock=ManualClock(now)
    )
    taken = []
    transport = httpx.ASGITransport(create_app(context))
    async with httpx.AsyncClient(transport=transport, base_url=_ADDRESS) as session:
        for _ in range(count + 1):
            began = time.perf_counter()
            answer = await session.get(f"/api/v1/{question[0]}", params=question[1])
            taken.append((time.perf_counter() - began) * 1e3)
            found = len(answer.raise_for_status().json()["items"])
            if found != expected:
                raise ValueError(f"{found} rows answered, not {expected}")
    inbox.close()
    outbox.close()
    return Spread(taken[1:])
