# SPDX-License-Identifier: EUPL-1.2
"""The checker sees what it is there for: evidence broken on purpose is named, whole is not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from lamppost import log
from lamppost.batch import AggregateBatch, JudgedBatch
from lamppost.frames import arrow_batch, arrow_bytes
from lamppost.log import Entry
from lamppost.periods import resolution_name
from lamppost_app.cursors import Cursors
from lamppost_app.delivery import SinkRunner
from lamppost_app.sqlite_log import SqliteLog
from sinks.store import Store, StoreSettings
from tests.chaos import stored
from tests.chaos.evidence import Evidence, Said, every_entry, opened
from tests.chaos.inboxes import BEGIN_S, fill, run_engine
from tests.chaos.invariants import check, examine
from tests.chaos.publisher import City

MESSAGES = 600
POISON = b"\x00 no message at all"


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as a sound system leaves it: readings, duplicates, late ones, poison."""
    folder = tmp_path_factory.mktemp("truth")
    city = City(10, BEGIN_S)
    messages = [city(number) for number in range(MESSAGES)]
    messages += [*messages[100:150], ("v1/s0000/readings", POISON)]
    messages.append(City(10, BEGIN_S - 31 * 86_400)(0))
    fill(folder, messages)
    run_engine(folder)
    inbox, outbox = SqliteLog(folder / "inbox.db"), SqliteLog(folder / "outbox.db")
    cursors = Cursors(folder / "cursors.db")
    store = Store(StoreSettings(path=folder / "store.duckdb"))
    SinkRunner(store, outbox, cursors, threading.Event(), inbox=inbox).drain()
    for one in (inbox, outbox, cursors):
        one.close()
    return folder


@pytest.fixture
def evidence(truth: Path, tmp_path: Path) -> Evidence:
    """The same, to be broken."""
    for path in truth.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    payloads = [City(10, BEGIN_S)(number)[1] for number in range(MESSAGES)]
    return Evidence(tmp_path, acknowledged=[*payloads, POISON], sent=payloads)


def rewritten(path: Path, kind: str, change: Callable[[Entry], bytes]) -> None:
    """Change the body of the first entry of a kind."""
    with opened(path) as one:
        entry = next(entry for entry in every_entry(one) if entry.kind == kind)
        one.rewrite(entry.seq, change(entry))


def in_store(evidence: Evidence, statement: str) -> None:
    """Change the store."""
    with duckdb.connect(str(evidence.data / "store.duckdb")) as store:
        store.execute(statement)


def test_whole_evidence_is_accepted(evidence: Evidence) -> None:
    """Nothing is found where nothing is wrong, and the figures are those of the messages."""
    figures = check(evidence)

    assert figures["acknowledged"] == MESSAGES + 1
    assert figures["readings"] == MESSAGES
    assert figures["duplicates"] == 50
    assert figures["too_old"] == 1
    assert figures["quarantined"] == 2


def test_a_lost_message_breaks_i1(evidence: Evidence) -> None:
    """Acknowledged, and not in the inbox."""
    evidence.acknowledged = [*evidence.acknowledged, City(10, BEGIN_S)(MESSAGES)[1]]

    assert examine(evidence).broken == {"I1"}


def test_a_row_missing_in_the_store_breaks_i1(evidence: Evidence) -> None:
    """In the inbox, and not in the sink."""
    in_store(evidence, "DELETE FROM readings WHERE entry = (SELECT max(entry) FROM readings)")

    assert examine(evidence).broken == {"I1"}


def test_a_reading_the_engine_forgot_breaks_i1(evidence: Evidence) -> None:
    """In the inbox, and nothing is said of it."""

    def shorter(entry: Entry) -> bytes:
        return arrow_bytes(arrow_batch(entry.body).slice(1))

    rewritten(evidence.data / "outbox.db", log.READINGS, shorter)

    assert examine(evidence).broken >= {"I1", "I4"}


def test_a_doubled_row_breaks_i2(evidence: Evidence) -> None:
    """One key, two rows."""
    in_store(evidence, "INSERT INTO readings SELECT * FROM readings LIMIT 1")

    assert examine(evidence).broken == {"I2"}


def test_a_row_nobody_said_breaks_i2(evidence: Evidence) -> None:
    """A reading out of nowhere."""
    in_store(evidence, "UPDATE readings SET time = time + 1 WHERE series = 3")

    assert "I2" in examine(evidence).broken


def test_a_swapped_order_breaks_i3(evidence: Evidence) -> None:
    """Two readings of one series the wrong way round in the outbox."""

    def swapped(entry: Entry) -> bytes:
        batch = arrow_batch(entry.body)
        judged = JudgedBatch.from_arrow(batch)
        first, second = np.flatnonzero(judged.series == judged.series[0])[:2]
        order = np.arange(len(judged))
        order[[first, second]] = order[[second, first]]
        swapped_rows = judged.take(order).to_arrow()
        return arrow_bytes(swapped_rows.replace_schema_metadata(batch.schema.metadata))

    rewritten(evidence.data / "outbox.db", log.READINGS, swapped)

    assert examine(evidence).broken == {"I3", "I4"}


