# SPDX-License-Identifier: EUPL-1.2
"""Inboxes and outboxes made without a broker, for trials of what comes after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from lamppost import log
from lamppost.frames import Deliveries
from lamppost.log import Record
from lamppost.policy import load_policy
from lamppost.times import DAY_NS, SECOND_NS
from lamppost_app.engine_role import EngineRole
from lamppost_app.sqlite_log import SqliteLog

BEGIN_S = 1_795_300_200
POLICY = Path(__file__).parents[2] / "policy"


def frames(messages: Sequence[tuple[str, bytes]], size: int = 50) -> Iterator[Record]:
    """Yield messages as frames, the first received two minutes after the beginning."""
    for start in range(0, len(messages), size):
        deliveries = Deliveries()
        at = (BEGIN_S + 120 + start // 10) * SECOND_NS
        for topic, payload in messages[start : start + size]:
            deliveries.add(topic, payload, at, source="mqtt")
        yield Record(log.FRAME, at, deliveries.to_bytes())


def fill(folder: Path, messages: Sequence[tuple[str, bytes]], size: int = 50) -> int:
    """Make an inbox of a policy, messages and a tick three days later; return its last entry."""
    folder.mkdir(parents=True, exist_ok=True)
    policy = load_policy(POLICY).canonical().encode()
    first = Record(log.POLICY, BEGIN_S * SECOND_NS, policy)
    last = Record(log.TICK, BEGIN_S * SECOND_NS + 3 * DAY_NS, b"")
    with contextlib.closing(SqliteLog(folder / "inbox.db")) as inbox:
        return inbox.append([first, *frames(messages, size), last])


def run_engine(folder: Path) -> None:
    """Let the engine read all there is, in this process."""
    with contextlib.ExitStack() as opened:
        inbox, outbox = (
            opened.enter_context(contextlib.closing(SqliteLog(folder / name)))
            for name in ("inbox.db", "outbox.db")
        )
        role = EngineRole(inbox, outbox, snapshot_s=1e9)
        while role.step():
            pass
