# SPDX-License-Identifier: EUPL-1.2
"""The log keeps what it was given, all or nothing, whoever writes or crashes."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamppost import log
from lamppost.log import Entry, Record
from lamppost_app.sqlite_log import SqliteLog
from tests.crashed_logs import frames

ROOT = Path(__file__).parents[3]
RECORDS = st.builds(
    Record,
    st.sampled_from([*log.INBOX_KINDS, *log.OUTBOX_KINDS]),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=50),
)


def start(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a Python process that can import Lamppost."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(RECORDS, max_size=4), max_size=6), st.integers(1, 5))
def test_entries_come_back_in_order_and_byte_for_byte(
    batches: list[list[Record]], limit: int
) -> None:
    """Numbered from 1 without holes, however they are cut into appends and reads."""
    with tempfile.TemporaryDirectory() as folder:
        opened = SqliteLog(Path(folder) / "a.db")

        ends = [opened.append(batch) for batch in batches]
        read: list[Entry] = []
        while part := opened.read(read[-1].seq if read else 0, limit):
            assert len(part) <= limit
            read += part
        last = opened.last()
        opened.close()

    records = [record for batch in batches for record in batch]
    assert read == [Entry(number, *record) for number, record in enumerate(records, 1)]
    assert ends == [sum(map(len, batches[: end + 1])) for end in range(len(batches))]
    assert last == len(records)


def test_a_log_survives_closing(path: Path) -> None:
    """Folders are made as needed."""
    first = SqliteLog(path)
    first.append(frames(b"a"))
    first.close()

    second = SqliteLog(path)
    second.append(frames(b"b"))

    assert [(entry.seq, entry.body) for entry in second.read(0, 9)] == [(1, b"a"), (2, b"b")]
    second.close()


def test_appending_is_all_or_nothing(kept: SqliteLog, path: Path) -> None:
    """A disk that refuses the second record keeps nothing of the first, and later ones go on."""
    kept.append(frames(b"before"))
    with sqlite3.connect(path) as other:
        other.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON entries WHEN NEW.body = x'02'"
            " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    other.close()

    with pytest.raises(OSError, match=r"inbox\.db: disk full"):
        kept.append(frames(b"\x01", b"\x02"))
    kept.append(frames(b"after"))

    assert [entry.body for entry in kept.read(0, 9)] == [b"before", b"after"]


def test_a_reader_sees_nothing_of_an_open_transaction(kept: SqliteLog, path: Path) -> None:
    """An entry is there only when it is whole."""
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO entries (kind, at, crc, body) VALUES ('tick', 1, 0, x'')")

    during = kept.read(0, 9)
    writer.execute("COMMIT")
    writer.close()

    assert during == []
    assert [entry.seq for entry in kept.read(0, 9)] == [1]


def test_trimming_forgets_results_and_keeps_names(kept: SqliteLog) -> None:
    """Readers that start late still need series, stations and rules."""
    kinds = ["series", "frame", "stations", "readings", "rules", "policy", "registration", "tick"]
    kept.append([Record(kind, 0, b"") for kind in kinds])

    gone = kept.trim(8)

    assert gone == 2
    assert [entry.kind for entry in kept.read(0, 9)] == [
        "series",
        "stations",
        "rules",
        "policy",
        "registration",
        "tick",
    ]


def test_numbers_are_never_given_twice(kept: SqliteLog) -> None:
    """Not even when everything was forgotten."""
    kept.append(frames(b"a", b"b"))

    kept.trim(3)

    assert (kept.read(0, 9), kept.last()) == ([], 2)
    assert kept.append(frames(b"c")) == 3


def test_trimming_by_age_stops_at_the_first_entry_that_is_young_enough(kept: SqliteLog) -> None:
    """And never goes beyond what every consumer has passed."""
    kept.append([Record(log.TICK, at, b"") for at in (10, 20, 30, 5, 40)])

    kept.trim_older(at=30, before=2)
    passed_by_all = [entry.at for entry in kept.read(0, 9)]
    kept.trim_older(at=30, before=5)
    young_enough = [entry.at for entry in kept.read(0, 9)]
    kept.trim_older(at=99, before=5)
    all_old = [entry.at for entry in kept.read(0, 9)]

    assert passed_by_all == [20, 30, 5, 40]
    assert young_enough == [30, 5, 40]
    assert all_old == [40]


def test_entries_of_some_kinds_are_read_up_to_a_number(kept: SqliteLog) -> None:
    """In order of their numbers, whatever the order of kinds."""
    kept.append([Record(kind, 0, b"") for kind in ("rules", "frame", "series", "rules")])

    assert [(e.seq, e.kind) for e in kept.read_kinds(["series", "rules"], 3)] == [
        (1, "rules"),
        (3, "series"),
    ]
    assert kept.read_kinds(["stations"], 99) == []


def test_a_consumer_begins_at_zero_and_keeps_its_position(path: Path) -> None:
    """Each its own, and it survives closing."""
    first = SqliteLog(path)
    begun = first.position("influxdb")
    first.set_position("influxdb", 5)
    first.set_position("mqtt_out", 3)
    first.set_position("influxdb", 7)
    first.close()

    second = SqliteLog(path)

    assert begun == 0
    assert second.positions() == {"influxdb": 7, "mqtt_out": 3}
    assert second.position("influxdb") == 7
    second.close()


def test_results_position_and_snapshot_are_committed_together(kept: SqliteLog) -> None:
    """Only the newest snapshot is kept."""
    kept.commit_results(frames(b"r1"), consumer="engine", position=4, snapshot=b"at 4")
    kept.commit_results([], consumer="engine", position=6)
    without = kept.latest_snapshot()

    last = kept.commit_results(frames(b"r2"), consumer="engine", position=9, snapshot=b"at 9")

    assert without == (4, b"at 4")
    assert (last, kept.position("engine")) == (2, 9)
    assert kept.latest_snapshot() == (9, b"at 9")


def test_results_that_are_refused_leave_position_and_snapshot_alone(
    kept: SqliteLog, path: Path
) -> None:
    """Else a restart would skip what was never said."""
    kept.commit_results(frames(b"r1"), consumer="engine", position=4, snapshot=b"at 4")
    with sqlite3.connect(path) as other:
        other.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON snapshots"
            " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    other.close()

    with pytest.raises(OSError, match="disk full"):
        kept.commit_results(frames(b"r2"), consumer="engine", position=9, snapshot=b"at 9")

    assert (kept.last(), kept.position("engine")) == (1, 4)
    assert kept.latest_snapshot() == (4, b"at 4")


_APPEND = """
import sys
from pathlib import Path
from lamppost.log import Record
from lamppost_app.sqlite_log import SqliteLog
path, name, batches = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
log = SqliteLog(path)
for batch in range(batches):
    log.append([Record("frame", batch, f"{name}/{part}".encode()) for part in range(3)])
