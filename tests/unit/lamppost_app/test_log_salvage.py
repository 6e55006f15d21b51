# SPDX-License-Identifier: EUPL-1.2
"""After a crash a changed byte of the write-ahead log costs at most the entry it hits."""

from __future__ import annotations

import contextlib
import logging
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lamppost.log import DAMAGED, TICK, Entry, Record
from lamppost_app.commands import doctor
from lamppost_app.log_examination import examine
from lamppost_app.log_salvage import kept, salvage
from lamppost_app.settings import Settings
from lamppost_app.sqlite_log import SqliteLog
from tests.crashed_logs import NAME, WAL, Crashed, crashed, files_of, flipped, rechained

ENTRIES = 60
FRAME = 24 + 4096
FEW = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Crashed:
    """A log that a crash left, a part of it in the file already."""
    folder = tmp_path_factory.mktemp("left") / "log"
    return crashed(folder, random.Random(3), ENTRIES, in_file=20)


@pytest.fixture
def place(caplog: pytest.LogCaptureFixture) -> Iterator[Path]:
    """A folder for many logs, and no log lines about each."""
    caplog.set_level(logging.CRITICAL + 1, logger="lamppost")
    made = Path(tempfile.mkdtemp())
    yield made
    shutil.rmtree(made)


def opened(path: Path) -> tuple[list[Entry], list[int], str]:
    """Open a log, add a tick, and return what it holds, what is lost, and of which structure."""
    with contextlib.closing(SqliteLog(path)) as log:
        number = log.append([Record(TICK, 1, b"")])
        entries = log.read(0, 1000)
        structure = examine(log).structure
    assert entries[-1] == Entry(number, TICK, 1, b"")
    assert [one.seq for one in entries] == list(range(1, number + 1))
    lost = [one.seq for one in entries if one.kind == DAMAGED]
    return [one for one in entries[:-1] if one.kind != DAMAGED], lost, structure


@FEW
@given(data=st.data())
def test_any_one_changed_byte_costs_one_entry_at_most(
    left: Crashed, place: Path, data: st.DataObject
) -> None:
    """Wherever it lies, in both byte orders; everything else is byte for byte what it was."""
    wal = rechained(left.wal, big_endian=data.draw(st.booleans()))
    at = data.draw(st.one_of(st.integers(0, 80), st.integers(0, len(wal) - 1)))
    damaged = flipped(wal, {at: data.draw(st.integers(1, 255))})
    with tempfile.TemporaryDirectory(dir=place) as folder:
        entries, lost, structure = opened(left.left(Path(folder) / "log", damaged))

    assert len(lost) <= 1
    assert entries == [one for one in left.entries if one.seq not in lost]
    assert structure == ""


@FEW
@given(data=st.data())
def test_bytes_changed_in_several_frames_cost_one_entry_each(
    left: Crashed, place: Path, data: st.DataObject
) -> None:
    """Each frame is put right for itself."""
    count = (len(left.wal) - 32) // FRAME
    frames = data.draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=4, unique=True))
    changes = {
        32 + frame * FRAME + data.draw(st.integers(0, FRAME - 1)): data.draw(st.integers(1, 255))
        for frame in frames
        if not {frame - 1, frame + 1} & set(frames)
    }
    with tempfile.TemporaryDirectory(dir=place) as folder:
        entries, lost, _ = opened(left.left(Path(folder) / "log", flipped(left.wal, changes)))

    assert len(lost) <= len(changes)
    assert entries == [one for one in left.entries if one.seq not in lost]


@pytest.mark.parametrize("frames", [(0, 29), (0, 2, 29), (0, 5, 9, 29)], ids=str)
def test_bytes_that_only_fit_together_are_found(
    left: Crashed, tmp_path: Path, frames: tuple[int, ...]
) -> None:
    """How many cells a page of the tree has: with either of them wrong nothing can be read."""
    changes = {32 + frame * FRAME + 27: 1 for frame in frames}

    entries, lost, structure = opened(left.left(tmp_path / "log", flipped(left.wal, changes)))

    assert len(lost) <= len(changes)
    assert entries == [one for one in left.entries if one.seq not in lost]
    assert structure == ""


@FEW
@given(cut=st.floats(0, 1), torn=st.binary(max_size=2 * FRAME))
def test_a_torn_end_is_read_as_sqlite_alone_reads_it(
    left: Crashed, place: Path, cut: float, torn: bytes
) -> None:
    """What was never written as a whole does not come back; where but a byte is missing it was."""
    length = 32 + int(cut * (len(left.wal) - 32))
    wal = left.wal[:length] + torn
    changed = sum(one != other for one, other in zip(wal[length:], left.wal[length:], strict=False))
    assume(changed != 1)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        alone = left.left(Path(folder) / "alone", wal)
        with contextlib.closing(sqlite3.connect(alone)) as other:
            rows = other.execute("SELECT seq, body FROM entries ORDER BY seq").fetchall()
        path = left.left(Path(folder) / "log", wal)
        (path.parent / f"{NAME}-end").unlink()
        with contextlib.closing(SqliteLog(path)) as log:
            entries = log.read(0, 1000)

        assert [(one.seq, one.body) for one in entries] == rows
        assert kept(path) == []


