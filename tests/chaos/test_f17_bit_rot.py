# SPDX-License-Identifier: EUPL-1.2
"""F17: a byte of a log changes on the disk.

Method: one byte of the file of a log of about 1 MB, or after a crash of its write-ahead log, is
changed; the real log opens it, a tick is added, everything is read. Pass: no entry comes back
altered, each one lost is reported under its own number, and there is no more than one, of the
write-ahead log wherever it was hit, of the file unless that was its structure, which is said too; a
file that cannot be used is refused with what to do, and repaired.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamppost.errors import ConfigError, StorageFailed
from lamppost.log import DAMAGED, TICK, Entry, Record
from lamppost_app.log_examination import examine, repair
from lamppost_app.log_salvage import kept
from lamppost_app.sqlite_log import ENGINE, SqliteLog
from tests.chaos.trial import Chaos
from tests.crashed_logs import NAME, WAL, Crashed, crashed, files_of
from tests.services import binary

ROOT = Path(__file__).parents[2]
ENTRIES = 350
FRAME = 24 + 4096
ADVICE = "lamppost repair"


@pytest.fixture
def place(caplog: pytest.LogCaptureFixture) -> Iterator[Path]:
    """A folder in memory, and no log lines: there would be thousands."""
    caplog.set_level(logging.CRITICAL + 1, logger="lamppost")
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield made
    shutil.rmtree(made)


def closed(was: Crashed, folder: Path) -> Crashed:
    """Return a log as closing leaves it."""
    with contextlib.closing(SqliteLog(was.left(folder))):
        pass
    return was._replace(files=files_of(folder))


@pytest.mark.timeout(14_400)
def test_a_changed_byte_of_the_file_costs_one_entry_and_is_reported(
    chaos: Chaos, place: Path
) -> None:
    """The short form tries some hundred; the full form the first page and every 16th of the rest.

    Where it begins is chance, so that runs night after night come past every byte.
    """
    was = closed(crashed(place / "original", chaos.random, ENTRIES), place / "closed")
    size = len(was.files[NAME])
    short = [*chaos.random.sample(range(4096), 60), *chaos.random.sample(range(size), 300)]
    outcomes: Counter[str] = Counter()
    worst = 0
    full = [*range(4096), *range(4096 + chaos.random.randrange(16), size, 16)]
    for offset in chaos.pick(short, full):
        flip = chaos.random.choice((1 << chaos.random.randrange(8), chaos.random.randrange(1, 256)))
        outcome, lost = flipped(was, place / "rotten", NAME, offset, flip)
        outcomes[outcome] += 1
        worst = max(worst, lost)
    chaos.report(
        fault="F17",
        did=f"{sum(outcomes.values()):,} bytes changed in a log of {size:,}",
        silently_altered_or_lost=0,
        **outcomes,
        most_entries_lost_where_structure_was_hit=worst,
    )


@pytest.mark.timeout(7200)
def test_a_changed_byte_of_the_write_ahead_log_costs_one_entry_at_most(
    chaos: Chaos, place: Path
) -> None:
    """SQLite alone would drop everything behind it; every second one lies in a frame's header."""
    was = crashed(place / "original", chaos.random, ENTRIES, in_file=chaos.random.randrange(200))
    size, states = len(was.wal), chaos.pick(80, 10_000)
    outcomes: Counter[str] = Counter()
    slowest_s = 0.0
    for state in range(states):
        offset = chaos.random.randrange(size)
        if state % 2:
            offset = 32 + (offset - 32) // FRAME * FRAME + chaos.random.randrange(40)
        flip = chaos.random.choice((1 << chaos.random.randrange(8), chaos.random.randrange(1, 256)))
        begun_at = time.monotonic()
        outcome, _ = flipped(was, place / "rotten", WAL, max(0, offset), flip)
        slowest_s = max(slowest_s, time.monotonic() - begun_at)
        assert outcome in {"nothing_lost", "one_entry_lost"}, f"byte {offset} ^ {flip}: {outcome}"
        outcomes[outcome] += 1
    chaos.report(
        fault="F17",
        did=f"{states:,} bytes changed in a write-ahead log of {size:,}, after a crash",
        silently_altered_or_lost=0,
        nothing_lost=outcomes["nothing_lost"],
        one_entry_lost_and_reported=outcomes["one_entry_lost"],
        more_lost=0,
        slowest_trial_s=slowest_s,
    )


_OPEN = """
import os, sys
from pathlib import Path
from lamppost_app.sqlite_log import SqliteLog
log = SqliteLog(Path(sys.argv[1]))
os._exit(0)
"""
_CHANGES = ("write", "fsync", "link", "rename", "unlink", "chmod", "chown")


