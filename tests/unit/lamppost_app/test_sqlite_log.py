# SPDX-License-Identifier: EUPL-1.2
"""The log keeps what it was given, all or nothing, whoever writes, crashes or flips a bit."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamppost import log
from lamppost.errors import ConfigError
from lamppost.log import DAMAGED, Entry, Record
from lamppost_app.log_examination import examine, repair
from lamppost_app.log_integrity import Damage
from lamppost_app.sqlite_log import SqliteLog

ROOT = Path(__file__).parents[3]
RECORDS = st.builds(
    Record,
    st.sampled_from([*log.INBOX_KINDS, *log.OUTBOX_KINDS]),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=50),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log will be."""
    return tmp_path / "logs" / "inbox.db"


@pytest.fixture
def kept(path: Path) -> Iterator[SqliteLog]:
    """A new log."""
    opened = SqliteLog(path)
    yield opened
    opened.close()


def frames(*bodies: bytes, at: int = 0) -> list[Record]:
    """Return a frame for each body."""
    return [Record(log.FRAME, at, body) for body in bodies]


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


def test_a_flipped_byte_costs_only_its_entry(path: Path) -> None:
    """It comes back as damaged under its own number, without a body or an instant to believe."""
    written = SqliteLog(path)
    written.append(frames(b"first" * 20, b"second" * 20, b"third" * 20, at=7))
    written.close()
    content = bytearray(path.read_bytes())
    content[content.find(b"secondsecond") + 3] ^= 0x10
    path.write_bytes(content)

    opened = SqliteLog(path)
    entries = opened.read(0, 9)
    by_kind = opened.read_kinds([log.FRAME], 9)
    opened.close()

    assert entries == by_kind
    assert [(entry.seq, entry.kind, entry.at) for entry in entries] == [
        (1, log.FRAME, 7),
        (2, DAMAGED, 0),
        (3, log.FRAME, 7),
    ]
    assert [entry.body for entry in entries] == [b"first" * 20, b"", b"third" * 20]


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


def test_a_damaged_snapshot_is_not_used(kept: SqliteLog, path: Path) -> None:
    """The engine then replays from the beginning."""
    kept.commit_results([], consumer="engine", position=4, snapshot=b"at 4")
    with sqlite3.connect(path) as other:
        other.execute("UPDATE snapshots SET body = x'00'")
    other.close()

    assert kept.latest_snapshot() is None


def test_a_snapshot_that_is_no_longer_bytes_is_not_used(kept: SqliteLog, path: Path) -> None:
    """As when the byte that changed says of which type it is."""
    kept.commit_results([], consumer="engine", position=4, snapshot=b"at 4")
    with sqlite3.connect(path) as other:
        other.execute("UPDATE snapshots SET body = 'at 4'")
    other.close()

    assert kept.latest_snapshot() is None


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


@pytest.mark.parametrize("number", range(20))
def test_several_may_create_the_log_at_once(number: int, path: Path) -> None:
    """As engine, delivery and portal do when they first start."""
    gate = threading.Barrier(4)
    problems: list[ConfigError] = []

    def create() -> None:
        gate.wait()
        try:
            SqliteLog(path).close()
        except ConfigError as error:
            problems.append(error)

    creators = [threading.Thread(target=create) for _ in range(4)]
    for creator in creators:
        creator.start()
    for creator in creators:
        creator.join()

    assert problems == []


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


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """And left as it is."""
    path.parent.mkdir()
    path.write_text("a shopping list, certainly longer than the header of a database\n" * 30)
    before = path.read_bytes()

    with pytest.raises(ConfigError) as raised:
        SqliteLog(path)

    assert str(raised.value).startswith(f"{path}: cannot open the log: ")
    assert path.read_bytes() == before


def test_a_database_of_somebody_else_is_refused(path: Path) -> None:
    """No tables of ours are put into it."""
    path.parent.mkdir()
    with sqlite3.connect(path) as stranger:
        stranger.execute("CREATE TABLE customers (name TEXT)")
    stranger.close()

    with pytest.raises(ConfigError, match="not a log") as raised:
        SqliteLog(path)

    assert str(path) in str(raised.value)
    with sqlite3.connect(path) as stranger:
        tables = stranger.execute("SELECT name FROM sqlite_master").fetchall()
    stranger.close()
    assert tables == [("customers",)]


