# SPDX-License-Identifier: EUPL-1.2
"""The live channel: what is new in the store, as server-sent events in batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import to_json

POLL_S: Final = 0.5
HEARTBEAT_S: Final = 2.0
RETRY_MS: Final = 2000
MAX_CHANGES: Final = 500

Changes = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class LiveBatch:
    """What became new between two positions of the store.

    Attributes:
        after: position the batch starts from.
        position: position it leads to, the event's id.
        changes: rows by event name; None when there are too many to list.
    """

    after: int
    position: int
    changes: Changes | None


class LiveFeed:
    """Looks at the store twice a second and hands the same batch to every listener.

    A listener that fell behind gets its own batch from the store, or is told to reload: there is
    no queue that could grow.
    """

    def __init__(self) -> None:
        """Start with nothing to tell."""
        self._batch = LiveBatch(0, 0, {})
        self._listeners: set[asyncio.Event] = set()
        self._closing = asyncio.Event()
        self._pulse = b""
        self._pulse_until = 0.0
        self._pulse_lock = asyncio.Lock()

    @property
    def listeners(self) -> int:
        """How many pages listen."""
        return len(self._listeners)

    @property
    def closing(self) -> bool:
        """Whether no more is told."""
        return self._closing.is_set()

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closing.set()
        for listener in self._listeners:
            listener.set()

    async def run(
        self, position: Callable[[], int], changes: Callable[[int], Changes | None]
    ) -> None:
        """Follow the store until closed."""
        self._batch = LiveBatch(position(), position(), {})
        while not self._closing.is_set():
            now = position()
            if now != self._batch.position:
                since = self._batch.position
                found = await asyncio.to_thread(changes, since) if self._listeners else None
                self._batch = LiveBatch(since, now, found)
                for listener in self._listeners:
                    listener.set()
            await asyncio.sleep(POLL_S)

    async def stream(
        self,
        last_seen: int | None,
        changes: Callable[[int], Changes | None],
        heartbeat: Callable[[], dict[str, Any]],
    ) -> AsyncIterator[bytes]:
        """Yield the events of one listener, starting after what it has seen."""
        woken = asyncio.Event()
        self._listeners.add(woken)
        seen = self._batch.position if last_seen is None else last_seen
        if last_seen is not None:
            woken.set()
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            yield await self._heartbeat(heartbeat)
            while not self._closing.is_set():
                try:
                    await asyncio.wait_for(woken.wait(), HEARTBEAT_S)
                except TimeoutError:
                    yield await self._heartbeat(heartbeat)
                    continue
                woken.clear()
                for event in await self._news(seen, changes):
                    yield event
                seen = self._batch.position
        finally:
            self._listeners.discard(woken)

    async def _heartbeat(self, heartbeat: Callable[[], dict[str, Any]]) -> bytes:
        """Return a heartbeat that all listeners of an interval share: each one asks the store."""
        async with self._pulse_lock:
            if time.monotonic() >= self._pulse_until:
                self._pulse = _event("heartbeat", await asyncio.to_thread(heartbeat))
                self._pulse_until = time.monotonic() + HEARTBEAT_S * 0.95
        return self._pulse

    async def _news(self, seen: int, changes: Callable[[int], Changes | None]) -> list[bytes]:
        batch = self._batch
        if batch.position == seen:
            return []
        if batch.after != seen or batch.changes is None:
            batch = LiveBatch(seen, batch.position, await asyncio.to_thread(changes, seen))
        if batch.changes is None or seen > batch.position:
            return [_event("reset", {}, batch.position)]
        return [_event(name, rows, batch.position) for name, rows in batch.changes.items() if rows]


def _event(name: str, data: object, position: int | None = None) -> bytes:
    lines = [f"id: {position}"] if position is not None else []
    lines += [f"event: {name}", f"data: {to_json(data, inf_nan_mode='null').decode()}"]
    return ("\n".join(lines) + "\n\n").encode()
