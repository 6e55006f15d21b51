# SPDX-License-Identifier: EUPL-1.2
"""A policy the engine fails under gives way to the one before, and costs no reading."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from lamppost import component, log
from lamppost.alerts import Signal
from lamppost.clock import ManualClock
from lamppost.component import Observed, Settings, register
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.policy import Policy
from lamppost.series import SeriesTable
from lamppost.state import Snapshot
from lamppost.stations import Station
from lamppost.system_rules import POLICY_RULE_ID
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS
from lamppost_app.cli import app
from lamppost_app.components import discover_processing
from lamppost_app.engine_role import EngineRole
from lamppost_app.reload import note_start, standing
from lamppost_app.settings import load
from lamppost_app.sqlite_log import SqliteLog

BEGIN = 1_795_000_000 * SECOND_NS // HOUR_NS * HOUR_NS


class FaultySettings(Settings):
    """When the component raises.

    Attributes:
        on: "ticks", "readings", or "hours": a tick at which an hour has closed.
    """

    on: str = "ticks"


class Faulty:
    """Raises: a plugin with a mistake in it."""

    name: ClassVar[str] = "faulty"
    Settings: ClassVar[type[FaultySettings]] = FaultySettings

    def __init__(
        self, settings: FaultySettings, _series: SeriesTable, _stations: Mapping[str, Station]
    ) -> None:
        """Note when to raise."""
        self._on = settings.on

    def evaluate(self, observed: Observed) -> list[Signal]:
        """Raise when it is time to."""
        reasons = {
            "ticks": observed.ticked,
            "readings": len(observed.judged) > 0,
            "hours": (observed.aggregates.length == HOUR_NS).any(),
        }
        if reasons[self._on]:
            raise ZeroDivisionError(self._on)
        return []

    def snapshot(self) -> Snapshot:
        """Keep nothing."""
        return {}

    def restore(self, _snapshot: Mapping[str, Any]) -> None:
        """Take over nothing."""


class Clinging:
    """Works until another policy takes it over; then it fails, and does not let go either."""

    name: ClassVar[str] = "clinging"
    Settings: ClassVar[type[Settings]] = Settings

    def __init__(
        self, _settings: Settings, _series: SeriesTable, _stations: Mapping[str, Station]
    ) -> None:
        """Begin under the first policy."""
        self._taken_over = False

    def evaluate(self, observed: Observed) -> list[Signal]:
        """Raise at every tick once taken over."""
        if self._taken_over and observed.ticked:
            raise ZeroDivisionError
        return []

    def snapshot(self) -> Snapshot:
        """Raise once taken over."""
        if self._taken_over:
            raise ZeroDivisionError
        return {}

    def restore(self, _snapshot: Mapping[str, Any]) -> None:
        """Be taken over."""
        self._taken_over = True


@pytest.fixture(autouse=True)
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the component for one test."""
    discover_processing()
    monkeypatch.setattr(component, "_REGISTRY", dict(component._REGISTRY))
    register("alert")(Faulty)
    register("alert")(Clinging)


def policy(on: str = "", horizon_s: float = 86_400.0, **rules: str) -> Policy:
    """Return a policy, with a rule that raises where one is named, and others by component."""
    alerts: dict[str, dict[str, Any]] = {
        name: {"use": use, "title": name, "severity": "info"} for name, use in rules.items()
    }
    if on:
        alerts["faulty"] = {
            "use": "faulty", "title": "Faulty", "severity": "info", "settings": {"on": on}
        }  # fmt: skip
    return Policy.model_validate(
        {
            "routes": [{"match": "#", "format": "native_json"}],
            "windows": {"event_time": {"correction_horizon_s": horizon_s}},
            "alerts": alerts,
        }
    )


