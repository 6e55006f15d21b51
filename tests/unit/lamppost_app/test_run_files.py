# SPDX-License-Identifier: EUPL-1.2
"""Files of rows: whole or not there, told apart from damaged ones, and gone when nobody asks."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from lamppost.errors import StorageFailed
from lamppost.shelf import MemoryShelf
from lamppost_app.run_files import RunFiles

ROWS = np.array([(1, 2.5), (2, 3.5)], [("time", "i8"), ("value", "f8")])


def test_rows_come_back_under_the_name_of_their_content(tmp_path: Path) -> None:
    """The same rows have the same name, on every shelf, and are stored once."""
    files, again = RunFiles(tmp_path / "windows"), RunFiles(tmp_path / "windows")

    name = files.put(ROWS)

    assert again.put(ROWS) == MemoryShelf().put(ROWS) == name
    assert again.open(name).tolist() == ROWS.tolist()
    assert not again.open(name).flags.writeable
    assert [path.stem for path in (tmp_path / "windows").iterdir()] == [name]


def test_a_file_that_was_closed_meanwhile_is_opened_again(tmp_path: Path) -> None:
    """More files than stay open at a time, each looked at twice."""
    files = RunFiles(tmp_path)
    tables = [np.repeat(ROWS, number + 1) for number in range(20)]
    names = [files.put(table) for table in tables]

    for _ in range(2):
        for name, table in zip(names, tables, strict=True):
            assert files.open(name).tolist() == table.tolist()
            assert not files.open(name).flags.writeable


@pytest.mark.parametrize("damage", ["missing", "shorter", "changed", "other"])
def test_a_damaged_file_is_never_taken_for_good(tmp_path: Path, damage: str) -> None:
    """What is told names the file and what to do."""
    name = RunFiles(tmp_path).put(ROWS)
    path = tmp_path / f"{name}.npy"
    body = bytearray(path.read_bytes())
    body[-3] ^= 1
    path.write_bytes({"shorter": body[:-9], "changed": body, "other": b"?"}.get(damage, b""))
    if damage == "missing":
        path.unlink()
    files = RunFiles(tmp_path)

    (problem,) = files.examine([name], thoroughly=True)
    with pytest.raises(StorageFailed, match=r"npy.*back-up"):
        files.open(name)

    assert str(path) in problem
    assert bool(files.examine([name], thoroughly=False)) == (damage != "changed")


def test_files_nobody_names_are_deleted(tmp_path: Path) -> None:
    """And what a crash left half written; other people's files stay."""
    files = RunFiles(tmp_path)
    kept, gone = files.put(ROWS), files.put(ROWS[:1])
    (tmp_path / "abc.part").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")

    assert files.keep_only({kept}) == 2

    assert {path.name for path in tmp_path.iterdir()} == {f"{kept}.npy", "notes.txt"}
    assert gone != kept


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows stay in memory; the next try starts afresh."""
    files = RunFiles(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            files.put(ROWS)

    assert list(tmp_path.iterdir()) == []
    assert files.open(files.put(ROWS)).tolist() == ROWS.tolist()
