# SPDX-License-Identifier: EUPL-1.2
"""Accepted equals stored in every sink, and when it does not, an alert says so."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner, Result

from lamppost import log
from lamppost.balance import LEDGER_RULE_ID, Tally
from lamppost.component import Sink
from lamppost.frames import Deliveries
from lamppost.log import Entry, Record
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS
from lamppost_app.cli import app
from lamppost_app.cursors import Cursors
from lamppost_app.delivery import SinkRunner
from lamppost_app.engine import Engine
from lamppost_app.engine_role import EngineRole
from lamppost_app.sqlite_log import SqliteLog
from sinks.influxdb import InfluxdbSink, InfluxSettings
from sinks.store import Store, StoreSettings
from tests.pipeline.city_inbox import BEGIN, city_records
from tests.write_server import Answer, Request, WriteServer

MINUTES = 20


class LeakyStore(Store):
    """A store with a fault: it loses one entry of readings and thinks nothing of it."""

    name: ClassVar[str] = "store"

    def write(self, entries: Sequence[Entry], cursor: int) -> Tally:
        """Store all but the first entry of readings."""
        readings = [entry for entry in entries if entry.kind == log.READINGS]
        return super().write([entry for entry in entries if entry not in readings[:1]], cursor)


class System:
    """Logs, an engine and a store in one folder."""

    def __init__(self, folder: Path) -> None:
        """Open the logs and fill the inbox."""
        self.folder = folder
        self.inbox = SqliteLog(folder / "inbox.db")
        self.outbox = SqliteLog(folder / "outbox.db")
        self.cursors = Cursors(folder / "cursors.db")
        self.role = EngineRole(self.inbox, self.outbox, snapshot_s=1e9)
        (folder / "lamppost.toml").write_text('[data]\ndir = "."\n')

    def work(self) -> None:
        """Let the engine read what waits."""
        while self.role.step():
            pass

    def deliver(self, sink: Sink) -> None:
        """Let a sink read what waits."""
        runner = SinkRunner(sink, self.outbox, self.cursors, threading.Event(), inbox=self.inbox)
        runner.drain()

    def store(self, kind: type[Store] = Store) -> Store:
        """Open the store."""
        return kind(StoreSettings(path=self.folder / "store.duckdb"))

    def tick(self, at: int) -> None:
        """Let time pass."""
        self.inbox.append([Record(log.TICK, at, b"")])
        self.work()

    def alerts(self) -> list[dict[str, Any]]:
        """Return what was said about the ledger."""
        events = [
            event for entry in self.outbox.scan(log.ALERTS) for event in json.loads(entry.body)
        ]
        return [event for event in events if event["rule"] == LEDGER_RULE_ID]

    def ledger(self, *words: str) -> Result:
        """Run the command."""
        config = ("--config", str(self.folder / "lamppost.toml"))
        return CliRunner().invoke(app, ["ledger", *words, *config])


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """A system that has heard a small city for some minutes."""
    made = System(tmp_path)
    made.inbox.append(city_records(MINUTES, air_quality=4, traffic=2))
    made.work()
    yield made
    for opened in (made.inbox, made.outbox, made.cursors):
        opened.close()


def test_a_sound_system_balances_everywhere(system: System) -> None:
    """Store and InfluxDB hold what was accepted, by sensor and hour; no alert is raised."""
    system.deliver(system.store())
    with WriteServer() as server:
        system.deliver(InfluxdbSink(InfluxSettings(url=server.url)))

    result = system.ledger("--json")
    told = json.loads(result.stdout)

    assert result.exit_code == 0
    assert told["balanced"]
    assert {row["sink"] for row in told["sinks"]} == {"store", "influxdb"}
    for sink in ("store", "influxdb"):
        stored = sum(row["stored"] for row in told["sinks"] if row["sink"] == sink)
        assert stored == told["total"]["accepted"] > 0
    assert all(row["balanced"] for row in told["sinks"])
    assert system.alerts() == []


def test_what_came_since_the_last_comparison_is_no_surplus(system: System) -> None:
    """The engine says every ten seconds only what it has accepted."""
    system.deliver(system.store())
    account = next(one for one in system.cursors.balances() if one.stored)
    key = account.sensor, account.hour
    last = system.outbox.last()

    system.cursors.advance("store", last + 1, {key: (3, 0)})

    (waiting,) = [one for one in system.cursors.balances() if one.verdict != "balanced"]
    assert (waiting.sensor, waiting.verdict) == (account.sensor, "not compared yet")
    assert system.ledger().exit_code == 0

    system.cursors.compare("store", {key: account.accepted}, last + 1)

    assert [one.missing for one in system.cursors.unbalanced("store")] == [-3]
    assert system.ledger().exit_code == 1


def test_a_sink_that_loses_readings_raises_an_alert_until_it_has_them(system: System) -> None:
    """Broken on purpose: one entry is lost. The alert names the sink and goes when it is mended."""
    system.deliver(system.store(LeakyStore))
    system.work()

    (fired,) = system.alerts()
    assert (fired["kind"], fired["severity"], fired["sensor"]) == ("firing", "critical", "")
    assert fired["qualifiers"] == "sink=store"
    assert fired["observed"] < fired["expected"]
    result = system.ledger()
    assert result.exit_code == 1
    assert "missing" in result.stdout
    assert "DOES NOT BALANCE" in result.stdout

    (system.folder / "store.duckdb").unlink()
    system.deliver(system.store())
    system.work()

    assert [event["kind"] for event in system.alerts()] == ["firing", "resolved"]
    assert system.ledger().exit_code == 0


def test_the_verdict_is_part_of_the_inbox_and_replays_byte_for_byte(system: System) -> None:
    """The comparison is made outside the engine; what the engine says of it is not."""
    system.deliver(system.store(LeakyStore))
    system.work()
    again = EngineRole(system.inbox, SqliteLog(system.folder / "again.db"), snapshot_s=1e9)
    while again.step():
        pass

    first, second = (
        SqliteLog(system.folder / name).read(0, 100_000) for name in ("outbox.db", "again.db")
    )
    assert first == second


def test_an_imbalance_is_told_once(system: System) -> None:
    """As long as nothing changes, nothing more is said."""
    system.deliver(system.store(LeakyStore))
    before = system.inbox.last()
    system.deliver(system.store())
    system.tick(BEGIN + MINUTES * MINUTE_NS + 3 * HOUR_NS)
    system.deliver(system.store())

    assert system.inbox.last() == before + 1, "only the tick"


def test_what_a_server_refuses_is_accounted_for(system: System) -> None:
    """Refused lines lie in quarantine under the sink's name; the books balance with them."""

    def answer(request: Request) -> Answer:
        wanted = ("readings,", "quantity=no2")
        refused = any(all(part in line for part in wanted) for line in request.lines)
        return Answer(400, "no nitrogen here") if refused else Answer()

    with WriteServer(answer) as server:
        system.deliver(InfluxdbSink(InfluxSettings(url=server.url)))

    balances = system.cursors.balances()
    assert sum(balance.refused for balance in balances) > 0
    assert {balance.verdict for balance in balances} == {"balanced"}


