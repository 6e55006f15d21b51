# SPDX-License-Identifier: EUPL-1.2
"""The intake as a process: collects deliveries into frames, commits, then acknowledges."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Final

from ingest.mqtt import MqttOptions, MqttSource, Received
from lamppost import events, log
from lamppost.clock import Clock, SystemClock
from lamppost.frames import Deliveries
from lamppost.log import Log, Record

from .decoding import TOO_LARGE_HEADER
from .settings import IntakeSettings, MqttSettings, Settings
from .sqlite_log import SqliteLog

_HEAD_BYTES: Final = 1024
_HELD_FRAMES: Final = 4
_RETRY_S: Final = 1.0


class FrameWriter:
    """Collects messages into frames and commits them one after the other.

    While one frame is being committed the next fills. Past a bound it stops the source from
    reading, so memory stays flat however slow the disk is.
    """

    def __init__(
        self, inbox: Log, clock: Clock, settings: IntakeSettings, *, max_payload_bytes: int
    ) -> None:
        """Take where frames go and how large they may get."""
        self._inbox = inbox
        self._clock = clock
        self._settings = settings
        self._max_payload_bytes = max_payload_bytes
        self._waiting: list[Received] = []
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._ticked_at = 0
        self.acknowledge: Callable[[Sequence[Received]], None] = lambda _: None
        self.hold: Callable[[bool], None] = lambda _: None

    def add(self, message: Received) -> None:
        """Take one message in."""
        self._waiting.append(message)
        self._arrived.set()
        if len(self._waiting) >= self._settings.frame_messages:
            self._full.set()
        if len(self._waiting) >= _HELD_FRAMES * self._settings.frame_messages:
            self.hold(True)

    async def run(self, stop: asyncio.Event) -> None:
        """Commit frames and ticks until told to stop, then what is left."""
        while not stop.is_set():
            await self._gather()
            await self._commit()
        while self._waiting:
            await self._commit()

    async def _gather(self) -> None:
        """Wait for a message or the next tick, then for a frame to fill."""
        until_tick = self._ticked_at / 1e9 + self._settings.tick_s - self._clock.now_ns() / 1e9
        if await _within(self._arrived, max(until_tick, 0.0)):
            await _within(self._full, self._settings.frame_ms / 1000)

    async def _commit(self) -> None:
        size = self._settings.frame_messages
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        if not self._waiting:
            self._arrived.clear()
        if len(self._waiting) < size:
            self._full.clear()
        records = [*self._frame(taken), *self._tick()]
        if records:
            await self._append(records)
            self.acknowledge(taken)
            self.hold(False)

    async def _append(self, records: Sequence[Record]) -> None:
        """Append, and on a full or failing disk wait and try again: the broker holds the rest."""
        failing = False
        while True:
            try:
                await asyncio.to_thread(self._inbox.append, records)
            except OSError as error:
                if not failing:
                    self.hold(True)
                    events.error("inbox_refuses", problem=error, retry_s=_RETRY_S)
                failing = True
                await asyncio.sleep(_RETRY_S)
            else:
                if failing:
                    events.info("inbox_back")
                return

    def _frame(self, messages: Sequence[Received]) -> list[Record]:
        if not messages:
            return []
        deliveries = Deliveries()
        for message in messages:
            payload, headers = self._bounded(message.payload)
            deliveries.add(
                message.topic, payload, message.received_at, source="mqtt", headers=headers
            )
        return [Record(log.FRAME, messages[-1].received_at, deliveries.to_bytes())]

    def _bounded(self, payload: bytes) -> tuple[bytes, str | None]:
        if len(payload) <= self._max_payload_bytes:
            return payload, None
        return payload[:_HEAD_BYTES], json.dumps({TOO_LARGE_HEADER: len(payload)})

    def _tick(self) -> list[Record]:
        now = self._clock.now_ns()
        if now - self._ticked_at < self._settings.tick_s * 1e9:
            return []
        self._ticked_at = now
        return [Record(log.TICK, now, b"")]


def mqtt_options(settings: MqttSettings) -> MqttOptions:
    """Return the options of the MQTT door."""
    return MqttOptions(
        host=settings.host,
        port=settings.port,
        topics=settings.topics,
        client_id=settings.client_id,
        protocol=settings.protocol,
        username=settings.username,
        password=settings.password.get_secret_value(),
        tls=settings.tls,
        ca_file=settings.ca_file,
        keepalive_s=settings.keepalive_s,
        session_expiry_s=settings.session_expiry_s,
        receive_maximum=settings.receive_maximum,
    )


async def run_intake(settings: Settings, stop: asyncio.Event) -> None:
    """Run the intake until told to stop."""
    clock = SystemClock()
    inbox = SqliteLog(settings.inbox_path)
    writer = FrameWriter(
        inbox, clock, settings.intake, max_payload_bytes=settings.mqtt.max_payload_bytes
    )
    async with asyncio.TaskGroup() as tasks:
        if settings.mqtt.enabled:
            source = MqttSource(mqtt_options(settings.mqtt), clock, writer.add)
            writer.acknowledge = source.acknowledge
            writer.hold = lambda on: source.pause() if on else _resume(source)
            tasks.create_task(source.run(stop))
        tasks.create_task(writer.run(stop))
    inbox.close()


def _resume(source: MqttSource) -> None:
    if source.paused:
        source.resume()


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Return whether an event came within a time."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