def test_a_log_of_a_later_layout_is_refused(path: Path) -> None:
    """The message says what this Lamppost can read."""
    SqliteLog(path).close()
    with sqlite3.connect(path) as later:
        later.execute("PRAGMA user_version=2")
    later.close()

    with pytest.raises(ConfigError, match=r"log layout 2 .*reads layout 1"):
        SqliteLog(path)


@pytest.mark.parametrize("make", ["mkdir", "touch_parent"])
def test_a_path_that_cannot_be_a_file_is_refused(make: str, tmp_path: Path) -> None:
    """A folder of that name, or a file where its folder should be."""
    path = tmp_path / "data" / "inbox.db"
    if make == "mkdir":
        path.mkdir(parents=True)
    else:
        path.parent.touch()

    with pytest.raises(ConfigError) as raised:
        SqliteLog(path)

    assert str(raised.value).startswith(f"{path}: cannot open the log: ")


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder everybody can enter; the test goes on without the rights of root."""
    folder = Path(tempfile.mkdtemp())
    was = os.geteuid()
    if was == 0:
        os.chown(folder, 65_534, -1)
        os.seteuid(65_534)
    yield folder
    os.seteuid(was)
    shutil.rmtree(folder)


def test_a_read_only_log_is_refused(ordinary_user: Path) -> None:
    """An inbox that cannot be written to would lose what it is given."""
    path = ordinary_user / "inbox.db"
    SqliteLog(path).close()
    path.chmod(0o444)

    with pytest.raises(ConfigError, match="readonly") as raised:
        SqliteLog(path)

    assert str(raised.value).startswith(f"{path}: cannot open the log: ")


def test_a_closed_log_says_so(path: Path) -> None:
    """As an error of storage, which callers wait out or report."""
    opened = SqliteLog(path)
    opened.close()

    with pytest.raises(OSError, match=r"inbox\.db"):
        opened.read(0, 1)
    with pytest.raises(OSError, match=r"inbox\.db"):
        opened.append(frames(b"a"))


def test_a_commit_is_on_the_disk_when_it_returns(kept: SqliteLog, path: Path) -> None:
    """The journal is synced at every commit: that is what acknowledging rests on."""
    (mode,) = kept._connection.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = kept._connection.execute("PRAGMA synchronous").fetchone()

    assert (mode, synchronous) == ("wal", 2)


def flipped(path: Path, found: bytes, within: int) -> None:
    """Change one bit of a file, so many bytes behind the first place some bytes are found at."""
    content = bytearray(path.read_bytes())
    content[content.index(found) + within] ^= 0x04
    path.write_bytes(content)


def test_a_flip_in_number_kind_or_instant_is_noticed(path: Path) -> None:
    """The checksum takes them in; what claims another number stands in nobody's way."""
    written = SqliteLog(path)
    written.append([Record("kind-of-its-own", 1 << 40, b"body"), *frames(b"next")])
    written.close()
    flipped(path, b"kind-of-its-own", 2)

    opened = SqliteLog(path)
    entries = opened.read(0, 9)
    opened.append(frames(b"third"))
    all_three = opened.read(0, 9)
    opened.close()

    assert [(one.seq, one.kind, one.body) for one in entries] == [
        (1, DAMAGED, b""),
        (2, log.FRAME, b"next"),
    ]
    assert [one.kind for one in all_three] == [DAMAGED, log.FRAME, log.FRAME]


@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_position_is_taken_from_its_copy(which: int, path: Path) -> None:
    """A position too far would skip entries, one too low would repeat results."""
    written = SqliteLog(path)
    written.set_position("engine-of-this-test", 77)
    written.close()
    content = bytearray(path.read_bytes())
    places = [at for at in range(len(content)) if content[at : at + 20] == b"engine-of-this-testM"]
    assert len(places) == 2
    content[places[which] + 19] ^= 0x10
    path.write_bytes(content)

    opened = SqliteLog(path)
    found = opened.position("engine-of-this-test"), opened.positions()
    opened.close()

    assert found == (77, {"engine-of-this-test": 77})