def test_what_was_done_is_told_and_the_damaged_file_kept(
    left: Crashed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once: the next opening finds nothing to do."""
    damaged = flipped(left.wal, {32 + 7 * FRAME + 1000: 0x10})
    path = left.left(tmp_path / "log", damaged)

    entries, lost, _ = opened(path)
    opened(path)

    (evidence,) = kept(path)
    (line,) = [record.getMessage() for record in caplog.records]
    assert (entries, lost) == (left.entries, [])
    assert evidence.read_bytes() == damaged
    assert line.startswith(f"storage_salvaged file={path}-wal cost=nothing kept={evidence.name}")
    assert "dmesg" in line
    assert {file.name for file in path.parent.iterdir()} == {NAME, f"{NAME}-end", evidence.name}


def test_a_wiped_sector_costs_the_entry_it_hits(
    left: Crashed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """More than a byte cannot be computed, but those behind it are read."""
    body = next(one for one in left.entries[30:] if len(one.body) == 9000)
    begin = left.wal.index(body.body[5000:5512])
    path = left.left(tmp_path / "log", left.wal[:begin] + bytes(512) + left.wal[begin + 512 :])

    entries, lost, structure = opened(path)

    assert (lost, structure) == ([body.seq], "")
    assert entries == [one for one in left.entries if one.seq != body.seq]
    assert "storage_salvaged" in caplog.text
    assert 'cost="1 damaged"' in caplog.text


def test_frames_of_an_earlier_generation_are_nobodys_damage(tmp_path: Path) -> None:
    """They stay behind the end until they are written over, and no longer count."""
    was = crashed(tmp_path / "original", random.Random(2), ENTRIES, frames=60)
    last = len(was.wal) - FRAME // 2
    path = was.left(tmp_path / "log", flipped(was.wal, {last: 0x20}))

    entries, lost, _ = opened(path)

    assert (entries, lost, kept(path)) == (was.entries, [], [])


def test_a_log_somebody_has_open_is_not_touched(left: Crashed, tmp_path: Path) -> None:
    """Neither by a second one in this process nor by one in another."""
    path = left.left(tmp_path / "log")
    with contextlib.closing(SqliteLog(path)) as first:
        wal = path.with_name(WAL)
        damaged = flipped(wal.read_bytes(), {32 + 900: 0x04})
        wal.write_bytes(damaged)
        SqliteLog(path).close()

        assert kept(path) == []
        assert wal.read_bytes()[: 32 + FRAME] == damaged[: 32 + FRAME]
        assert first.read(0, 1000) == left.entries


_OPEN = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1])
other.execute("SELECT count(*) FROM entries").fetchall()
print("open", flush=True)
sys.stdin.read()
"""


def test_a_log_another_program_has_open_is_not_touched(left: Crashed, tmp_path: Path) -> None:
    """It would go on with the file that was put aside; as soon as it has closed it is done."""
    damaged = flipped(left.wal, {32 + 7 * FRAME + 1000: 0x10})
    path = left.left(tmp_path / "log", damaged)
    program = subprocess.Popen(
        [sys.executable, "-c", _OPEN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert program.stdout is not None
    program.stdout.readline()

    salvage(path, ENTRIES)
    during = path.with_name(WAL).read_bytes(), kept(path)
    program.kill()
    program.communicate()
    salvage(path, ENTRIES)

    assert during == (damaged, [])
    assert path.with_name(WAL).read_bytes() == left.wal
    assert len(kept(path)) == 1


def test_a_salvage_that_was_broken_off_is_done_again(left: Crashed, tmp_path: Path) -> None:
    """What it worked with is in nobody's way."""
    path = left.left(tmp_path / "log", flipped(left.wal, {32 + 3 * FRAME + 30: 0x01}))
    for ending in ("-wal.salvaged", ".trial", ".trial-wal", ".trial-shm"):
        path.with_name(f"{NAME}{ending}").write_bytes(b"half of something")
    path.with_name(f"{NAME}-shm").write_bytes(bytes(32_768))

    entries, lost, _ = opened(path)

    assert (entries, lost) == (left.entries, [])
    assert set(files_of(path.parent)) == {NAME, f"{NAME}-end", kept(path)[0].name}


def test_what_cannot_be_tried_out_is_left_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file damaged itself does not tell which byte it was; the evidence outlives a checkpoint."""
    was = crashed(tmp_path / "original", random.Random(4), ENTRIES, in_file=ENTRIES - 1)
    # The highest byte of a word, and its highest bit: many bytes may have been the one.
    damaged = flipped(was.wal, {32 + 24 + 2003: 0x80})
    path = was.left(tmp_path / "log", damaged)
    with contextlib.closing(sqlite3.connect(tmp_path / "original" / NAME)) as original:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'positions'"
        (page,) = original.execute(query).fetchone()
    path.write_bytes(flipped(path.read_bytes(), {(page - 1) * 4096: 0xFF}))

    left_behind = salvage(path, ENTRIES)

    (evidence,) = kept(path)
    assert left_behind
    assert path.with_name(WAL).read_bytes() == evidence.read_bytes() == damaged
    assert not path.with_name(WAL).samefile(evidence)
    assert 'cost="not known before the log is read"' in caplog.text


def test_a_name_with_strange_characters_is_salvaged_too(left: Crashed, tmp_path: Path) -> None:
    """A question mark ends the path of a database's address."""
    folder = tmp_path / "100 % of what? #1"
    path = left.left(folder, flipped(left.wal, {32 + 9 * FRAME + 27: 0x80}))

    entries, lost, _ = opened(path)

    assert (entries, lost) == (left.entries, [])


def test_doctor_names_what_was_put_right(left: Crashed, tmp_path: Path) -> None:
    """Until the damaged file is deleted: somebody should look at the disk."""
    path = left.left(tmp_path / "data", flipped(left.wal, {32 + 7 * FRAME + 1000: 0x10}))
    given = Settings(data={"dir": path.parent}, mqtt={"enabled": False}, http={"enabled": False})

    (finding,) = [one for one in doctor.examine(given) if one.what == NAME]

    (evidence,) = kept(path)
    assert finding.right
    assert finding.detail == f"60 entries, all whole; {evidence.name} was put right after a crash"
