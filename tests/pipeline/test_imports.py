# SPDX-License-Identifier: EUPL-1.2
"""Imported history in the engine: judged and published like everything else, and no news."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.files import FileWishes, archives
from ingest.formats.archive_columns import archive_bytes
from lamppost import log
from lamppost.batch import DAY, AggregateBatch, JudgedBatch
from lamppost.decoded import Measurement
from lamppost.frames import Deliveries, arrow_batch
from lamppost.imports import IMPORT_ROUTE, IMPORT_SOURCE
from lamppost.log import Entry, Record
from lamppost.policy import AlertRule, Policy, load_policy
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, format_instant, parse_instant
from lamppost_app.engine import Engine
from sinks.open_data.sink import OpenDataSettings, OpenDataSink

NOW = 1_795_000_000 * SECOND_NS // DAY_NS * DAY_NS
PM = Measurement("aq-1", "pm2_5")
SHIPPED = load_policy(Path(__file__).parents[2] / "policy")
SILENCE = AlertRule(
    use="silence",
    title="silent",
    settings={"silent_s": 900, "registered_only": False, "steady_for_s": 3600},
)
# The shipped rules, and the strictest rule about silence.
POLICY = SHIPPED.model_copy(update={"alerts": {**SHIPPED.alerts, "any_silence": SILENCE}})


class Run:
    """An engine beside a second one that is restarted before every entry."""

    def __init__(self, policy: Policy = POLICY, *, restarts: bool = True) -> None:
        """Put a policy in force."""
        self.engine, self._other = Engine(), Engine()
        self._restarts = restarts
        self._seq = 0
        self.said: list[Record] = []
        self.take(Record(log.POLICY, NOW, policy.canonical().encode()))

    def take(self, record: Record) -> None:
        """Apply a record; what is said must not depend on restarts."""
        self._seq += 1
        entry = Entry(self._seq, *record)
        said = self.engine.apply(entry)
        if self._restarts:
            self._other = Engine.from_snapshot(self._other.snapshot())
            assert self._other.apply(entry) == said
        self.said += said

    def bring(
        self, times: Sequence[int], values: Sequence[float], meaning: Measurement = PM, at: int = 0
    ) -> None:
        """Import readings."""
        number = np.zeros(len(times), np.int64)
        payload = archive_bytes([meaning], number, np.array(times), np.array(values, np.float64))
        frame = Deliveries()
        frame.add(IMPORT_ROUTE, payload, at or NOW, source=IMPORT_SOURCE, headers='{"file":"f"}')
        self.take(Record(log.FRAME, at or NOW, frame.to_bytes()))

    def hear(self, sensor: str, at: int, value: float) -> None:
        """Receive a reading from a device."""
        message = {"sensor": sensor, "time": format_instant(at), "values": {"pm2_5": value}}
        frame = Deliveries()
        frame.add(f"v1/{sensor}/readings", json.dumps(message).encode(), at, source="mqtt")
        self.take(Record(log.FRAME, at, frame.to_bytes()))

    def tick(self, at: int = 0) -> None:
        """Let time pass."""
        self.take(Record(log.TICK, at or NOW, b""))

    def of(self, kind: str) -> list[bytes]:
        """Return what was said of a kind."""
        return [record.body for record in self.said if record.kind == kind]

    def alerts(self) -> list[str]:
        """Return rules that fired."""
        return [event["rule"] for body in self.of(log.ALERTS) for event in json.loads(body)]

    def quarantine(self) -> list[dict[str, Any]]:
        """Return the rows in quarantine."""
        return [row for body in self.of(log.QUARANTINE) for row in arrow_batch(body).to_pylist()]

    def hours(self) -> dict[int, tuple[int, float]]:
        """Return revision and mean of every hour, by its start."""
        found = {}
        for body in self.of(log.AGGREGATES):
            batch = AggregateBatch.from_arrow(arrow_batch(body))
            whole = batch.take(batch.length == HOUR_NS)
            rows = zip(whole.start.tolist(), whole.revision.tolist(), whole.mean.tolist(),
                       strict=True)  # fmt: skip
            found.update({start: (revision, mean) for start, revision, mean in rows})
        return found

    def days(self) -> dict[tuple[int, int], float]:
        """Return the mean of every day of the city, by its start and length."""
        found = {}
        for body in self.of(log.AGGREGATES):
            batch = AggregateBatch.from_arrow(arrow_batch(body))
            whole = batch.take(batch.calendar == DAY)
            rows = zip(whole.start.tolist(), whole.length.tolist(), whole.mean.tolist(),
                       strict=True)  # fmt: skip
            found.update({(start, length): mean for start, length, mean in rows})
        return found

    def counts(self) -> dict[str, int]:
        """Return what the ledger says of the import door."""
        facts = self.engine.ledger.facts()["rows"]
        rows = [row for row in facts if row[0] == IMPORT_SOURCE]
        names = ("received", "accepted", "duplicate", "quarantined", "refused")
        return {name: sum(row[3 + place] for row in rows) for place, name in enumerate(names)}


def minutes(first: int, count: int) -> list[int]:
    """Return an instant every minute."""
    return [first + number * MINUTE_NS for number in range(count)]


def test_the_windows_of_the_past_are_published_with_the_next_tick() -> None:
    """Nobody waits until as much time has passed again."""
    run = Run()
    begin = NOW - 400 * DAY_NS

    run.bring(minutes(begin, 121), [5.0] * 121)
    run.tick()

    assert run.hours() == {
        begin: (0, 5.0), begin + HOUR_NS: (0, 5.0), begin + 2 * HOUR_NS: (0, 5.0),
    }  # fmt: skip
    assert run.counts() == {
        "received": 121, "accepted": 121, "duplicate": 0, "quarantined": 0, "refused": 0,
    }  # fmt: skip


def test_the_same_rows_again_change_nothing() -> None:
    """They are duplicates."""
    run = Run()
    times = minutes(NOW - 3 * HOUR_NS, 60)

    run.bring(times, [5.0] * 60)
    run.tick()
    before = len(run.said)
    run.bring(times, [5.0] * 60)
    run.tick(NOW + SECOND_NS)

    assert {record.kind for record in run.said[before:]} <= {log.LEDGER}
    assert run.counts()["duplicate"] == 60


def test_corrected_rows_correct_what_was_published() -> None:
    """As a new revision."""
    run = Run()
    begin = NOW - 3 * HOUR_NS
    times = minutes(begin, 60)

    run.bring(times, [5.0] * 60)
    run.tick()
    run.bring(times, [7.0] * 60)
    run.tick(NOW + SECOND_NS)

    assert run.hours()[begin] == (1, 7.0)


def test_days_of_the_city_come_back_as_days_of_the_city(tmp_path: Path) -> None:
    """Out of a release, into the windows they came from, on days of 23 and 25 hours too."""
    first = Run(restarts=False)
    begin = parse_instant("2026-03-26T23:00:00Z")
    times = [begin + number * HOUR_NS for number in range(24 * 5 - 1)]
    first.bring(times, [float(number % 50) for number in range(len(times))])
    first.tick()
    entries = [Entry(number, *record) for number, record in enumerate(first.said, start=1)]
    OpenDataSink(OpenDataSettings(dir=tmp_path)).write(entries, len(entries))

    (archive,) = archives([str(tmp_path)], FileWishes(window="day"))
    (part,) = archive.parts()
    assert part.said is not None
    (meaning,) = part.said.meanings
    again = Run()
    again.bring(part.said.time.tolist(), part.said.value.tolist(), meaning)
    again.tick()

    days = first.days()
    assert [length // HOUR_NS for _, length in days] == [24, 24, 23, 24, 24]
    assert again.days() == days


def test_rows_beyond_the_horizon_wait_in_quarantine() -> None:
    """Behind the newest reading of their own series, and of no other."""
    run = Run()
    old = minutes(NOW - 300 * DAY_NS, 10)
    run.hear("aq-1", NOW, 5.0)

    run.bring(old, [5.0] * 10)
    run.bring(old, [5.0] * 10, Measurement("aq-2", "pm2_5"))

    (row,) = run.quarantine()
    assert (row["code"], row["sensor"], row["source"]) == ("beyond_horizon", "aq-1", "import")
    assert "and 9 more" in row["detail"]
    assert run.counts()["accepted"] == run.counts()["quarantined"] == 10


@pytest.mark.parametrize("time", [NOW + HOUR_NS, 86_400 * SECOND_NS])
def test_a_row_with_a_time_that_cannot_be_is_refused(time: int) -> None:
    """It is not placed at the moment of the import; its neighbours go on."""
    run = Run()

    run.bring([NOW - HOUR_NS, time, NOW - HOUR_NS + MINUTE_NS], [1.0, 2.0, 3.0])

    (row,) = run.quarantine()
    assert row["code"] == "time_implausible"
    assert json.loads(row["headers"]) == {"file": "f"}
    assert run.counts()["accepted"] == 2


def test_a_terrible_past_wakes_nobody() -> None:
    """Neither by levels nor by being unusual, whether long gone or until this minute."""
    run = Run()
    calm, smoke = [5.0] * 600, [400.0] * 600

    run.bring(minutes(NOW - 1200 * MINUTE_NS, 1200), calm + smoke)
    for step in range(20):
        run.tick(NOW + step * MINUTE_NS)

    assert run.alerts() == []
    assert run.hours()


def test_what_is_measured_after_the_imported_past_is_news() -> None:
    """Alerts are as ever from the next window on."""
    run = Run(restarts=False)
    run.bring(minutes(NOW - 60 * MINUTE_NS, 60), [5.0] * 60)

    for at in minutes(NOW, 120):
        run.hear("aq-1", at, 400.0)
        run.tick(at)

    assert "pm2_5_high" in run.alerts()


def test_detectors_learn_from_the_last_days_of_an_import() -> None:
    """A new station starts with what is usual there; older history is not compared with itself."""
    run = Run()

    run.bring(minutes(NOW - 300 * DAY_NS, 200), [5.0, 6.0] * 100)
    long_past = [JudgedBatch.from_arrow(arrow_batch(body)) for body in run.of(log.READINGS)]
    run.bring(minutes(NOW - 200 * MINUTE_NS, 200), [5.0, 6.0] * 100)
    run.hear("aq-1", NOW, 5.0)
    (*_, last) = [JudgedBatch.from_arrow(arrow_batch(body)) for body in run.of(log.READINGS)]

    assert all(np.isnan(batch.score).all() for batch in long_past)
    assert not np.isnan(last.score[0])


def test_an_import_is_no_sign_of_life() -> None:
    """A device that fell silent stays silent, and one that never spoke is not missed."""
    run = Run(restarts=False)
    for at in minutes(NOW, 120):
        run.hear("aq-1", at, 5.0)
        run.tick(at)
    later = NOW + 120 * MINUTE_NS

    for step, at in enumerate(minutes(later, 60)):
        run.bring([at - 30 * SECOND_NS], [5.0 + step / 10], at=at)
        run.bring([at - 30 * SECOND_NS], [5.0], Measurement("aq-9", "pm2_5"), at=at)
        run.tick(at)

    fired = [event for body in run.of(log.ALERTS) for event in json.loads(body)]
    assert {(event["rule"], event["sensor"]) for event in fired} == {("any_silence", "aq-1")}
