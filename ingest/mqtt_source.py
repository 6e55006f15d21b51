# SPDX-License-Identifier: EUPL-1.2
"""The MQTT door: stays connected, hands messages on, acknowledges what was committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from lamppost import events
from lamppost.backoff import Backoff
from lamppost.clock import Clock

from .mqtt import MqttOptions
from .mqtt_connection import Connection
from .mqtt_takeover import TakeoverWatch
from .mqtt_wire import Received

# Where nobody listens, asking costs next to nothing, and a restarting broker is back any moment.
_LONGEST_WAIT_UNHEARD_S: Final = 2.0
_LOOK_S: Final = 0.1


class MqttSource:
    """Subscribes and hands messages on; reconnects for ever.

    Every connection is a new paho client over the same broker session, so nothing of an old
    connection (partial packets, packet ids, pending acknowledgements) can leak into the next.

    Attributes:
        paused: whether reading is paused.
    """

    def __init__(
        self,
        options: MqttOptions,
        clock: Clock,
        on_messages: Callable[[list[Received]], None],
        backoff: Backoff | None = None,
    ) -> None:
        """Take where to connect and who gets the messages (called in the loop's thread)."""
        self.paused = False
        self._backoff = backoff or Backoff()
        self._takeovers = TakeoverWatch(options.place, options.client_id)
        self._options = options
        self._clock = clock
        self._on_messages = on_messages
        self._epoch = 0
        self._connection: Connection | None = None
        self._speaks_5 = options.protocol != "3.1.1"

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until told to stop."""
        told = ""
        while not stop.is_set():
            # A new connection would bring more before it can be told to wait.
            while self.paused and not stop.is_set():
                await _wait(stop, _LOOK_S)
            self._epoch += 1
            connection = Connection(
                self._options, self._clock, self._on_messages, self._epoch, speaks_5=self._speaks_5
            )
            self._connection = connection
            problem = await connection.live(stop)
            if stop.is_set():
                break
            self._settle_protocol(connection)
            self._learn(connection)
            wait_s = self._wait_s(connection)
            if connection.was_up or problem != told:
                events.warning(
                    "mqtt_disconnected",
                    broker=self._options.place,
                    problem=problem,
                    retry_s=f"{wait_s:.1f}",
                )
            told = problem
            await _wait(stop, wait_s)

    def acknowledge(self, messages: Sequence[Received]) -> None:
        """Acknowledge messages in the order given; those of an earlier connection are let be.

        The broker sends them again over the new connection, where they are duplicates.
        """
        if self._connection is not None:
            self._connection.acknowledge([one for one in messages if one.epoch == self._epoch])

    def pause(self) -> None:
        """Stop reading from the socket: the broker holds what it has."""
        self._pause(on=True)

    def resume(self) -> None:
        """Read again."""
        self._pause(on=False)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and not gone since."""
        return self._connection is not None and self._connection.up

    @property
    def certificate_expires_at(self) -> float | None:
        """When the broker's certificate expires, seconds since 1970; None without TLS."""
        return self._connection.certificate_expires_at if self._connection is not None else None

    @property
    def reads_in_bulk(self) -> bool | None:
        """Whether messages are read past paho; None while there is no connection."""
        return None if self._connection is None else self._connection.reads_in_bulk

    def _pause(self, *, on: bool) -> None:
        self.paused = on
        if self._connection is not None:
            self._connection.pause(on=on)

    def _learn(self, connection: Connection) -> None:
        """Begin the waits anew after a connection, unless two clients throw each other out."""
        if not connection.was_up:
            return
        now_s = asyncio.get_running_loop().time()
        self._takeovers.lost(now_s, connection.lived_s, told=connection.taken_over)
        if not self._takeovers.noticed:
            self._backoff.reset()

    def _wait_s(self, connection: Connection) -> float:
        """Return how long to wait before the next attempt."""
        wait_s = self._backoff.next_s()
        if not connection.unheard:
            return wait_s
        return min(wait_s, _LONGEST_WAIT_UNHEARD_S - wait_s % 1.0)

    def _settle_protocol(self, connection: Connection) -> None:
        """After a failed first try with MQTT 5, try 3.1.1; after a failure of that, 5 again."""
        if self._options.protocol == "auto" and not connection.was_up and connection.reached:
            self._speaks_5 = not self._speaks_5


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
