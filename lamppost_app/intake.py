# SPDX-License-Identifier: EUPL-1.2
"""The intake as a process: collects deliveries into frames, commits, then acknowledges."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from typing import Final

from ingest.limits import Limiter, records
from ingest.mqtt import MqttOptions
from ingest.mqtt_source import MqttSource
from ingest.mqtt_wire import Received
from lamppost import events, log
from lamppost.clock import Clock, SteadyClock
from lamppost.errors import StorageFailed
from lamppost.frames import Deliveries
from lamppost.log import Log, Record

from .broker_watch import BrokerWatch
from .decoding import TOO_LARGE_HEADER
from .limits import limiter_of
from .settings import IntakeSettings, MqttSettings, Settings
from .sqlite_log import SqliteLog

_RETRY_S: Final = 1.0


class FrameWriter:
    """Collects messages into frames and commits them one after the other.

    While one frame is being committed the next fills. Past a bound it stops the source from
    reading, so memory stays flat however slow the disk is and whatever the broker sends.
    """

    def __init__(
        self,
        inbox: Log,
        clock: Clock,
        settings: IntakeSettings,
        *,
        window: int = 0,
        limiter: Limiter | None = None,
    ) -> None:
        """Take where frames go, how large they may get, and how many messages the broker sends.

        ``window`` is how many it may have under way before it waits for us, 0 if unknown;
        ``limiter`` says what becomes of a device's messages, None lets everything in.
        """
        self.acknowledge: Callable[[Sequence[Received]], None] = lambda _: None
        self.hold: Callable[[bool], None] = lambda _: None
        self._inbox = inbox
        self._clock = clock
        self._settings = settings
        self._limiter = limiter
        # A broker that has used up its window is silent until we acknowledge. With a quarter of it
        # worth a commit and half of it the most, it sends while we write, instead of in turns.
        self._most = min(settings.frame_messages, window // 2 or settings.frame_messages)
        self._enough = min(settings.frame_messages, window // 4 or settings.frame_messages)
        self._waiting: list[Received] = []
        self._waiting_bytes = 0
        self._under_way = (0, 0)
        self._holding = False
        self._failing = False
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._ticked_at = 0

    def add(self, messages: Sequence[Received]) -> None:
        """Take messages in, in order of receipt."""
        self._waiting += messages
        self._waiting_bytes += _bytes(messages)
        self._arrived.set()
        over = self._over_bounds()
        if over or self._enough_waits():
            self._full.set()
        if over:
            self._hold(on=True)

    async def run(self, stop: asyncio.Event) -> None:
        """Commit frames and ticks until told to stop, then what is left."""
        while not stop.is_set():
            await self._gather()
            await self._commit(stop)
        while self._waiting and not self._failing:
            await self._commit(stop)

    async def _gather(self) -> None:
        """Wait for a message or the next tick, then for enough to be worth a commit."""
        until_tick = self._ticked_at / 1e9 + self._settings.tick_s - self._clock.now_ns() / 1e9
        if await _within(self._arrived, max(until_tick, 0.0)):
            await _within(self._full, self._settings.frame_ms / 1000)

    async def _commit(self, stop: asyncio.Event) -> None:
        taken = self._take()
        records = [*self._judged(taken), *self._tick()]
        if not records:
            return
        stored = await self._append(records, stop)
        self._under_way = (0, 0)
        if not stored:
            return
        self.acknowledge(taken)
        if not self._over_bounds():
            self._hold(on=False)

    def _judged(self, messages: Sequence[Received]) -> list[Record]:
        """Return the records of messages: what a device sends beyond its limit goes apart."""
        if not messages:
            return []
        judgement = None
        if self._limiter is not None:
            topics, sizes = [one.topic for one in messages], [one.size for one in messages]
            judgement = self._limiter.judge(topics, sizes, messages[-1].received_at)
        return records(_deliveries(messages), judgement, messages[-1].received_at)

    def _take(self) -> list[Received]:
        """Return the messages of the next frame."""
        size = self._frame_size()
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        taken_bytes = _bytes(taken)
        self._waiting_bytes -= taken_bytes
        self._under_way = (len(taken), taken_bytes)
        if not self._waiting:
            self._arrived.clear()
        if not self._enough_waits():
            self._full.clear()
        return taken

    def _frame_size(self) -> int:
        """Return how many of the waiting messages fit into a frame: at least one if any waits."""
        most = self._waiting[: self._most]
        if self._waiting_bytes <= self._settings.frame_bytes:
            return len(most)
        ends = itertools.accumulate(len(one.topic) + len(one.payload) for one in most)
        return max(1, sum(end <= self._settings.frame_bytes for end in ends))

    def _enough_waits(self) -> bool:
        messages, size = len(self._waiting), self._waiting_bytes
        return messages >= self._enough or size >= self._settings.frame_bytes

    def _over_bounds(self) -> bool:
        held = len(self._waiting) + self._under_way[0]
        return held >= self._settings.held_messages or self.held_bytes >= self._settings.held_bytes

    @property
    def held_bytes(self) -> int:
        """Bytes of topics and payloads taken in and not yet committed."""
        return self._waiting_bytes + self._under_way[1]

    async def _append(self, records: Sequence[Record], stop: asyncio.Event) -> bool:
        """Append, and on a full disk wait and try again: the broker holds the rest.

        Returns:
            Whether it is stored; False when told to stop while the disk refuses. What was not
            stored is not acknowledged, so the broker sends it again.

        Raises:
            StorageFailed: this inbox cannot be trusted any more; nothing may be acknowledged.
        """
        while True:
            try:
                await asyncio.to_thread(self._inbox.append, records)
            except StorageFailed:
                self._hold(on=True)
                self._failing = True
                raise
            except OSError as error:
                if not self._failing:
                    self._hold(on=True)
                    events.error("inbox_refuses", problem=error, retry_s=_RETRY_S)
                self._failing = True
                if await _within(stop, _RETRY_S):
                    return False
            else:
                if self._failing:
                    events.info("inbox_back")
                self._failing = False
                return True

    def _hold(self, *, on: bool) -> None:
        if on != self._holding:
            self._holding = on
            self.hold(on)

    def _tick(self) -> list[Record]:
        now = self._clock.now_ns()
        if now - self._ticked_at < self._settings.tick_s * 1e9:
            return []
        self._ticked_at = now
        return [Record(log.TICK, now, b"")]


def _bytes(messages: Sequence[Received]) -> int:
    return sum([len(one.topic) + len(one.payload) for one in messages])


def _deliveries(messages: Sequence[Received]) -> Deliveries:
    return Deliveries(
        routes=[one.topic for one in messages],
        headers=[
            None if one.size == len(one.payload) else json.dumps({TOO_LARGE_HEADER: one.size})
            for one in messages
        ],
        payloads=[one.payload for one in messages],
        received_at=[one.received_at for one in messages],
        sources=["mqtt"] * len(messages),
    )


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
        cert_file=settings.cert_file,
        key_file=settings.key_file,
        keepalive_s=settings.keepalive_s,
        session_expiry_s=settings.session_expiry_s,
        receive_maximum=settings.receive_maximum,
        max_payload_bytes=settings.max_payload_bytes,
    )


async def run_intake(settings: Settings, stop: asyncio.Event) -> None:
    """Run the intake until told to stop.

    Raises:
        StorageFailed: the inbox cannot be trusted any more; it is left open, because closing would
            sync once more what the kernel has dropped.
        ConfigError: the broker would lose readings; what had come in by then is stored.
    """
    clock = SteadyClock()
    inbox = SqliteLog(settings.inbox_path)
    inbox.renew()
    writer = FrameWriter(
        inbox,
        clock,
        settings.intake,
        window=settings.mqtt.receive_maximum,
        limiter=limiter_of(settings.limits, "mqtt", settings.mqtt.topics),
    )
    options = mqtt_options(settings.mqtt)
    watch = BrokerWatch(settings.mqtt, options, clock, settings.intake_status_path)
    failed: list[Exception] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            if settings.mqtt.enabled:
                source = MqttSource(options, clock, writer.add)
                writer.acknowledge = source.acknowledge
                writer.hold = lambda on: source.pause() if on else source.resume()
                tasks.create_task(source.run(stop))
                tasks.create_task(watch.run(source, stop))
            tasks.create_task(writer.run(stop))
    except* StorageFailed as failures:
        failed += failures.exceptions
    if failed:
        # Raised in there, Pythons before 3.11.4 would wrap it in a group once more.
        raise failed[0]
    inbox.close()
    if watch.refusal is not None:
        raise watch.refusal


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Return whether an event came within a time."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
