# SPDX-License-Identifier: EUPL-1.2
"""The columns a format fills while it decodes a frame."""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .quarantine import Refusal
from .refusal_codes import Code
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


class Columns(NamedTuple):
    """Readings as parallel arrays, each of shape (n,).

    Attributes:
        delivery: position of the message each came in.
        meaning: number of what it means, see :meth:`Decoded.number`.
        time: device time, ns UTC, or NO_TIME.
        value: the number in the device's unit; NaN when absent.
    """

    delivery: npt.NDArray[np.int64]
    meaning: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


class Decoded:
    """Readings of one frame, filled by formats.

    Attributes:
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
        self.refused: list[Refusal] = []
        self._parts: list[Columns] = []
        # What is added reading by reading waits here as lists, in the order of the columns.
        self._delivery: list[int] = []
        self._meaning: list[int] = []
        self._time: list[int] = []
        self._value: list[float] = []

    def __len__(self) -> int:
        """Return the number of readings."""
        return len(self._value) + sum(len(part.value) for part in self._parts)

    def columns(self) -> Columns:
        """Return the readings in the order they were added."""
        self._close_part()
        if len(self._parts) == 1:
            return self._parts[0]
        return Columns(*map(np.concatenate, zip(*self._parts, strict=True)))

    def _close_part(self) -> None:
        if self._value or not self._parts:
            part = Columns(
                np.array(self._delivery, np.int64),
                np.array(self._meaning, np.int64),
                np.array(self._time, np.int64),
                np.array(self._value, np.float64),
            )
            self._parts.append(part)
            self._delivery, self._meaning, self._time, self._value = [], [], [], []

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
        self._delivery.append(delivery)
        self._meaning.append(meaning)
        self._time.append(time)
        self._value.append(value)

    def extend(
        self, delivery: int, meanings: list[int], times: list[int], values: list[float]
    ) -> None:
        """Append readings of several meanings at several instants; values instant by instant."""
        self._delivery += [delivery] * len(values)
        self._meaning += meanings * len(times)
        self._time += [time for time in times for _ in meanings]
        self._value += values

    def extend_columns(self, columns: Columns) -> None:
        """Append readings of many messages."""
        self._close_part()
        self._parts.append(columns)

    def refuse(self, delivery: int, code: Code, detail: str, sensor: str = "") -> None:
        """Say that a message, or a part of it, cannot be used."""
        self.refused.append(Refusal(delivery, code, detail, sensor))
