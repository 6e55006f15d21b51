# SPDX-License-Identifier: EUPL-1.2
"""A write-ahead log is read as SQLite writes it, and what changed in it is found to the byte."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lamppost_app.write_ahead_log import Findings, Patch, WriteAheadLog, restored_header
from tests.crashed_logs import Crashed, crashed, flipped, rechained

FRAME = 24 + 4096


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Crashed:
    """A log of sixty commits that a crash left."""
    return crashed(tmp_path_factory.mktemp("left") / "log", random.Random(5), 60)


def examined(wal: bytes) -> Findings:
    """Examine the bytes of a write-ahead log."""
    return WriteAheadLog(np.frombuffer(wal, np.uint8)).examine()


@pytest.mark.parametrize("big_endian", [False, True])
def test_a_whole_log_is_whole_in_both_byte_orders(left: Crashed, *, big_endian: bool) -> None:
    """Checksums agree with those made word by word, and with SQLite's own."""
    wal = rechained(left.wal, big_endian=big_endian)

    assert (wal == left.wal) is not big_endian
    assert examined(wal) == Findings([], (len(wal) - 32) // FRAME, left=False)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_the_byte_that_changed_is_among_the_options(left: Crashed, data: st.DataObject) -> None:
    """And nothing else changes: with the right option every checksum is what it was."""
    wal = rechained(left.wal, big_endian=data.draw(st.booleans()))
    place = data.draw(st.integers(32, len(wal) - 1))
    damaged = flipped(wal, {place: data.draw(st.integers(1, 255))})

    found = examined(damaged)

    (fix,) = found.fixes
    assert (fix.frame, found.end) == ((place - 32) // FRAME, (len(wal) - 32) // FRAME)
    results = [_applied(damaged, found, option) for option in fix.options]
    assert wal in results
    assert not fix.exact or results == [wal]


def _applied(wal: bytes, found: Findings, option: tuple[Patch, ...]) -> bytes:
    changed = bytearray(wal)
    for offset, content in option:
        changed[offset : offset + len(content)] = content
    log = WriteAheadLog(np.frombuffer(bytes(changed), np.uint8))
    for offset, content in log.chained(found.fixes[0].frame, found.end):
        changed[offset : offset + len(content)] = content
    return bytes(changed)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 31), st.integers(1, 255))
def test_a_header_is_restored_from_the_first_frame(left: Crashed, place: int, flip: int) -> None:
    """Whichever of its bytes changed."""
    damaged = flipped(left.wal, {place: flip})

    with pytest.raises(ValueError, match="header"):
        examined(damaged)
    assert restored_header(np.frombuffer(damaged, np.uint8)) == left.wal[:32]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, FRAME - 2), st.binary(max_size=FRAME))
def test_a_torn_end_is_left_alone(left: Crashed, kept: int, behind: bytes) -> None:
    """Of a last frame that was not written as a whole nothing tells what it was to be."""
    begin = len(left.wal) - FRAME
    torn = (left.wal[: begin + kept] + behind)[: len(left.wal)]
    missing = sum(a != b for a, b in zip(torn[begin:], left.wal[begin:], strict=False))
    assume(missing > 1 or len(torn) < len(left.wal))

    found = examined(torn)

    assert (found.fixes, found.end) == ([], (begin - 32) // FRAME)


def test_what_is_no_write_ahead_log_is_refused() -> None:
    """Too short, or something else."""
    for content in (b"", b"\x37\x7f\x06\x82", bytes(5000), b"a shopping list " * 300):
        held = np.frombuffer(content, np.uint8)
        with pytest.raises(ValueError, match="header"):
            WriteAheadLog(held)
        assert restored_header(held) is None


def test_a_frame_wiped_out_before_a_later_commit_is_bridged(left: Crashed) -> None:
    """SQLite syncs a commit before the next one: what lies before a second one was on the disk."""
    begin = 32 + 20 * FRAME
    wiped = left.wal[: begin + 600] + b"?" * 512 + left.wal[begin + 1112 :]

    found = examined(wiped)

    (fix,) = found.fixes
    assert (fix.frame, fix.options, fix.exact) == (20, ((),), False)
    assert found.end == (len(wiped) - 32) // FRAME


def test_a_frame_wiped_out_in_the_last_commit_is_not(left: Crashed) -> None:
    """That commit may never have been confirmed, and half of it must not come back."""
    log = WriteAheadLog(np.frombuffer(left.wal, np.uint8))
    begun = int(np.flatnonzero(log.commits)[-2]) + 1
    begin = log.offset(begun)
    wiped = left.wal[: begin + 600] + b"?" * 512 + left.wal[begin + 1112 :]

    found = examined(wiped)

    assert begun < log.count - 1
    assert found == Findings([], begun, left=True)


def test_a_wiped_frame_whose_page_cannot_be_right_is_not_bridged(left: Crashed) -> None:
    """It would be written over a page that is whole."""
    log = WriteAheadLog(np.frombuffer(left.wal, np.uint8))
    inner = np.flatnonzero((log.commits[1:-9] == 0) & (log.commits[:-10] == 0))
    frame = int(inner[len(inner) // 2]) + 1
    begin = log.offset(frame)
    wiped = left.wal[: begin + 600] + b"?" * 512 + left.wal[begin + 1112 :]
    strange = wiped[:begin] + bytes(4) + wiped[begin + 4 :]

    assert examined(wiped).end == log.count
    assert examined(strange) == Findings([], frame, left=True)
