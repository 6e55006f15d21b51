# SPDX-License-Identifier: EUPL-1.2
"""The columns a format fills while it decodes a frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

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


class Decoded:
    """Readings of one frame as parallel columns, filled by formats.

    Attributes:
        measurements: the distinct meanings, in order of first use since start; shared by frames.
        delivery: position of the message each reading came in.
        meaning: index into ``measurements``.
        time: device time, ns UTC, or NO_TIME.
        value: the number in the device's unit; NaN when absent.
        refused: what could not be read.
    """

    def __init__(self, interned: dict[Measurement, int] | None = None) -> None:
        """Start empty; ``interned`` carries the numbering of meanings from frame to frame."""
        self._interned = {} if interned is None else interned
        self.delivery: list[int] = []
        self.meaning: list[int] = []
        self.time: list[int] = []
        self.value: list[float] = []
        self.refused: list[Refusal] = []

    def __len__(self) -> int:
        """Return the number of readings."""
        return len(self.value)

    @property
    def measurements(self) -> list[Measurement]:
        """The distinct meanings, by their number."""
        return list(self._interned)

    def intern(self, measurement: Measurement) -> int:
        """Return the number of a meaning, giving it one when it is new."""
        return self._interned.setdefault(measurement, len(self._interned))

    def add(
        self, delivery: int, measurement: Measurement, value: float, time: int = NO_TIME
    ) -> None:
        """Append one reading."""
        self.delivery.append(delivery)
        self.meaning.append(self.intern(measurement))
        self.time.append(time)
        self.value.append(value)

    def extend(
        self, delivery: int, measurement: Measurement, values: list[float], times: Iterable[int]
    ) -> None:
        """Append several readings of one meaning."""
        self.delivery.extend([delivery] * len(values))
        self.meaning.extend([self.intern(measurement)] * len(values))
        self.time.extend(times)
        self.value.extend(values)

    def refuse(self, delivery: int, code: str, detail: str, sensor: str = "") -> None:
        """Say that a message, or a part of it, cannot be used."""
        self.refused.append(Refusal(delivery, code, detail, sensor))