def test_numbers_of_a_lost_end_are_not_given_again(path: Path) -> None:
    """A reader that has passed them would take no notice of what stands there now."""
    written = SqliteLog(path)
    written.append(frames(b"a"))
    written.close()
    shorter = path.read_bytes()
    written = SqliteLog(path)
    written.append(frames(b"b", b"c"))
    written.close()
    path.write_bytes(shorter)

    opened = SqliteLog(path)
    before = opened.last(), opened.held(), opened.read(0, 9)
    number = opened.append(frames(b"d"))
    after = [(one.seq, one.kind, one.body) for one in opened.read(0, 9)]
    opened.close()

    assert before == (3, 1, [Entry(1, log.FRAME, 0, b"a")])
    assert number == 4
    assert after == [
        (1, log.FRAME, b"a"),
        (2, DAMAGED, b""),
        (3, DAMAGED, b""),
        (4, log.FRAME, b"d"),
    ]


def test_lost_results_get_their_numbers_again(path: Path) -> None:
    """The engine computes the same once more; sinks that had them find them where they were."""
    written = SqliteLog(path)
    written.commit_results(frames(b"a"), consumer="engine", position=1)
    written.close()
    shorter = path.read_bytes()
    written = SqliteLog(path)
    written.commit_results(frames(b"b"), consumer="engine", position=2)
    written.close()
    path.write_bytes(shorter)

    opened = SqliteLog(path)
    known, position = opened.last(), opened.position("engine")
    again = opened.commit_results(frames(b"b"), consumer="engine", position=2)
    opened.close()

    assert (known, position, again) == (2, 1, 2)


def test_a_reserved_number_is_not_given(kept: SqliteLog) -> None:
    """The engine may have read further than the inbox reaches."""
    kept.append(frames(b"a"))
    kept.reserve(5)

    assert kept.append(frames(b"b")) == 6


def test_single_entries_that_were_forgotten_are_no_damage(kept: SqliteLog) -> None:
    """An empty entry stays in their place."""
    kept.append([Record("quarantine", 1, b"q"), *frames(b"a")])

    kept.remove([1])

    assert [one.kind for one in kept.read(0, 9)] == ["removed", log.FRAME]
    assert kept.sizes("quarantine") == []
    assert examine(kept).damages == []


def test_entries_that_were_trimmed_are_no_damage(kept: SqliteLog) -> None:
    """Those above are missed when they are gone."""
    kept.append(frames(*(b"%d" % number for number in range(9))))
    kept.trim(4)
    with sqlite3.connect(kept._path) as other:
        other.execute("DELETE FROM entries WHERE seq IN (6, 7)")
    other.close()

    assert [one.seq for one in kept.read(0, 99)] == [4, 5, 6, 7, 8, 9]
    assert examine(kept).damages == [Damage("inbox.db", 6, 7)]


def test_a_repaired_log_keeps_what_can_be_read(path: Path) -> None:
    """Numbers, positions and snapshots with it; the damaged file is put aside."""
    written = SqliteLog(path)
    written.append(frames(*(b"%d" % number * 3000 for number in range(9))))
    written.commit_results([], consumer="engine", position=5, snapshot=b"state")
    written.close()
    flipped(path, b"444444", 5)
    broken_off = SqliteLog(path.with_name(f"{path.name}.repaired"))
    broken_off.append(frames(b"of a repair that did not end"))
    broken_off.close()
    content = bytearray(path.read_bytes())
    content[100] ^= 0x0F  # what kind of page the first is
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="lamppost repair"):
        SqliteLog(path)

    aside, found = repair(path)

    opened = SqliteLog(path)
    entries = opened.read(0, 99)
    state = opened.position("engine"), opened.latest_snapshot(), opened.append(frames(b"x"))
    opened.close()
    assert found.damages == [Damage("inbox.db", 5, 5)]
    assert [one.kind for one in entries].index(DAMAGED) == 4
    assert [one.body for one in entries if one.kind != DAMAGED] == [
        b"%d" % number * 3000 for number in range(9) if number != 4
    ]
    assert state == (5, (5, b"state"), 10)
    assert aside.is_file()
    assert {file.name for file in path.parent.iterdir()} == {
        path.name,
        f"{path.name}-end",
        aside.name,
    }


def test_the_write_ahead_log_of_a_damaged_file_is_kept_with_it(path: Path) -> None:
    """As long as it could not be brought into the file, the newest entries are there only."""
    in_use = SqliteLog(path)
    in_use.append(frames(b"newest"))

    aside, _ = repair(path)

    assert b"newest" not in aside.read_bytes()
    assert b"newest" in aside.with_name(f"{aside.name}-wal").read_bytes()
    in_use.close()
    opened = SqliteLog(path)
    assert [one.body for one in opened.read(0, 9)] == [b"newest"]
    opened.close()
