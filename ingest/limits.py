# SPDX-License-Identifier: EUPL-1.2
"""How much each device may send: a token bucket per device, asked only when it could be empty.

Within the limit nothing changes. Over it, messages are still kept, up to a bound per hour, but
apart, so that they wait in quarantine. Beyond that they are refused, and only counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Final

from lamppost.flooding import EXCESSES, Excess, throttled_bytes
from lamppost.frames import Deliveries
from lamppost.log import EXCESS, FRAME, THROTTLED, Record
from lamppost.times import HOUR_NS, SECOND_NS

_TOKEN_BYTES: Final = 1024
_MOST_DEVICES: Final = 65_536
_MOST_PENDING: Final = 65_536
_SETTLE_S: Final = 1.0
_NAME_CHARACTERS: Final = 128
_OVERHEAD_BYTES: Final = 128
_SHARED: Final = "$share"


class Fate(StrEnum):
    """What a door does with a message."""

    ADMIT = "admit"
    KEEP = "keep"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Limits:
    """What every device may send through one door; the fields are those of the section [limits].

    Attributes:
        messages_per_s: in the long run; a message counts once for every KiB begun.
        burst_messages: at once, after a silence.
        kept_messages_per_h: messages over the rate that are kept, per device and hour.
        kept_bytes_per_h: bytes of such messages that are kept, of all devices together, per hour.
    """

    messages_per_s: float = 20.0
    burst_messages: int = 100_000
    kept_messages_per_h: int = 10_000
    kept_bytes_per_h: int = 64_000_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of the messages of a frame or request some of which are over a limit.

    Attributes:
        devices: who sent each.
        fates: what is done with each.
        excesses: the devices over their limit, with counts.
        wait_s: seconds after which what was refused would be within the limit.
    """

    devices: list[str]
    fates: list[Fate]
    excesses: list[Excess]
    wait_s: float

    def rows(self, fate: Fate) -> list[int]:
        """Return the positions of the messages with a fate."""
        return [row for row, found in enumerate(self.fates) if found is fate]