class Inbox:
    """An inbox that fills minute by minute, and an engine that is started again when it ends."""

    def __init__(self, folder: Path) -> None:
        """Start empty."""
        self.folder = folder
        self.inbox, self.outbox = SqliteLog(folder / "inbox.db"), SqliteLog(folder / "outbox.db")
        self.now = BEGIN
        self.failures = 0
        self.snapshot_s = 1e9
        self.most_failures = 40

    def enter(self, given: Policy) -> None:
        """Enter a policy."""
        self.inbox.append([Record(log.POLICY, self.now, given.canonical().encode())])

    def minutes(self, count: int) -> None:
        """Let minutes pass, each with a reading and a tick."""
        records = []
        for _ in range(count):
            self.now += MINUTE_NS
            deliveries = Deliveries()
            reading = {"sensor": "s", "time": self.now // SECOND_NS, "values": {"pm2_5": 10.0}}
            deliveries.add("v1/s/readings", json.dumps(reading).encode(), self.now, source="mqtt")
            records += [
                Record(log.FRAME, self.now, deliveries.to_bytes()),
                Record(log.TICK, self.now, b""),
            ]
        self.inbox.append(records)

    def run(self) -> None:
        """Run the engine to the end of the inbox, as the supervisor would."""
        while True:
            role = EngineRole(self.inbox, self.outbox, snapshot_s=self.snapshot_s)
            try:
                while role.step():
                    pass
            except ZeroDivisionError:
                self.failures += 1
                assert self.failures <= self.most_failures, "started again without end"
                continue
            break
        with contextlib.suppress(ZeroDivisionError):
            role.keep_snapshot()

    def said(self, kind: str) -> list[Entry]:
        """Return what the outbox says of a kind."""
        return self.outbox.read_kinds([kind], self.outbox.last())

    @property
    def in_force(self) -> str:
        """Version of the policy in force."""
        return str(json.loads(self.said(log.RULES)[-1].body)["policy"])

    def codes(self) -> list[str]:
        """Return why messages were quarantined."""
        bodies: Sequence[bytes] = [entry.body for entry in self.said(log.QUARANTINE)]
        return [code for body in bodies for code in arrow_batch(body)["code"].to_pylist()]

    def alerts(self) -> list[str]:
        """Return what became of the alert."""
        events = [event for entry in self.said(log.ALERTS) for event in json.loads(entry.body)]
        return [event["kind"] for event in events if event["rule"] == POLICY_RULE_ID]

    def readings(self) -> int:
        """Return how many readings were judged."""
        return sum(len(arrow_batch(entry.body)) for entry in self.said(log.READINGS))


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Inbox]:
    """A city whose policy works."""
    made = Inbox(tmp_path)
    made.enter(policy())
    made.minutes(10)
    made.run()
    yield made
    made.inbox.close()
    made.outbox.close()


def test_a_policy_that_fails_at_every_tick_gives_way_at_the_first(city: Inbox) -> None:
    """No entry is set aside, nothing waits, and an alert says what happened."""
    city.enter(policy("ticks"))
    city.minutes(30)

    city.run()

    assert city.failures == 1
    assert city.in_force == policy().version
    assert city.codes() == ["bad_policy"]
    assert city.alerts() == ["firing"]
    assert city.readings() == 40


def test_a_right_policy_behind_a_failing_one_is_taken_and_ends_the_alert(city: Inbox) -> None:
    """Without waiting behind anything."""
    right = policy(horizon_s=7200.0)
    city.enter(policy("ticks"))
    city.minutes(5)
    city.enter(right)
    city.minutes(5)

    city.run()

    assert (city.failures, city.in_force) == (1, right.version)
    assert city.alerts() == ["firing", "resolved"]
    assert city.codes() == ["bad_policy"]


def test_a_policy_that_fails_on_every_frame_costs_one_frame(city: Inbox) -> None:
    """One frame may be the frame's fault; at the second the policy is."""
    city.enter(policy("readings"))
    city.inbox.append([Record(log.EXCESS, city.now, b"[]")])
    city.minutes(30)

    city.run()

    assert city.in_force == policy().version
    assert sorted(city.codes()) == ["bad_policy", "engine_error"]
    assert city.readings() == 39


def test_a_policy_that_fails_at_the_end_of_an_hour_gives_way(city: Inbox) -> None:
    """Where ticks have passed under it, the third in a row that fails shows that it is at fault."""
    city.enter(policy("hours"))
    city.minutes(120)

    city.run()

    assert city.in_force == policy().version
    assert city.codes().count("bad_policy") == 1
    assert city.codes().count("engine_error") <= 2
    assert city.readings() == 130


