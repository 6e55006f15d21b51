# SPDX-License-Identifier: EUPL-1.2
"""A file is opened, or refused with the reason, and what is committed is on the disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamppost.errors import ConfigError
from lamppost_app.sqlite_log import SqliteLog
from tests.crashed_logs import frames


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