class Limiter:
    """The buckets of one door.

    Buckets are brought up to date once a second, or before any of them could be empty, since asking
    each of them for every frame would cost as much as all else the intake does.

    A bucket is one number, the instant at which it will be full again. A full one is like one never
    used, so forgetting those loses nothing, and the table holds only devices that sent of late.
    """

    def __init__(self, limits: Limits, source: str, topics: Sequence[str] = ()) -> None:
        """Take the limits, the name of the door, and the topic filters that name its devices."""
        self._limits = limits
        self._source = source
        self._levels = [_device_level(topic) for topic in topics]
        self._pace_s = 1 / limits.messages_per_s
        self._depth_s = limits.burst_messages * self._pace_s
        self._full_at: dict[str, float] = {}
        self._pending: list[Sequence[str]] = []
        self._room = 0
        self._settle_at_s = 0.0
        self._device_of: dict[str, str] = {}
        self._hour = 0
        self._kept: Counter[str] = Counter()
        self._kept_bytes = 0

    def __len__(self) -> int:
        """Return how many buckets are in use."""
        return len(self._full_at)

    def judge(self, names: Sequence[str], sizes: Sequence[int], now: int) -> Judgement | None:
        """Return what becomes of messages, or None when all of them are within the limits.

        Args:
            names: topic, or sensor, of each message.
            sizes: bytes of each.
            now: instant, ns UTC.
        """
        now_s = now / SECOND_NS
        ordinary = max(sizes, default=0) <= _TOKEN_BYTES
        if ordinary and len(names) <= self._room and now_s < self._settle_at_s:
            self._pending.append(names)
            self._room -= len(names)
            return None
        self._charge(self._costs([*chain.from_iterable(self._pending)], ()), now_s)
        self._pending.clear()
        over = self._charge(self._costs(names, sizes), now_s)
        judgement = self._sort_out(names, sizes, now, over) if over else None
        if len(self._full_at) > _MOST_DEVICES:
            self._forget(now_s)
        self._look_ahead(now_s)
        return judgement

    def _charge(self, costs: Mapping[str, int], now_s: float) -> frozenset[str]:
        """Take tokens from buckets, and return the devices whose bucket has not that many."""
        latest = now_s + self._depth_s
        over = []
        for device, cost in costs.items():
            full_at = max(self._full_at.get(device, now_s), now_s) + cost * self._pace_s
            if full_at > latest:
                over.append(device)
            else:
                self._full_at[device] = full_at
        return frozenset(over)

    def _look_ahead(self, now_s: float) -> None:
        """Work out how many messages may come before any device can be over its limit.

        As long as no more have come, whoever sent them, there is nothing to ask the buckets.
        """
        fullest = max(self._full_at.values(), default=now_s)
        tokens = math.floor((now_s + self._depth_s - fullest) / self._pace_s)
        self._room = min(tokens, _MOST_PENDING)
        self._settle_at_s = now_s + _SETTLE_S

    def _costs(self, names: Sequence[str], sizes: Sequence[int]) -> Mapping[str, int]:
        """Return how many tokens each device asks for."""
        by_name = Counter(names)
        if max(sizes, default=0) > _TOKEN_BYTES:
            for name, size in zip(names, sizes, strict=True):
                by_name[name] += self._cost(size) - 1
        if not self._levels:
            return by_name
        costs: dict[str, int] = {}
        known = self._device_of
        for name, cost in by_name.items():
            device = known.get(name) or self._device(name)
            costs[device] = costs.get(device, 0) + cost
        return costs

    def _cost(self, size: int) -> int:
        # What is larger than a whole bucket would never pass.
        return min(max(1, -(-size // _TOKEN_BYTES)), self._limits.burst_messages)

    def _device(self, topic: str) -> str:
        known = self._device_of.get(topic)
        if known is not None:
            return known
        if len(self._device_of) >= _MOST_DEVICES:
            self._device_of.clear()
        levels = topic.split("/")
        found = (
            levels[len(before)]
            for before in self._levels
            if before is not None and levels[: len(before)] == before and len(levels) > len(before)
        )
        # Never "", which stands for devices that do not say who they are.
        device = (next(found, topic) or topic)[:_NAME_CHARACTERS]
        self._device_of[topic] = device
        return device

    def _sort_out(
        self, names: Sequence[str], sizes: Sequence[int], now: int, over: frozenset[str]
    ) -> Judgement:
        now_s = now / SECOND_NS
        latest = now_s + self._depth_s
        devices = [self._device(name) for name in names] if self._levels else list(names)
        fates = [Fate.ADMIT] * len(devices)
        wait_s = 0.0
        self._begin_hour(now)
        for row, device in enumerate(devices):
            if device not in over:
                continue
            size = sizes[row]
            spent_s = self._pace_s * (1 if size <= _TOKEN_BYTES else self._cost(size))
            full_at = max(self._full_at.get(device, now_s), now_s) + spent_s
            if full_at <= latest:
                self._full_at[device] = full_at
            elif self._keep(device, size):
                fates[row] = Fate.KEEP
            else:
                fates[row] = Fate.REFUSE
                wait_s += spent_s
        return Judgement(devices, fates, self._excesses(devices, fates, over), wait_s)

    def _begin_hour(self, now: int) -> None:
        if now // HOUR_NS != self._hour:
            self._hour = now // HOUR_NS
            self._kept.clear()
            self._kept_bytes = 0

    def _keep(self, device: str, size: int) -> bool:
        """Return whether there is room for a message over the limit, and take it."""
        size += _OVERHEAD_BYTES
        if (
            self._kept[device] >= self._limits.kept_messages_per_h
            or self._kept_bytes + size > self._limits.kept_bytes_per_h
        ):
            return False
        self._kept[device] += 1
        self._kept_bytes += size
        return True

    def _excesses(
        self, devices: Sequence[str], fates: Sequence[Fate], over: frozenset[str]
    ) -> list[Excess]:
        counts = Counter(zip(devices, fates, strict=True))
        return [
            Excess(
                source=self._source,
                device=device,
                messages=sum(counts[device, fate] for fate in Fate),
                kept=counts[device, Fate.KEEP],
                refused=counts[device, Fate.REFUSE],
                per_s=self._limits.messages_per_s,
                burst=self._limits.burst_messages,
            )
            for device in sorted(over)
        ]

    def _forget(self, now_s: float) -> None:
        """Forget full buckets; should that not be enough, those that are nearly full too."""
        used = {device: at for device, at in self._full_at.items() if at > now_s}
        if len(used) > _MOST_DEVICES // 2:
            emptiest = sorted(used.items(), key=lambda item: item[1], reverse=True)
            used = dict(emptiest[: _MOST_DEVICES // 2])
        self._full_at = used


def records(deliveries: Deliveries, judgement: Judgement | None, at: int) -> list[Record]:
    """Return what goes into the inbox of messages: a frame, what is kept apart, and the counts."""
    if judgement is None:
        return [Record(FRAME, at, deliveries.to_bytes())] if len(deliveries) else []
    admitted, kept = judgement.rows(Fate.ADMIT), judgement.rows(Fate.KEEP)
    made = []
    if admitted:
        made.append(Record(FRAME, at, deliveries.take(admitted).to_bytes()))
    if kept:
        devices = [judgement.devices[row] for row in kept]
        made.append(Record(THROTTLED, at, throttled_bytes(deliveries.take(kept), devices)))
    return [*made, Record(EXCESS, at, EXCESSES.dump_json(judgement.excesses))]


def retry_after_s(wait_s: float) -> int:
    """Return what to tell a device that was refused."""
    return min(max(1, math.ceil(wait_s)), 3600)


def _device_level(topic: str) -> list[str] | None:
    """Return the levels before the one that names the device, None where no single level does."""
    levels = topic.split("/")
    if levels[0] == _SHARED:
        levels = levels[2:]
    return levels[: levels.index("+")] if "+" in levels else None
