# SPDX-License-Identifier: EUPL-1.2
"""Holds quarantine to its bounds, the oldest first, and counts what goes."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from lamppost import events, log
from lamppost.frames import arrow_batch, arrow_bytes
from lamppost.times import DAY_NS

from .cursors import Cursors, Forgotten
from .quarantine_room import DROPPED, QuarantineRoom
from .settings import QuarantineSettings
from .sqlite_log import SqliteLog


def forget(
    outbox: SqliteLog, cursors: Cursors, keep: QuarantineSettings, *, before: int, now: int
) -> None:
    """Forget the bytes of dropped messages, then what is too old, then the oldest of too much.

    Args:
        outbox: holds the messages.
        cursors: holds what sinks refused, and gets the count of what goes.
        keep: the bounds.
        before: entries from this number on stay, because a sink has not read them.
        now: instant to count age from, ns UTC.
    """
    oldest = now - round(keep.days * DAY_NS)
    room = int(keep.max_mb * 1_000_000)
    gone = [_blank_dropped(outbox, cursors, before)]
    aged, crowded = [], []
    for number, at, size in reversed(outbox.sizes(log.QUARANTINE)):
        room -= size
        if number < before and at < oldest:
            aged.append(number)
        elif number < before and room < 0:
            crowded.append(number)
    gone += [_remove(outbox, aged, "age"), _remove(outbox, crowded, "size")]
    for place, kind in ((outbox, log.QUARANTINE_STATES), (cursors, log.QUARANTINE)):
        place.remove([number for number, at, _ in place.sizes(kind) if at < oldest])
    counted = [item._replace(at=now) for item in gone if item.messages]
    cursors.note_forgotten(counted)
    for item in counted:
        events.info(
            "quarantine_forgotten", cause=item.cause, messages=item.messages, bytes=item.bytes
        )


def _blank_dropped(outbox: SqliteLog, cursors: Cursors, before: int) -> Forgotten:
    dropped: dict[int, set[int]] = {}
    for message, change in QuarantineRoom(outbox, cursors).states().items():
        if change["state"] == DROPPED and message.entry < before:
            dropped.setdefault(message.entry, set()).add(message.row)
    sizes = [
        size for number, rows in dropped.items() for size in _blank(outbox, number, rows) if size
    ]
    return Forgotten("dropped", len(sizes), sum(sizes), 0)


def _blank(outbox: SqliteLog, number: int, rows: set[int]) -> list[int]:
    """Empty the payloads at some rows of an entry and return how large they were."""
    batch = _quarantine(outbox, number)
    if batch is None:
        return []
    payloads = _payloads(batch)
    going = [len(payload) for row, payload in enumerate(payloads) if row in rows]
    if any(going):
        kept = [b"" if row in rows else payload for row, payload in enumerate(payloads)]
        place = batch.schema.get_field_index("payload")
        field = batch.schema.field(place)
        blanked = batch.set_column(place, field, pa.array(kept, pa.binary()))
        outbox.rewrite(number, arrow_bytes(blanked))
    return going


def _remove(outbox: SqliteLog, numbers: Sequence[int], cause: str) -> Forgotten:
    messages = size = 0
    for number in numbers:
        batch = _quarantine(outbox, number)
        if batch is not None:
            payloads = _payloads(batch)
            messages += len(payloads)
            size += sum(len(payload) for payload in payloads)
    outbox.remove(numbers)
    return Forgotten(cause, messages, size, 0)


def _quarantine(outbox: SqliteLog, number: int) -> pa.RecordBatch | None:
    for entry in outbox.read(number - 1, 1):
        if entry.seq == number and entry.kind == log.QUARANTINE:
            return arrow_batch(entry.body)
    return None


def _payloads(batch: pa.RecordBatch) -> list[bytes]:
    return [payload or b"" for payload in batch.column("payload").to_pylist()]