def test_a_single_policy_has_none_to_give_way_to(tmp_path: Path) -> None:
    """Then entries are set aside one by one, as they always were."""
    made = Inbox(tmp_path)
    made.enter(policy("ticks"))
    made.minutes(3)

    made.run()

    assert (made.failures, made.in_force) == (3, policy("ticks").version)
    assert made.codes() == ["engine_error"] * 3
    made.inbox.close()
    made.outbox.close()


def test_a_policy_that_cannot_give_way_does_not_start_the_engine_again_without_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays, it is said what to do, and entries are set aside one by one, as under the first."""
    made = Inbox(tmp_path)
    made.enter(policy(clings="clinging"))
    made.minutes(3)
    failing = policy(horizon_s=7200.0, clings="clinging")
    made.enter(failing)
    made.minutes(3)

    made.run()

    # The policy blamed, the way back, and the entry; then one for each that comes.
    assert made.failures == 3 + 2
    assert (made.in_force, made.codes()) == (failing.version, ["engine_error"] * 3)
    assert made.alerts() == ["firing"]
    assert "policy_cannot_give_way" in caplog.text
    made.minutes(2)
    right = policy(horizon_s=7200.0)
    made.enter(right)
    made.minutes(2)
    made.run()
    assert (made.failures, made.in_force) == (3 + 2 + 2, right.version)
    assert made.alerts() == ["firing", "resolved"]
    assert made.readings() == 10
    made.inbox.close()
    made.outbox.close()


def test_a_policy_stays_when_what_the_one_before_needs_is_gone(
    city: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for once, not before every entry that fails."""
    city.enter(policy(gone="clinging"))
    city.minutes(2)
    city.run()
    city.enter(policy("ticks"))
    city.run()
    city.minutes(3)
    monkeypatch.delitem(component._REGISTRY, ("alert", "clinging"))

    city.run()

    assert city.in_force == policy("ticks").version
    assert (city.failures, city.alerts()) == (3 + 1, ["firing"])


@pytest.mark.parametrize("snapshot_s", [0.0, 1e9])
def test_a_restart_ends_with_the_same_policy(city: Inbox, snapshot_s: float) -> None:
    """From a snapshot, or from the inbox alone."""
    city.snapshot_s = snapshot_s
    city.enter(policy("ticks"))
    city.minutes(3)
    city.run()

    city.minutes(3)
    city.run()

    assert (city.failures, city.in_force, city.alerts()) == (1, policy().version, ["firing"])
    again = SqliteLog(city.folder / "again.db")
    for name, seq in city.outbox.positions().items():
        if name.startswith("policy-withdrawn"):
            again.set_position(name, seq)
    role = EngineRole(city.inbox, again, snapshot_s=1e9)
    while role.step():
        pass
    said = [(entry.kind, entry.body) for entry in again.read(0, 10_000)]
    assert said == [(entry.kind, entry.body) for entry in city.outbox.read(0, 10_000)]
    again.close()


def test_reload_says_what_the_engine_made_of_a_policy(city: Inbox) -> None:
    """And enters one again that was set aside: its mistake may have been put right elsewhere."""
    (city.folder / "policy").mkdir()
    (city.folder / "policy" / "p.yaml").write_text(policy("ticks").canonical())
    toml = city.folder / "lamppost.toml"
    toml.write_text('policy = "policy"\n[data]\ndir = "."\n')
    note_start(load(toml), policy().version, ManualClock(city.now))
    ask = ["reload", "--config", str(toml), "--wait", "0"]

    first = CliRunner().invoke(app, ask)
    city.minutes(3)
    city.run()

    assert "entered: policy" in first.output
    assert "not tried yet" in first.output
    assert standing(city.folder, policy("ticks").version) == "set aside"
    again = CliRunner().invoke(app, ask)
    assert "entered: policy" in again.output
    city.minutes(3)
    city.run()
    assert city.failures == 2
    city.enter(policy())
    city.minutes(1)
    city.run()
    assert standing(city.folder, policy().version) == "in force"
