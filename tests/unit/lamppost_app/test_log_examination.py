# SPDX-License-Identifier: EUPL-1.2
"""A log is looked through for damage, and what can be read of it brought into a new file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lamppost import log
from lamppost.errors import ConfigError
from lamppost.log import DAMAGED, Record
from lamppost_app.log_examination import examine, repair
from lamppost_app.log_integrity import Damage
from lamppost_app.sqlite_log import SqliteLog
from tests.crashed_logs import changed_bit, frames


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
    changed_bit(path, b"444444", 5)
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
