# SPDX-License-Identifier: EUPL-1.2
"""Notices that another client uses our client identifier and both throw each other out."""

from __future__ import annotations

from collections import deque
from typing import Final

from lamppost import events

SESSION_TAKEN_OVER: Final = 0x8E
"""The reason an MQTT 5 broker gives to a client it disconnects for another with its name."""

_LOSSES: Final = 3
_WITHIN_S: Final = 120.0
_SHORT_S: Final = 20.0


class TakeoverWatch:
    """Counts connections the broker accepted and soon ended.

    Attributes:
        noticed: whether a takeover loop is going on.
    """

    def __init__(self, broker: str, client_id: str) -> None:
        """Take what to name in the log."""
        self.noticed = False
        self._broker = broker
        self._client_id = client_id
        self._losses: deque[tuple[float, bool]] = deque(maxlen=_LOSSES)

    def lost(self, now_s: float, lived_s: float, *, told: bool) -> None:
        """Note the end of a connection that was up.

        Args:
            now_s: any clock that only moves forward.
            lived_s: how long the broker had accepted us.
            told: the broker said that another client took the session over.
        """
        if not told and lived_s > _SHORT_S:
            self._losses.clear()
            self.noticed = False
            return
        self._losses.append((now_s, told))
        recent = len(self._losses) == _LOSSES and now_s - self._losses[0][0] < _WITHIN_S
        if recent and not self.noticed:
            self._say(certain=all(one for _, one in self._losses))
        self.noticed = recent

    def _say(self, *, certain: bool) -> None:
        likely = "another client uses" if certain else "probably another client uses"
        problem = (
            f"{likely} the client_id {self._client_id}: the broker lets only one in, and each gets "
            "a part of the readings; give every installation an mqtt.client_id of its own"
        )
        if not certain:
            problem += " (otherwise the broker's log says why it ends our connections)"
        events.error(
            "mqtt_client_id_shared",
            broker=self._broker,
            client_id=self._client_id,
            certain=certain,
            problem=problem,
        )
