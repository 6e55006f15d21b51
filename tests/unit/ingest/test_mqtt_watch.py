# SPDX-License-Identifier: EUPL-1.2
"""Watching a socket: waiting while it is quiet, looking regularly while it is not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from ingest.mqtt_watch import SocketWatch

LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])


class Watched:
    """A watched socket and what was read from it."""

    def __init__(self, sock: socket.socket) -> None:
        """Watch; must run in a loop."""
        self.socket = sock
        self.data = b""
        self.looks = 0
        self.writable = 0
        self.watch = SocketWatch(sock, self._read, self._write)

    def _read(self) -> bool:
        self.looks += 1
        try:
            self.data += self.socket.recv(1024)
        except BlockingIOError:
            return False
        return True

    def _write(self) -> None:
        self.writable += 1
        self.watch.write(on=False)


def play(scene: Callable[[socket.socket, Watched], object], loop: Callable[[], object]) -> None:
    """Run a scene with a peer and a watched socket."""

    async def run() -> None:
        peer, sock = socket.socketpair()
        sock.setblocking(False)
        with peer, sock:
            watched = Watched(sock)
            await scene(peer, watched)  # type: ignore[misc]
            watched.watch.close()

    with asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]
        runner.run(run())


@LOOPS
def test_what_comes_is_read_and_silence_costs_nothing(loop: Callable[[], object]) -> None:
    """Data is seen at once, and a quiet socket is not looked at again."""

    async def scene(peer: socket.socket, watched: Watched) -> None:
        watched.watch.read(on=True)
        await asyncio.sleep(0.05)
        peer.sendall(b"one")
        await asyncio.sleep(0.05)
        assert watched.data == b"one"
        looks = watched.looks
        await asyncio.sleep(0.1)
        assert watched.looks == looks
        peer.sendall(b"two")
        await asyncio.sleep(0.05)
        assert watched.data == b"onetwo"

    play(scene, loop)


@LOOPS
def test_many_small_writes_are_read_together(loop: Callable[[], object]) -> None:
    """A peer that writes often wakes us less often than it writes."""

    async def scene(peer: socket.socket, watched: Watched) -> None:
        watched.watch.read(on=True)
        for _ in range(100):
            peer.sendall(b"x")
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert len(watched.data) == 100
        assert watched.looks < 50

    play(scene, loop)


@LOOPS
def test_a_pause_leaves_data_where_it_is(loop: Callable[[], object]) -> None:
    """Whether it begins while waiting or between looks, and until it ends."""

    async def scene(peer: socket.socket, watched: Watched) -> None:
        watched.watch.read(on=True)
        peer.sendall(b"a")
        await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0.01)
            watched.watch.read(on=False)
            before = watched.data
            peer.sendall(b"b")
            await asyncio.sleep(0.02)
            assert watched.data == before
            watched.watch.read(on=True)
        await asyncio.sleep(0.02)
        assert watched.data == b"abbb"

    play(scene, loop)


@LOOPS
def test_room_to_write_is_told_until_it_is_not_wanted(loop: Callable[[], object]) -> None:
    """Once asked for, and not after the end."""

    async def scene(_peer: socket.socket, watched: Watched) -> None:
        watched.watch.write(on=True)
        await asyncio.sleep(0.02)
        assert watched.writable == 1
        watched.watch.close()
        watched.watch.write(on=True)
        await asyncio.sleep(0.02)
        assert watched.writable == 1

    play(scene, loop)
