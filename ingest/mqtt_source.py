# SPDX-License-Identifier: EUPL-1.2
"""The MQTT door: stays connected, hands messages on, acknowledges what was committed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

from lamppost import events
from lamppost.clock import Clock

from .mqtt import MqttOptions
from .mqtt_connection import Connection
from .mqtt_wire import Received

_LONGEST_WAIT_S: Final = 30.0
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
        self, options: MqttOptions, clock: Clock, on_messages: Callable[[list[Received]], None]
    ) -> None:
        """Take where to connect and who gets the messages (called in the loop's thread)."""
        self.paused = False
        self._options = options
        self._clock = clock
        self._on_messages = on_messages
        self._epoch = 0
        self._connection: Connection | None = None
        self._speaks_5 = options.protocol != "3.1.1"

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until told to stop."""
        wait_s, told = 0.0, ""
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
            wait_s = _next_wait_s(connection, wait_s)
            if connection.was_up or problem != told:
                where = f"{self._options.host}:{self._options.port}"
                events.warning("mqtt_disconnected", broker=where, problem=problem, retry_s=wait_s)
            told = problem
            await _wait(stop, wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret

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
    def reads_in_bulk(self) -> bool | None:
        """Whether messages are read past paho; None while there is no connection."""
        return None if self._connection is None else self._connection.reads_in_bulk

    def _pause(self, *, on: bool) -> None:
        self.paused = on
        if self._connection is not None:
            self._connection.pause(on=on)

    def _settle_protocol(self, connection: Connection) -> None:
        """After a failed first try with MQTT 5, try 3.1.1; after a failure of that, 5 again."""
        if self._options.protocol == "auto" and not connection.was_up and connection.reached:
            self._speaks_5 = not self._speaks_5


def _next_wait_s(connection: Connection, former_s: float) -> float:
    """Return how long to wait after a connection that ended, a part of which is left to chance."""
    if connection.was_up:
        return 1.0
    longest = _LONGEST_WAIT_UNHEARD_S if connection.unheard else _LONGEST_WAIT_S
    return min(max(2 * former_s, 1.0), longest)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