def test_a_crash_between_store_and_books_counts_nothing_twice(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB has committed, the cursor file has not: the entries are written and booked again."""
    store = system.store()
    runner = SinkRunner(store, system.outbox, system.cursors, threading.Event())
    runner.open()
    with monkeypatch.context() as patch:
        patch.setattr(Cursors, "advance", _crash)
        with pytest.raises(KeyboardInterrupt):
            runner.step()
    store.close()
    assert system.cursors.position("store") == 0

    system.deliver(system.store())

    assert {balance.verdict for balance in system.cursors.balances()} == {"balanced"}


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_sink_stopped_before_its_first_reading_keeps_books_from_there(tmp_path: Path) -> None:
    """It had read rules and names only; the first hour is compared all the same."""
    system = System(tmp_path)
    records = city_records(MINUTES, air_quality=4, traffic=2)
    for part in (records[:2], records[2:]):
        system.inbox.append(part)
        system.work()
        system.deliver(system.store())

    assert system.cursors.since("store") == 0
    assert {balance.verdict for balance in system.cursors.balances()} == {"balanced"}
    for opened in (system.inbox, system.outbox, system.cursors):
        opened.close()


def test_a_sink_that_comes_late_is_not_blamed_for_what_was_trimmed(system: System) -> None:
    """Books begin with the first whole hour after the first entry that is still there."""
    system.outbox.trim(system.outbox.last() // 2)

    system.deliver(system.store())

    assert system.cursors.since("store") == BEGIN + HOUR_NS
    assert {balance.missing for balance in system.cursors.balances()} == {0}


def test_readings_that_stop_being_kept_end_the_books(system: System) -> None:
    """A sink told to leave readings out is not compared, and not blamed afterwards."""
    with WriteServer() as server:
        system.deliver(InfluxdbSink(InfluxSettings(url=server.url)))
        system.inbox.append(city_records(MINUTES, air_quality=4, traffic=2)[2:])
        system.tick(BEGIN + MINUTES * MINUTE_NS + 3 * HOUR_NS)
        system.deliver(InfluxdbSink(InfluxSettings(url=server.url, readings=False)))

    assert system.cursors.balances() == []
    assert system.cursors.since("influxdb") is None


def test_an_item_the_engine_loses_raises_an_alert(tmp_path: Path) -> None:
    """What comes in is counted apart from what becomes of it, so a leak inside shows as well."""
    engine = Engine()
    engine.apply(Entry(1, log.POLICY, BEGIN, b'{"windows":{"event_time":{}}}'))
    engine.ledger.count("mqtt", "a", BEGIN, "received", 5)
    engine.ledger.count("mqtt", "a", BEGIN, "accepted", 3)

    said = engine.apply(Entry(2, log.TICK, BEGIN + MINUTE_NS, b""))
    engine.ledger.count("mqtt", "a", BEGIN, "duplicate", 2)
    healed = engine.apply(Entry(3, log.TICK, BEGIN + 2 * MINUTE_NS, b""))

    (fired,) = json.loads(next(record.body for record in said if record.kind == log.ALERTS))
    (over,) = json.loads(next(record.body for record in healed if record.kind == log.ALERTS))
    assert (fired["kind"], over["kind"]) == ("firing", "resolved")
    assert fired["qualifiers"] == "part=engine"
    assert "of 5 items received from a through mqtt" in fired["sentence"]


def test_old_accounts_are_forgotten_but_not_under_a_sink_that_is_behind(system: System) -> None:
    """A sink that catches up with last week counts last week's hours."""
    system.deliver(system.store())
    system.cursors.forget_books(BEGIN + 100 * HOUR_NS)
    assert system.cursors.balances()

    system.cursors.advance("store", system.outbox.last(), {("a", BEGIN + 50 * HOUR_NS): (1, 0)})
    system.cursors.forget_books(BEGIN + 100 * HOUR_NS)

    assert [balance.hour for balance in system.cursors.balances()] == [BEGIN + 50 * HOUR_NS]


def test_the_balance_is_judged_only_when_everything_is_booked() -> None:
    """What goes to quarantine is booked before what was received; a snapshot changes nothing."""
    said: list[list[Record]] = []
    for keeps_snapshots in (False, True):
        engine = Engine()
        said.append([])
        for entry in late_entries():
            said[-1] += engine.apply(entry)
            if keeps_snapshots:
                engine.snapshot()

    assert said[0] == said[1]
    events = [json.loads(one.body) for one in said[0] if one.kind == log.ALERTS]
    assert not any(event["rule"] == LEDGER_RULE_ID for some in events for event in some)
    assert any(one.kind == log.QUARANTINE for one in said[0])


def late_entries() -> Iterator[Entry]:
    """Yield a city's policy, and every second a reading that is far too late, and a tick."""
    yield Entry(1, *city_records(0)[0])
    for second in range(30):
        at = BEGIN + second * SECOND_NS
        deliveries = Deliveries()
        for time_s in (at // SECOND_NS, at // SECOND_NS - 31 * 86_400):
            text = f'{{"sensor":"a","time":{time_s},"values":{{"no2":{second}}}}}'
            deliveries.add("v1/a/readings", text.encode(), at, source="mqtt")
        yield Entry(2 * second + 2, log.FRAME, at, deliveries.to_bytes())
        yield Entry(2 * second + 3, log.TICK, at, b"")


def test_a_policy_change_does_not_close_the_alert(system: System) -> None:
    """No policy has a say in whether lost readings matter."""
    system.deliver(system.store(LeakyStore))
    system.inbox.append([Record(log.POLICY, BEGIN, b'{"windows":{"event_time":{}}}')])
    system.work()

    assert [event["kind"] for event in system.alerts()] == ["firing"]


def test_a_number_sent_again_with_another_value_is_stored_as_itself(tmp_path: Path) -> None:
    """A correction is accepted and stored; it stands in the place of the former."""
    made = System(tmp_path)
    city = city_records(2, air_quality=1, traffic=0)
    frame = next(record for record in city if record.kind == log.FRAME)
    corrected = Deliveries.from_bytes(frame.body)
    for value in (b"1", b"2"):
        corrected.payloads = [
            re.sub(rb'("[a-z0-9_]+"):[-0-9.]+', rb"\1:" + value, one) for one in corrected.payloads
        ]
        city.append(Record(log.FRAME, city[-1].at, corrected.to_bytes()))
    made.inbox.append(city)
    made.tick(city[-1].at + MINUTE_NS)
    made.deliver(made.store())
    with WriteServer() as server:
        made.deliver(InfluxdbSink(InfluxSettings(url=server.url)))

    told, alerts = json.loads(made.ledger("--json").stdout), made.alerts()
    for opened in (made.inbox, made.outbox, made.cursors):
        opened.close()

    assert told["balanced"]
    assert alerts == []
