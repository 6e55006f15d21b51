# SPDX-License-Identifier: EUPL-1.2
"""A log notices every byte that changed, and loses only the entry it belongs to."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lamppost import log
from lamppost.log import DAMAGED, Entry, Record
from lamppost_app.sqlite_log import SqliteLog
from tests.crashed_logs import changed_bit, frames


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


def test_a_flip_in_number_kind_or_instant_is_noticed(path: Path) -> None:
    """The checksum takes them in; what claims another number stands in nobody's way."""
    written = SqliteLog(path)
    written.append([Record("kind-of-its-own", 1 << 40, b"body"), *frames(b"next")])
    written.close()
    changed_bit(path, b"kind-of-its-own", 2)

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
