# SPDX-License-Identifier: EUPL-1.2
"""F17: a byte of a log changes on the disk.

Method: one byte of the file of a log of about 1 MB, or of its write-ahead log, is changed; the real
log opens it, a tick is added, everything is read. Pass: no entry comes back altered, each one lost
is reported under its own number, and there is no more than one unless the structure of the file was
hit, which is said too; a file that cannot be used is refused with what to do, and repaired.
"""

from __future__ import annotations

import contextlib
import logging
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lamppost.errors import ConfigError, StorageFailed
from lamppost.log import DAMAGED, TICK, Entry, Record
from lamppost_app.log_examination import examine, repair
from lamppost_app.sqlite_log import ENGINE, SqliteLog
from tests.chaos.trial import Chaos

NAME = "inbox.db"
ENTRIES = 350
ADVICE = "lamppost repair"


class Original(NamedTuple):
    """A log as it was: its files, and what it holds."""

    files: dict[str, bytes]
    entries: list[Entry]
    position: int


@pytest.fixture
def place(caplog: pytest.LogCaptureFixture) -> Iterator[Path]:
    """A folder in memory, and no log lines: there would be thousands."""
    caplog.set_level(logging.CRITICAL + 1, logger="lamppost")
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield made
    shutil.rmtree(made)


def original(folder: Path, chance: random.Random, *, closed: bool) -> Original:
    """Write a log, with a position every 25 entries; return it closed or as a crash leaves it."""
    folder.mkdir()
    log = SqliteLog(folder / NAME)
    for number in range(1, ENTRIES + 1):
        body = chance.randbytes(chance.choice((200, 1500, 4000, 9000)))
        log.append([Record("frame", number, body) if number % 3 else Record(TICK, number, b"")])
        if number % 25 == 0:
            log.set_position(ENGINE, number)
    entries, position = log.read(0, ENTRIES + 1), log.position(ENGINE)
    if closed:
        log.close()
    found = [file for file in folder.iterdir() if not file.name.endswith("-shm")]
    files = {file.name: file.read_bytes() for file in found}
    if not closed:
        log.close()
    return Original(files, entries, position)


@pytest.mark.timeout(14_400)
def test_a_changed_byte_of_the_file_costs_one_entry_and_is_reported(
    chaos: Chaos, place: Path
) -> None:
    """The short form tries some hundred; the full form the first page and every 16th of the rest.

    Where it begins is chance, so that runs night after night come past every byte.
    """
    was = original(place / "original", chaos.random, closed=True)
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


@pytest.mark.timeout(3600)
def test_a_changed_byte_of_the_write_ahead_log_is_told_by_the_numbers_it_cost(
    chaos: Chaos, place: Path
) -> None:
    """SQLite drops what lies behind it, after a crash; the mark beside the log knows how much."""
    was = original(place / "original", chaos.random, closed=False)
    name = f"{NAME}-wal"
    size = len(was.files[name])
    lost_most, states, reported = 0, chaos.pick(80, 20_000), 0
    for offset in chaos.random.sample(range(size), states):
        flip = chaos.random.randrange(1, 256)
        _, lost = flipped(was, place / "rotten", name, offset, flip)
        lost_most = max(lost_most, lost)
        reported += lost > 0
    chaos.report(
        fault="F17",
        did=f"{states:,} bytes changed in a write-ahead log of {size:,}, after a crash",
        silently_altered_or_lost=0,
        nothing_lost=states - reported,
        lost_end_reported_exactly=reported,
        most_entries_lost=lost_most,
    )


def flipped(was: Original, folder: Path, name: str, offset: int, flip: int) -> tuple[str, int]:
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


def looked_at(was: Original, folder: Path) -> tuple[str, int]:
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


def compared(was: Original, log: SqliteLog) -> int:
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
    earlier = {end // 25 * 25, (end - 1) // 25 * 25} if f"{NAME}-wal" in was.files else set()
    assert position in {was.position, *earlier}, f"position {position}"
    found = examine(log)
    assert sum(damage.entries for damage in found.damages) == len(lost), "not reported exactly"
    return len(lost)
