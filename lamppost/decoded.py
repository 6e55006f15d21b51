# SPDX-License-Identifier: EUPL-1.2
"""The columns a format fills while it decodes a frame."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

from .quarantine import Refusal
from .times import NO_TIME


class Measurement(NamedTuple):
    """What a number means, as the device says it.

    Attributes:
        sensor: identity of the device.
        quantity: canonical quantity name (checked later, against the vocabulary).
        qualifiers: as :func:`lamppost.series.qualifiers_text` spells them.
        unit: unit as the device spells it; None means the canonical one.
    """

    sensor: str
    quantity: str
    qualifiers: str = ""
    unit: str | None = None


Key = tuple[str, str, str, str | None]
Shapes = dict[Any, tuple[int, ...]]


class Decoded:
    """Readings of one frame as parallel columns, filled by formats.

    Attributes:
        delivery: position of the message each reading came in.
        meaning: number of what it means, see :meth:`number`.
        time: device time, ns UTC, or NO_TIME.
        value: the number in the device's unit; NaN when absent.
        refused: what could not be read.
        shapes: what the format remembers from frame to frame: the numbers of a whole message's
            meanings, by whatever of the message they follow from. It may be emptied at any time.
    """

    def __init__(
        self, interned: dict[Key, int] | None = None, shapes: Shapes | None = None
    ) -> None:
        """Start empty; ``interned`` carries the numbering of meanings from frame to frame."""
        self._interned = {} if interned is None else interned
        self.shapes: Shapes = {} if shapes is None else shapes
        self.delivery: list[int] = []
        self.meaning: list[int] = []
        self.time: list[int] = []
        self.value: list[float] = []
        self.refused: list[Refusal] = []

    def __len__(self) -> int:
        """Return the number of readings."""
        return len(self.value)

    def measurements(self, start: int = 0) -> list[Measurement]:
        """Return the distinct meanings from a number on."""
        return [Measurement(*key) for key in islice(self._interned, start, None)]

    def number(
        self, sensor: str, quantity: str, qualifiers: str = "", unit: str | None = None
    ) -> int:
        """Return the number of a meaning (see :class:`Measurement`), giving it one when new."""
        key = (sensor, quantity, qualifiers, unit)
        number = self._interned.get(key)
        if number is None:
            number = self._interned[key] = len(self._interned)
        return number

    def add(self, delivery: int, meaning: int, value: float, time: int = NO_TIME) -> None:
        """Append one reading."""
        self.delivery.append(delivery)
        self.meaning.append(meaning)
        self.time.append(time)
        self.value.append(value)

    def extend(self, delivery: int, meaning: int, values: list[float], times: list[int]) -> None:
        """Append several readings of one meaning."""
        self.delivery += [delivery] * len(values)
        self.meaning += [meaning] * len(values)
        self.time += times
        self.value += values

    def extend_columns(
        self,
        deliveries: Iterable[int],
        meanings: Iterable[int],
        values: Iterable[float],
        times: Iterable[int],
    ) -> None:
        """Append readings of many messages, given as columns of equal length."""
        self.delivery += deliveries
        self.meaning += meanings
        self.time += times
        self.value += values

    def refuse(self, delivery: int, code: str, detail: str, sensor: str = "") -> None:
        """Say that a message, or a part of it, cannot be used."""
        self.refused.append(Refusal(delivery, code, detail, sensor))
