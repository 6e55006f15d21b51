# SPDX-License-Identifier: EUPL-1.2
"""The inbox counted once more by hand: which readings came, and what windows they make.

Nothing of the engine is used, only the vocabulary; one plain loop over the messages as they came.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lamppost import log
from lamppost.flooding import read_throttled
from lamppost.frames import Deliveries
from lamppost.log import Entry
from lamppost.policy import Policy
from lamppost.quantities import QUANTITIES
from lamppost.quarantine import read_replay
from lamppost.series import SeriesKey, qualifiers_text
from lamppost.times import NO_TIME, SECOND_NS, parse_instant
from lamppost.units import conversion
from processors.windows.event_time import EventTimeSettings
from tests.chaos.evidence import every_entry, opened

_NEVER = -(2**62)
_NATIVE = ("/readings", "/api/v1/readings")
# Refused as a whole: nothing of such a message goes on.
WHOLE = (
    "no_format",
    "malformed",
    "schema",
    "too_large",
    "too_deep",
    "too_many_values",
    "duplicate_key",
    "damaged",
    "engine_error",
)


class Window(NamedTuple):
    """Statistics of one window."""

    count: int
    mean: float


@dataclass
class Recount:
    """What a plain loop finds in an inbox.

    Attributes:
        payloads: every message, by what was sent.
        order: messages of every sensor as they came first.
        held: value by time of every series, in order of arrival.
        corrected: instants that came with several values.
        items: readings that came, duplicates and late ones too.
        duplicates, too_old: how many of them.
        refused: messages a door refused and only counted.
        unread: messages neither the loop nor quarantine knows what to do with.
        last_reading_at, last_tick_at: instants of the newest frame and tick.
    """

    payloads: set[bytes] = field(default_factory=set)
    order: dict[str, list[bytes]] = field(default_factory=dict)
    held: dict[SeriesKey, dict[int, float]] = field(default_factory=dict)
    corrected: set[tuple[SeriesKey, int]] = field(default_factory=set)
    items: int = 0
    duplicates: int = 0
    too_old: int = 0
    refused: int = 0
    unread: list[bytes] = field(default_factory=list)
    last_reading_at: int = 0
    last_tick_at: int = 0
    lengths: tuple[int, ...] = ()

    def windows(self, key: SeriesKey, length: int) -> dict[int, Window]:
        """Return the windows of a series, by start."""
        values: dict[int, list[float]] = {}
        for time, value in self.held[key].items():
            values.setdefault(time // length * length, []).append(value)
        return {
            start: Window(len(found), math.fsum(found) / len(found))
            for start, found in values.items()
        }


class Counter:
    """Goes through an inbox."""

    def __init__(self, refused: Collection[bytes]) -> None:
        """Take the messages quarantine holds as of no use at all."""
        self.found = Recount()
        self._refused = refused
        self._newest: dict[SeriesKey, int] = {}
        self._rules(Policy(windows={"event_time": {}}))

    def _rules(self, policy: Policy) -> None:
        windows = EventTimeSettings(**policy.windows.get("event_time", {}))
        self.found.lengths = windows.lengths_ns
        self._horizon = round(windows.correction_horizon_s * SECOND_NS)
        self._not_before = round(policy.time.not_before.timestamp()) * SECOND_NS
        self._max_ahead = round(policy.time.max_ahead_s * SECOND_NS)

    def take(self, entry: Entry, *, aside: bool) -> None:
        """Count an entry; one that was set aside lies in quarantine as a whole."""
        match entry.kind:
            case log.POLICY:
                self._rules(Policy.model_validate_json(entry.body))
            case log.TICK:
                self.found.last_tick_at = max(self.found.last_tick_at, entry.at)
            case log.FRAME if not aside:
                self._messages(Deliveries.from_bytes(entry.body))
            case log.REPLAY if not aside:
                self._messages(read_replay(entry.body)[0])
            case log.THROTTLED if not aside:
                self._kept(read_throttled(entry.body)[0])
            case log.EXCESS if not aside:
                self.found.refused += sum(one["refused"] for one in json.loads(entry.body))

    def _kept(self, deliveries: Deliveries) -> None:
        """Note messages over a limit, which nothing looks into."""
        self.found.payloads.update(deliveries.payloads)
        self.found.last_reading_at = max([self.found.last_reading_at, *deliveries.received_at])

    def _messages(self, deliveries: Deliveries) -> None:
        found = self.found
        found.last_reading_at = max([found.last_reading_at, *deliveries.received_at])
        for row, payload in enumerate(deliveries.payloads):
            fresh = payload not in found.payloads
            found.payloads.add(payload)
            if payload in self._refused or not deliveries.routes[row].endswith(_NATIVE):
                continue
            try:
                message = json.loads(payload)
                readings = list(_readings(message))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                found.unread.append(payload)
                continue
            if fresh:
                found.order.setdefault(message["sensor"], []).append(payload)
            unplaced: set[SeriesKey] = set()
            for key, time, value in readings:
                received = deliveries.received_at[row]
                if self._not_before <= time <= received + self._max_ahead:
                    self._reading(key, time, value)
                elif key not in unplaced:  # a second one has no instant to be told by
                    unplaced.add(key)
                    self._reading(key, received + row, value)

    def _reading(self, key: SeriesKey, time: int, value: float) -> None:
        self.found.items += 1
        newest = self._newest.get(key, _NEVER)
        self._newest[key] = max(newest, time)
        if time < newest - self._horizon:
            self.found.too_old += 1
            return
        held = self.found.held.setdefault(key, {})
        if time not in held:
            held[time] = value
        elif held[time] == value or (math.isnan(value) and math.isnan(held[time])):
            self.found.duplicates += 1
        else:
            held[time] = value
            self.found.corrected.add((key, time))


def recount(inbox: Path, position: int, refused: Collection[bytes], aside: set[int]) -> Recount:
    """Count an inbox up to an entry.

    Args:
        inbox: the file.
        position: the last entry to be looked at.
        refused: messages that lie in quarantine as a whole.
        aside: entries that were set aside as a whole.
    """
    counter = Counter(refused)
    with opened(inbox) as source:
        for entry in every_entry(source, position):
            counter.take(entry, aside=entry.seq in aside)
    return counter.found


def _readings(message: dict[str, Any]) -> Iterator[tuple[SeriesKey, int, float]]:
    stamp = message.get("time")
    units = message.get("units") or {}
    qualifiers = qualifiers_text(message.get("qualifiers") or {})
    listed = isinstance(stamp, list)
    stamps = stamp if listed else [stamp]
    times = [NO_TIME if one is None else parse_instant(one) for one in stamps]
    for quantity, given in message["values"].items():
        values = given if isinstance(given, list) else [given]
        if isinstance(given, list) != listed or len(values) != len(times):
            continue
        way = conversion(quantity, units.get(quantity)) if quantity in QUANTITIES else None
        if way is None:
            continue
        key = SeriesKey(message["sensor"], quantity, qualifiers)
        for time, value in zip(times, values, strict=True):
            number = math.nan if value is None else value * way.scale + way.offset
            yield key, time, number if math.isfinite(number) else math.nan