"""


def test_two_processes_append_to_one_log(path: Path) -> None:
    """Nothing is lost, no append is torn apart, and each one's order is kept."""
    writers = [start(_APPEND, path, name, 60) for name in "ab"]

    codes = [writer.wait(timeout=60) for writer in writers]

    opened = SqliteLog(path)
    entries = opened.read(0, 1000)
    opened.close()
    assert codes == [0, 0]
    assert [entry.seq for entry in entries] == list(range(1, 361))
    appends = [entries[first : first + 3] for first in range(0, 360, 3)]
    for append in appends:
        name = append[0].body[:1]
        assert [entry.body for entry in append] == [name + b"/%d" % part for part in range(3)]
    for name in (b"a", b"b"):
        assert [one[0].at for one in appends if one[0].body[:1] == name] == list(range(60))


def test_threads_share_one_opened_log(kept: SqliteLog) -> None:
    """The portal appends from its workers."""

    def append() -> None:
        for _ in range(20):
            kept.append(frames(b"a", b"b"))

    threads = [threading.Thread(target=append) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert b"".join(entry.body for entry in kept.read(0, 1000)) == b"ab" * 60


_COMMIT = """
import sys
from pathlib import Path
from lamppost.log import Record
from lamppost_app.sqlite_log import SqliteLog
log = SqliteLog(Path(sys.argv[1]))
number = log.position("engine")
print("ready", flush=True)
while True:
    number += 1
    body = b"%d " % number + bytes(20_000)
    log.commit_results(
        [Record("readings", number, b"%d" % number), Record("alerts", number, body)],
        consumer="engine", position=number, snapshot=body if number % 3 == 0 else None,
    )
"""


def test_a_killed_engine_leaves_results_and_position_in_agreement(path: Path) -> None:
    """Killed without warning a dozen times in the middle of its commits."""
    chance = random.Random(7)
    position = 0
    for _ in range(12):
        engine = subprocess.Popen(
            [sys.executable, "-c", _COMMIT, str(path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        assert engine.stdout is not None
        engine.stdout.readline()
        time.sleep(chance.uniform(0.01, 0.12))
        engine.kill()
        engine.wait()
        engine.stdout.close()

        opened = SqliteLog(path)
        before, position = position, opened.position("engine")
        numbers = [entry.at for entry in opened.read(0, 100_000)]
        snapshot = opened.latest_snapshot()
        opened.close()

        assert position > before
        assert numbers == [number for number in range(1, position + 1) for _ in range(2)]
        if position >= 3:
            assert snapshot is not None
            assert (snapshot[0], snapshot[1].split()[0]) == (
                position // 3 * 3,
                b"%d" % (position // 3 * 3),
            )
