# SPDX-License-Identifier: EUPL-1.2
"""Counts of what the HTTP door has refused, on their way into the inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from lamppost import events
from lamppost.flooding import Excess

_COUNTED_EVERY_S: Final = 1.0


class RefusedCounts:
    """Counts of requests refused whole, entered in the inbox once a second, not with each.

    Nobody was told that such messages are stored, so nothing is lost with a count, and whoever
    sends too much must not make the inbox grow.
    """

    def __init__(self) -> None:
        """Start with nothing refused."""
        self._waiting: dict[str, Excess] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, excesses: Sequence[Excess]) -> None:
        """Add counts of devices."""
        for excess in excesses:
            known = self._waiting.get(excess.device)
            if known is not None:
                sums = {
                    name: getattr(known, name) + getattr(excess, name)
                    for name in ("messages", "kept", "refused")
                }
                excess = excess.model_copy(update=sums)  # noqa: PLW2901 - the sum takes its place
            self._waiting[excess.device] = excess

    def see_to_it(self, enter: Callable[[list[Excess]], None]) -> None:
        """Have the counts entered within a second."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._enter_soon(enter))

    async def _enter_soon(self, enter: Callable[[list[Excess]], None]) -> None:
        try:
            await asyncio.sleep(_COUNTED_EVERY_S)
        finally:
            counts = list(self._waiting.values())
            self._waiting.clear()
            try:
                await asyncio.to_thread(enter, counts)
            except OSError as error:
                self.add(counts)  # they go with the next
                events.error("inbox_refuses", problem=error)