def test_messages_that_overtook_each_other_break_i3(evidence: Evidence) -> None:
    """The inbox has them in another order than the wire."""
    evidence.sent = list(reversed(evidence.sent))

    assert examine(evidence).broken == {"I3"}


def test_a_wrong_window_breaks_i4(evidence: Evidence) -> None:
    """A count one too high, both against a fresh engine and against the raw messages."""

    def more(entry: Entry) -> bytes:
        batch = arrow_batch(entry.body)
        columns = AggregateBatch.from_arrow(batch)
        counted = {name: getattr(columns, name) for name in AggregateBatch.dtypes()}
        changed = AggregateBatch(**{**counted, "count": columns.count + 1}).to_arrow()
        return arrow_bytes(changed.replace_schema_metadata(batch.schema.metadata))

    rewritten(evidence.data / "outbox.db", log.AGGREGATES, more)

    findings = examine(evidence)
    told = " ".join(what for invariant, what in findings.violations if invariant == "I4")
    assert "fresh engine" in told
    assert "windows differ from the raw messages" in told


def test_a_missing_quarantine_record_breaks_i5(evidence: Evidence) -> None:
    """Counted, and no record of it."""
    with opened(evidence.data / "outbox.db") as outbox:
        outbox.remove([entry.seq for entry in every_entry(outbox) if entry.kind == log.QUARANTINE])

    assert "I5" in examine(evidence).broken


def test_an_uncounted_quarantine_record_breaks_i5(evidence: Evidence) -> None:
    """A record, and no count of it."""
    rewritten(evidence.data / "outbox.db", log.LEDGER, lambda _: b"[]")

    assert "I5" in examine(evidence).broken


def test_a_sinks_refusal_without_a_record_breaks_i5(evidence: Evidence) -> None:
    """Refused by the destination, and nobody wrote down what."""
    cursors = Cursors(evidence.data / "cursors.db")
    cursors._connection.execute("UPDATE stored SET stored = stored - 1, refused = 1")
    cursors.close()

    assert examine(evidence).broken == {"I5"}


def test_memory_beyond_the_bound_breaks_i6(evidence: Evidence) -> None:
    """A role that took more than it may."""
    evidence.peak_rss, evidence.rss_bound = {"engine": 5 << 20}, 4 << 20

    assert examine(evidence).broken == {"I6"}


def test_a_slow_recovery_breaks_i7(evidence: Evidence) -> None:
    """Longer than allowed."""
    evidence.recoveries_s, evidence.recovery_bound_s = [0.5, 3.5], 2.0

    assert examine(evidence).broken == {"I7"}


def test_an_unbalanced_ledger_breaks_i8(evidence: Evidence) -> None:
    """More received than accounted for."""

    def leaking(entry: Entry) -> bytes:
        rows = json.loads(entry.body)
        rows[0]["received"] += 1
        return json.dumps(rows).encode()

    rewritten(evidence.data / "outbox.db", log.LEDGER, leaking)

    assert "I8" in examine(evidence).broken


def test_a_sink_short_of_readings_breaks_i8(evidence: Evidence) -> None:
    """Accepted, and not stored, by the sink's own books."""
    cursors = Cursors(evidence.data / "cursors.db")
    cursors._connection.execute("UPDATE stored SET stored = stored - 1")
    cursors.close()

    assert examine(evidence).broken == {"I8"}


class PlayedDatabase:
    """A time series database that holds what it is told to."""

    def __init__(self, blocks: dict[str, list[dict[str, Any]]]) -> None:
        """Take the answer to each selector."""
        self._blocks = blocks

    def query(self, selector: str, *, raw: bool) -> list[dict[str, Any]]:
        """Return it."""
        return self._blocks[selector]


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (lambda *_: None, set()),
        (lambda values, times: (values.pop(), times.pop()), {"I1"}),
        (lambda values, times: (values.append(1.0), times.append(5)), {"I2"}),
        (lambda values, times: (values.append(values[0]), times.append(times[0])), {"I2"}),
        (lambda values, _: values.__setitem__(0, 999.0), {"I4"}),
    ],
    ids=["whole", "lost", "extra", "doubled", "wrong"],
)
def test_the_database_is_compared_point_by_point(
    truth: Path, change: Callable[[list[float], list[int]], object], broken: set[str]
) -> None:
    """Lost, extra, doubled and wrong points are told apart."""
    said = Said(truth / "outbox.db")
    names = list(said.names)
    blocks: dict[str, list[dict[str, Any]]] = {"readings_value": [], "aggregates_count": []}
    for table, selector, at, value in (
        (said.readings, "readings_value", "time", "value"),
        (said.aggregates, "aggregates_count", "start", "count"),
    ):
        for row in table.to_pylist():
            key = names[row["series"]]
            metric = {"__name__": selector, "station": key.sensor, "quantity": key.quantity}
            if selector == "aggregates_count":
                metric["window"] = resolution_name(row["length"], row["calendar"])
            point = {"timestamps": [row[at] // 1_000_000], "values": [row[value]]}
            blocks[selector].append({"metric": metric, **point})
    block = blocks["readings_value"][-1]
    change(block["values"], block["timestamps"])

    found = stored.in_database(PlayedDatabase(blocks), said, said.last)

    assert {invariant for invariant, _ in found} == broken