@pytest.mark.timeout(1800)
def test_a_salvage_killed_at_any_system_call_is_done_again(chaos: Chaos, place: Path) -> None:
    """The damaged write-ahead log stays until the whole one is in its place."""
    was = crashed(place / "original", chaos.random, ENTRIES, in_file=ENTRIES - 50)
    changed = bytearray(was.wal)
    # The highest bit of a page: of this byte several may be the one that changed, and are tried.
    changed[32 + 5 * FRAME + 24 + 2003] ^= 0x80
    killed = 0
    for name in _CHANGES:
        for call in range(1, chaos.pick(2, 100)):
            path = was.left(place / "log", bytes(changed))
            code = opened_and_killed(path, name, call)
            with contextlib.closing(SqliteLog(path)) as log:
                assert log.append([Record(TICK, ENTRIES + 1, b"")]) == ENTRIES + 1
                assert compared(was, log) == 0, f"killed at {name} number {call}"
            assert kept(path)
            shutil.rmtree(path.parent)
            if code == 0:
                break
            killed += 1
    chaos.report(
        fault="F17",
        did="killed while putting a write-ahead log right",
        system_calls=killed,
        lost=0,
    )
    assert killed >= len(_CHANGES)


def opened_and_killed(path: Path, name: str, call: int) -> int:
    """Open a log in a process that is killed when it makes a system call for the n-th time."""
    strace = [binary("strace"), "-qq", "-o", str(path.with_name("trace"))]
    strace += ["-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={call}"]
    return subprocess.run(
        [*strace, sys.executable, "-c", _OPEN, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        timeout=120,
    ).returncode


def flipped(was: Crashed, folder: Path, name: str, offset: int, flip: int) -> tuple[str, int]:
    """Change a byte and look; return what became of it and how many entries were lost."""
    folder.mkdir()
    for file, content in was.files.items():
        changed = bytearray(content)
        if file == name:
            changed[offset] ^= flip
        (folder / file).write_bytes(changed)
    try:
        return looked_at(was, folder)
    except AssertionError as error:
        raise AssertionError(f"{name}, byte {offset} ^ {flip}: {error}") from error
    finally:
        shutil.rmtree(folder)


def looked_at(was: Crashed, folder: Path) -> tuple[str, int]:
    """Open a log as it is, add a tick, and read; repair it where it asks for that."""
    try:
        with contextlib.closing(SqliteLog(folder / NAME)) as log:
            number = log.append([Record(TICK, ENTRIES + 1, b"")])
            assert number == ENTRIES + 1, f"the new entry is number {number}"
            lost = compared(was, log)
            if lost < 2:
                return ("one_entry_lost" if lost else "nothing_lost"), lost
            if log.read(ENTRIES - 1, 1)[0].kind == DAMAGED:
                return "end_lost", lost
            assert log.structure(), f"{lost} lost without a word"
            return "structure_hit_and_said_so", lost
    except (ConfigError, StorageFailed) as error:
        refusal = str(error)
    assert NAME in refusal
    if "log layout" in refusal or "readonly" in refusal:
        return "refused_by_version", 0
    assert ADVICE in refusal, refusal
    with contextlib.suppress(ConfigError):
        repair(folder / NAME)
        with contextlib.closing(SqliteLog(folder / NAME)) as log:
            log.append([Record(TICK, ENTRIES + 1, b"")])
            return "refused_and_repaired", compared(was, log)
    return "refused_and_beyond_repair", 0


def compared(was: Crashed, log: SqliteLog) -> int:
    """Compare a log with what it was, plus one tick; return how many entries are lost."""
    read: list[Entry] = []
    while part := log.read(read[-1].seq if read else 0, 64):
        read += part
    assert [one.seq for one in read] == list(range(1, ENTRIES + 2)), "numbers have holes"
    assert read[-1][1:] == (TICK, ENTRIES + 1, b""), "what was added does not come back"
    lost = [one.seq for one in read if one.kind == DAMAGED]
    kept = [one for one in was.entries if one.seq not in set(lost)]
    assert [one for one in read[:-1] if one.kind != DAMAGED] == kept, "an entry was altered"
    position = log.position(ENGINE)
    # A position is a commit of its own, behind its entry: with the end it may be the first to go.
    end = lost[0] - 1 if lost else ENTRIES
    earlier = {end // 25 * 25, (end - 1) // 25 * 25} if WAL in was.files else set()
    assert position in {was.position, *earlier}, f"position {position}"
    found = examine(log)
    assert sum(damage.entries for damage in found.damages) == len(lost), "not reported exactly"
    return len(lost)
