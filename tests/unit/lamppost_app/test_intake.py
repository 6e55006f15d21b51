# SPDX-License-Identifier: EUPL-1.2
"""Messages become frames on the disk, and only then are acknowledged."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from ingest.mqtt_wire import Received
from lamppost import log
from lamppost.clock import ManualClock
from lamppost.errors import StorageFailed
from lamppost.frames import Deliveries
from lamppost.times import SECOND_NS
from lamppost_app.decoding import TOO_LARGE_HEADER
from lamppost_app.intake import FrameWriter, mqtt_options, run_intake
from lamppost_app.settings import DataSettings, IntakeSettings, MqttSettings, Settings
from lamppost_app.sqlite_log import SqliteLog

NOW = 1_795_294_800 * SECOND_NS


class Intake:
    """A writer with a real inbox, and what it told its source; its clock moves only when told."""

    def __init__(self, folder: Path, settings: IntakeSettings) -> None:
        """Open the inbox and listen to acknowledgements and holds."""
        self.path = folder / "inbox.db"
        self.inbox = SqliteLog(self.path)
        self.clock = ManualClock(NOW)
        self.stop = asyncio.Event()
        self.writer = FrameWriter(self.inbox, self.clock, settings)
        self.acknowledged: list[int] = []
        self.stored_then: list[int] = []
        self.holds: list[bool] = []
        self._received = 0
        self.writer.acknowledge = self._acknowledge
        self.writer.hold = self.holds.append

    def _acknowledge(self, messages: Sequence[Received]) -> None:
        self.acknowledged += [message.mid for message in messages]
        self.stored_then.append(len(self.payloads()))

    def receive(self, count: int, payload: bytes | None = None, size: int | None = None) -> None:
        """Take in messages numbered on from the last, all at once."""
        first, self._received = self._received, self._received + count
        messages = []
        for mid in range(first, first + count):
            body = b"%d" % mid if payload is None else payload
            whole = len(body) if size is None else size
            topic = f"v1/s{mid}/readings"
            messages.append(Received(topic, body, NOW + mid, epoch=1, mid=mid, qos=1, size=whole))
        self.writer.add(messages)

    def frames(self) -> list[Deliveries]:
        """Return the frames in the inbox."""
        entries = self.inbox.read(0, 10_000)
        return [Deliveries.from_bytes(one.body) for one in entries if one.kind == log.FRAME]

    def payloads(self) -> list[bytes]:
        """Return what the inbox holds of devices."""
        return [payload for frame in self.frames() for payload in frame.payloads]

    def ticks(self) -> list[int]:
        """Return the instants of the ticks in the inbox."""
        return [entry.at for entry in self.inbox.read(0, 10_000) if entry.kind == log.TICK]


@asynccontextmanager
async def running(folder: Path, **settings: float) -> AsyncIterator[Intake]:
    """Run a writer until the test is over."""
    intake = Intake(folder, IntakeSettings(**settings))
    task = asyncio.create_task(intake.writer.run(intake.stop))
    yield intake
    intake.stop.set()
    await asyncio.wait_for(task, 20)
    intake.inbox.close()


async def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Return as soon as something holds; fail when it does not in time."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a thread
            await asyncio.sleep(0.005)


def test_messages_are_stored_whole_and_acknowledged_after_that(tmp_path: Path) -> None:
    """In order of receipt, with topic, time and door."""

    async def scenario() -> None:
        async with running(tmp_path) as intake:
            intake.receive(5)
            await until(lambda: len(intake.acknowledged) == 5)

            (frame,) = intake.frames()
            assert intake.acknowledged == [0, 1, 2, 3, 4]
            assert intake.stored_then[0] == 5
            assert frame.payloads == [b"0", b"1", b"2", b"3", b"4"]
            assert frame.routes[3] == "v1/s3/readings"
            assert frame.received_at == [NOW + mid for mid in range(5)]
            assert set(frame.sources) == {"mqtt"}
            assert set(frame.headers) == {None}

    asyncio.run(scenario())


class SlowLog(SqliteLog):
    """A real log whose commits take as long as the test wants, and that counts them."""

    def __init__(self, path: Path) -> None:
        """Open the file; commits wait."""
        super().__init__(path)
        self.let_through = threading.Semaphore(0)
        self.begun = self.under_way = 0
        self.most_under_way = 0

    def append(self, records: Sequence[log.Record]) -> int:
        """Store, once let through."""
        self.begun += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        assert self.let_through.acquire(timeout=20)
        last = super().append(records)
        self.under_way -= 1
        return last


def test_one_commit_is_under_way_while_the_next_frame_fills(tmp_path: Path) -> None:
    """However slow the disk: what came meanwhile is one frame, and leaves in order of receipt."""

    async def scenario() -> None:
        inbox = SlowLog(tmp_path / "inbox.db")
        stop = asyncio.Event()
        writer = FrameWriter(inbox, ManualClock(NOW), IntakeSettings(frame_messages=1000))
        acknowledged: list[int] = []
        writer.acknowledge = lambda messages: acknowledged.extend(one.mid for one in messages)
        task = asyncio.create_task(writer.run(stop))
        for batch in range(6):
            await until(lambda batch=batch: inbox.begun == batch + 1)  # type: ignore[misc]
            for mid in range(batch * 30, batch * 30 + 30):
                message = Received("v1/a/readings", b"%d" % mid, NOW, 1, mid, qos=1, size=4)
                writer.add([message])
                await asyncio.sleep(0)
            inbox.let_through.release()
        stop.set()
        inbox.let_through.release(10)
        await asyncio.wait_for(task, 20)

        entries = inbox.read(0, 1000)
        frames = [Deliveries.from_bytes(one.body) for one in entries if one.kind == log.FRAME]
        inbox.close()
        assert inbox.most_under_way == 1
        assert [len(frame) for frame in frames] == [30] * 6
        assert acknowledged == list(range(180))

    asyncio.run(scenario())


def test_an_inbox_that_failed_ends_the_writer_and_acknowledges_nothing(tmp_path: Path) -> None:
    """Unlike a full disk, it does not pass by waiting."""

    class FailedLog(SqliteLog):
        """A real log on a disk that refuses to sync."""

        def append(self, records: Sequence[log.Record]) -> int:
            """Fail on frames."""
            if any(record.kind == log.FRAME for record in records):
                raise StorageFailed("inbox.db: the disk refused to sync")
            return super().append(records)

    async def scenario() -> None:
        inbox = FailedLog(tmp_path / "inbox.db")
        writer = FrameWriter(inbox, ManualClock(NOW), IntakeSettings())
        acknowledged: list[Received] = []
        holds: list[bool] = []
        writer.acknowledge = acknowledged.extend
        writer.hold = holds.append
        writer.add([Received("v1/a/readings", b"1", NOW, 1, 1, qos=1, size=1)])

        with pytest.raises(StorageFailed):
            await asyncio.wait_for(writer.run(asyncio.Event()), 20)
        inbox.close()

        assert acknowledged == []
        assert holds == [True]

    asyncio.run(scenario())


def test_a_frame_belongs_to_the_receipt_of_its_last_message(tmp_path: Path) -> None:
    """Engine time follows it."""

    async def scenario() -> None:
        async with running(tmp_path) as intake:
            intake.receive(3)
            await until(lambda: len(intake.acknowledged) == 3)

            entries = intake.inbox.read(0, 10)
            assert [one.at for one in entries if one.kind == log.FRAME] == [NOW + 2]

    asyncio.run(scenario())


def test_a_frame_holds_no_more_messages_than_the_settings_say(tmp_path: Path) -> None:
    """The rest goes into the next, and none is lost between two."""

    async def scenario() -> None:
        async with running(tmp_path, frame_messages=4) as intake:
            intake.receive(10)
            await until(lambda: len(intake.acknowledged) == 10)

            assert max(len(frame) for frame in intake.frames()) <= 4
            assert intake.payloads() == [b"%d" % mid for mid in range(10)]
            assert intake.acknowledged == list(range(10))

    asyncio.run(scenario())


def test_a_message_alone_waits_no_longer_than_the_settings_say(tmp_path: Path) -> None:
    """Though its frame is not full."""

    async def scenario() -> None:
        async with running(tmp_path, frame_ms=50.0) as intake:
            await until(lambda: intake.ticks() != [])
            begun = asyncio.get_running_loop().time()
            intake.receive(1)
            await until(lambda: intake.acknowledged == [0])

            assert 0.04 < asyncio.get_running_loop().time() - begun < 5

    asyncio.run(scenario())


def test_time_ticks_while_nothing_arrives(tmp_path: Path) -> None:
    """Windows close and silence is noticed without a single message."""

    async def scenario() -> None:
        async with running(tmp_path, tick_s=0.05) as intake:
            for _ in range(3):
                before = len(intake.ticks())
                intake.clock.advance(SECOND_NS)
                await until(lambda before=before: len(intake.ticks()) > before)

            ticks = intake.ticks()
            assert ticks == sorted(set(ticks))
            assert ticks[-1] == NOW + 3 * SECOND_NS
            assert intake.acknowledged == []

    asyncio.run(scenario())


def test_a_frame_holds_no_more_bytes_than_the_settings_say(tmp_path: Path) -> None:
    """Topics count; a message larger than that goes into a frame of its own."""

    async def scenario() -> None:
        async with running(tmp_path, frame_bytes=100) as intake:
            intake.receive(4, b"x" * 30)
            intake.receive(1, b"y" * 500)
            intake.receive(1, b"z" * 30)
            await until(lambda: len(intake.acknowledged) == 6)

            payloads = [[chr(payload[0]) for payload in one.payloads] for one in intake.frames()]
            assert payloads == [["x", "x"], ["x", "x"], ["y"], ["z"]]

    asyncio.run(scenario())


def test_a_message_of_which_only_the_head_came_says_its_size(tmp_path: Path) -> None:
    """The decoder sends it to quarantine; one that is whole says nothing."""

    async def scenario() -> None:
        async with running(tmp_path) as intake:
            intake.receive(1, b"x" * 1024)
            intake.receive(1, b"y" * 1024, size=70_000)
            await until(lambda: len(intake.acknowledged) == 2)

            (frame,) = intake.frames()
            assert frame.payloads == [b"x" * 1024, b"y" * 1024]
            assert frame.headers[0] is None
            assert json.loads(frame.headers[1] or "") == {TOO_LARGE_HEADER: 70_000}

    asyncio.run(scenario())


def test_a_disk_that_refuses_holds_the_source_and_loses_nothing(tmp_path: Path) -> None:
    """Nothing is acknowledged until it is stored, and then everything is, in order."""

    async def scenario() -> None:
        async with running(tmp_path) as intake:
            await until(lambda: intake.ticks() != [])
            disk = sqlite3.connect(intake.path, isolation_level=None)
            disk.execute(
                "CREATE TRIGGER full BEFORE INSERT ON entries"
                " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
            )
            intake.holds.clear()
            intake.receive(3)
            await until(lambda: intake.holds == [True])
            intake.receive(2)
            acknowledged_meanwhile = list(intake.acknowledged)

            disk.execute("DROP TRIGGER full")
            disk.close()
            await until(lambda: len(intake.acknowledged) == 5)

            assert acknowledged_meanwhile == []
            assert intake.holds[-1] is False
            assert intake.payloads() == [b"%d" % mid for mid in range(5)]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "bound", [{"held_messages": 20}, {"held_bytes": 10 * (14 + 1) + 10 * (15 + 2)}]
)
def test_a_source_that_is_too_fast_is_held(bound: dict[str, int], tmp_path: Path) -> None:
    """By messages or by bytes, those being stored included; it goes on when there is room."""

    async def scenario() -> None:
        async with running(tmp_path, frame_messages=5, **bound) as intake:
            await until(lambda: intake.ticks() != [])
            intake.holds.clear()

            intake.receive(19)
            before_the_bound = list(intake.holds)
            intake.receive(1)
            at_the_bound = list(intake.holds)
            await until(lambda: len(intake.acknowledged) == 20)

            assert before_the_bound == []
            assert at_the_bound == [True]
            assert intake.holds[-1] is False

    asyncio.run(scenario())


def test_what_waits_when_told_to_stop_is_still_stored(tmp_path: Path) -> None:
    """Messages of quality 0 would not be sent again."""

    async def scenario() -> Intake:
        intake = Intake(tmp_path, IntakeSettings(frame_messages=4))
        intake.receive(10)
        intake.stop.set()
        await intake.writer.run(intake.stop)
        return intake

    intake = asyncio.run(scenario())

    assert intake.payloads() == [b"%d" % mid for mid in range(10)]
    assert intake.acknowledged == list(range(10))
    intake.inbox.close()


def test_the_doors_options_are_the_settings() -> None:
    """Each of them; the password comes out of its wrapping."""
    settings = MqttSettings(
        host="broker",
        port=8883,
        protocol="5",
        username="u",
        password=SecretStr("secret"),
        tls=True,
        ca_file=Path("ca.pem"),
        client_id="me",
        topics=("a/#", "b/+"),
        keepalive_s=9,
        session_expiry_s=10,
        receive_maximum=11,
        max_payload_bytes=1200,
    )

    options = mqtt_options(settings)

    for name in type(options).__dataclass_fields__:
        expected = "secret" if name == "password" else getattr(settings, name)
        assert getattr(options, name) == expected


@pytest.mark.parametrize("enabled", [False, True])
def test_the_intake_ticks_with_and_without_a_broker(enabled: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the test
    """A broker that is away stops nothing; told to stop, everything ends."""
    settings = Settings(
        data=DataSettings(dir=tmp_path),
        mqtt=MqttSettings(enabled=enabled, port=1),
        intake=IntakeSettings(tick_s=0.02),
    )

    async def scenario() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(run_intake(settings, stop))
        reader = SqliteLog(settings.inbox_path)
        await until(lambda: reader.last() >= 3)
        stop.set()
        await asyncio.wait_for(task, 20)
        assert {entry.kind for entry in reader.read(0, 100)} == {log.TICK}
        reader.close()

    asyncio.run(scenario())
