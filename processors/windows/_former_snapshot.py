# SPDX-License-Identifier: EUPL-1.2
"""Reads snapshots of versions that kept six hours in memory, so that an upgrade loses nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lamppost.shelf import MemoryShelf
from lamppost.state import Snapshot, nested
from lamppost.times import HOUR_NS

from . import _statistics as statistics
from ._clock import SeriesClocks
from ._former_rows import brought_up
from ._memory import Memory
from ._rows import ordered

_HELD_NS: Final = 6 * HOUR_NS


def is_former(snapshot: Mapping[str, Any]) -> bool:
    """Tell whether a snapshot is one of those."""
    return "open_0" in snapshot


def converted(snapshot: Mapping[str, Any], lengths: Sequence[int]) -> Snapshot:
    """Return such a snapshot in the present form."""
    cadence = {
        name.removeprefix("cadence_"): array
        for name, array in snapshot.items()
        if name.startswith("cadence_")
    }
    pending = {
        f"pending_{level}": brought_up(snapshot[f"open_{level}"], dtype)
        for level, dtype in enumerate([statistics.RAW] + [statistics.STATE] * (len(lengths) - 1))
    }
    return {
        **nested("clocks", _clocks(snapshot)),
        **nested("cadence", cadence),
        **nested("memory", _memory(snapshot, lengths)),
        **pending,
    }


def _clocks(snapshot: Mapping[str, Any]) -> Snapshot:
    clocks = SeriesClocks(0)
    newest = snapshot["newest"]
    clocks.grow(len(newest))
    clocks["newest"][:] = newest
    clocks["received"][:] = snapshot["received"]
    clocks["watermark"][:] = snapshot["closed"][:, 0]
    clocks["forgotten"][:] = newest - _HELD_NS
    return clocks.snapshot()


def _memory(snapshot: Mapping[str, Any], lengths: Sequence[int]) -> Snapshot:
    memory = Memory(lengths, lambda _, rows: rows, MemoryShelf(), 1 << 40)
    memory.readings.insert(ordered(brought_up(snapshot["readings"], statistics.RAW)))
    for level in range(len(lengths)):
        memory.publish(level, ordered(brought_up(snapshot[f"published_{level}"], statistics.STATE)))
    return memory.snapshot()
