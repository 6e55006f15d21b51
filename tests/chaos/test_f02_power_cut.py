# SPDX-License-Identifier: EUPL-1.2
"""F2: the power goes at any system call of a commit, of laying out a log or of a checkpoint.

Method: the real log runs under strace; from its calls every state a disk may be left in is made
(synced bytes, and any part of the others), and the real log opens it. Pass: in every state all that
was acknowledged is there in full, nothing torn is taken for good, numbers have no holes, and a
position is never ahead of its results.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamppost.log import Record
from lamppost_app.sqlite_log import SqliteLog
from tests.chaos.crash_states import crashes, record
from tests.chaos.trial import Chaos

_INBOX = """
import os, random, sys
from pathlib import Path
from lamppost_app.sqlite_log import SqliteLog
from tests.chaos.test_f02_power_cut import entry
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)
last = 0
for session in range(3):
    log = SqliteLog(folder / "inbox.db")
    log.renew()
    # Checkpoints come after a thousand pages; here they come within a few commits.
    log._connection.execute("PRAGMA wal_autocheckpoint=%d" % chance.choice((4, 12, 1000)))
    for _ in range(10):
        count = chance.choice((1, 1, 2, 5))
        last = log.append([entry(number) for number in range(last + 1, last + 1 + count)])
        os.write(1, b"%d\\n" % last)
    if session == 1:
        log.trim(last // 3)
    if session < 2:
        log.close()
os._exit(0)
"""

_OUTBOX = """
import os, random, sys
from pathlib import Path
from lamppost_app.sqlite_log import ENGINE, SqliteLog
from tests.chaos.test_f02_power_cut import entry
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)
last = position = 0
for session in range(3):
    log = SqliteLog(folder / "outbox.db")
    log._connection.execute("PRAGMA wal_autocheckpoint=%d" % chance.choice((4, 12, 1000)))
    for _ in range(10):
        position += 1
        last = log.commit_results(
            [entry(number) for number in (2 * position - 1, 2 * position)],
            consumer=ENGINE,
            position=position,
            snapshot=b"%d " % position * 700 if position % 4 == 0 else None,
            expected=position - 1,
        )
        os.write(1, b"%d\\n" % last)
    if session < 2:
        log.close()
os._exit(0)
"""


def entry(number: int) -> Record:
    """Return what stands under a number: from nothing to more than a page."""
    if number % 3 == 0:
        return Record("tick", number, b"")
    return Record("frame", number, b"%d " % number * (number * 37 % 1500))


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory: only what the calls say counts, not how fast a disk is."""
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield made
    shutil.rmtree(made)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ["inbox.db", "outbox.db"])
def test_whatever_a_power_cut_leaves_is_read_rightly(name: str, chaos: Chaos, place: Path) -> None:
    """Every moment of three sessions, each with its unsynced writes whole, torn or missing."""
    folder = place / "data"
    folder.mkdir()
    script = _INBOX if name == "inbox.db" else _OUTBOX
    calls = record(script, folder, chaos.seed)
    states, wanted = 0, chaos.pick(300, 60_000)
    begun_at = time.monotonic()
    for moment, said, files in crashes(calls, folder, wanted, chaos.random):
        acknowledged = int(said[-1]) if said else 0
        with left_behind(place / "crashed", name, files) as log:
            problem = wrong(log, acknowledged)
        assert problem is None, f"after call {moment} ({calls[moment].what}): {problem}"
        states += 1

    chaos.report(
        fault="F2",
        did=f"power cuts in the {len(calls)} system calls of {name}",
        states=states,
        recovered=states,
        states_a_second=states / (time.monotonic() - begun_at),
    )
    assert states == wanted


def test_a_log_that_does_not_sync_is_seen_to_lose_what_it_acknowledged(
    chaos: Chaos, place: Path
) -> None:
    """The control: with less than a sync at every commit the same states show the loss."""
    folder = place / "data"
    folder.mkdir()
    lax = 'log._connection.execute("PRAGMA synchronous=NORMAL")\n    log._connection'
    calls = record(_INBOX.replace("log._connection", lax), folder, chaos.seed)

    problems = []
    for _, said, files in crashes(calls, folder, 300, chaos.random):
        with left_behind(place / "crashed", "inbox.db", files) as log:
            problems.append(wrong(log, int(said[-1]) if said else 0))

    assert any(problem and "was acknowledged" in problem for problem in problems)


@contextlib.contextmanager
def left_behind(folder: Path, name: str, files: dict[str, bytes]) -> Iterator[SqliteLog]:
    """Open the log that a crash left."""
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    log = SqliteLog(folder / name)
    yield log
    log.close()
    shutil.rmtree(folder)


def wrong(log: SqliteLog, acknowledged: int) -> str | None:
    """Return what is wrong with a log after a crash, None if nothing is."""
    last, held = log.last(), log.held()
    if last != held:
        return f"entries up to {last} were given and the log ends at {held}"
    if last < acknowledged:
        return f"ends at {last}, {acknowledged} was acknowledged"
    read = log.read(0, 1000)
    begin = read[0].seq if read and log.trimmed() else 1
    if [one.seq for one in read] != list(range(begin, last + 1)):
        return f"numbers {[one.seq for one in read]}"
    altered = [one.seq for one in read if one[1:] != entry(one.seq)]
    if altered:
        return f"not what was stored: {altered}"
    position, snapshot = log.position("engine"), log.latest_snapshot()
    if position and 2 * position != last:
        return f"position {position} with results up to {last}"
    if snapshot and (snapshot[0] > position or snapshot[1] != b"%d " % snapshot[0] * 700):
        return f"snapshot at {snapshot[0]}, position {position}"
    if log.append([entry(last + 1)]) != last + 1 or log.read(last, 9)[0][1:] != entry(last + 1):
        return "what is added afterwards does not come back"
    return None
