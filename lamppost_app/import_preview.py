# SPDX-License-Identifier: EUPL-1.2
"""What an import would bring, found out without importing: series, spans, units, rows refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ingest.archives.rows import ArchiveRows, RefusedRow
from ingest.files import Archive, BrokenFile
from lamppost.decoded import Measurement
from lamppost.quantities import QUANTITIES
from lamppost.units import conversion

_MOST_SHOWN = 20


@dataclass(slots=True)
class SeriesSpan:
    """What the files hold of a series: how many readings, of which time (ns UTC)."""

    readings: int
    first: int
    last: int


@dataclass(slots=True)
class Preview:
    """What the files hold.

    Attributes:
        series: by meaning.
        refused: the first rows that are no readings, with their file.
        refusals: how many there are.
        rows, empty, passed_over, derived, ambiguous: as in an import.
        broken: files that cannot be read to the end.
    """

    series: dict[Measurement, SeriesSpan] = field(default_factory=dict)
    refused: list[tuple[str, RefusedRow]] = field(default_factory=list)
    refusals: int = 0
    rows: int = 0
    empty: int = 0
    passed_over: int = 0
    derived: int = 0
    ambiguous: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, name: str, said: ArchiveRows) -> None:
        """Take in a part of a file."""
        self.rows += said.rows
        self.empty += said.empty
        self.passed_over += said.passed_over
        self.derived += said.derived
        self.refusals += len(said.refused)
        room = _MOST_SHOWN - len(self.refused)
        self.refused += [(name, row) for row in said.refused[:room]]
        counts = np.bincount(said.meaning, minlength=len(said.meanings))
        first = np.full(len(said.meanings), 2**62)
        last = np.full(len(said.meanings), -(2**62))
        np.minimum.at(first, said.meaning, said.time)
        np.maximum.at(last, said.meaning, said.time)
        for number in np.flatnonzero(counts).tolist():
            self._extend(
                said.meanings[number], int(counts[number]), int(first[number]), int(last[number])
            )

    def _extend(self, meaning: Measurement, readings: int, first: int, last: int) -> None:
        span = self.series.setdefault(meaning, SeriesSpan(0, first, last))
        span.readings += readings
        span.first, span.last = min(span.first, first), max(span.last, last)


def preview(archives: Sequence[Archive], tell: Callable[[int], None]) -> Preview:
    """Read files without importing them; ``tell`` is called with the bytes read of each part."""
    found = Preview()
    for archive in archives:
        before = 0
        ambiguous = 0
        try:
            for part in archive.parts():
                if part.said is not None:
                    found.add(archive.name, part.said)
                ambiguous = part.ambiguous
                tell(part.read - before)
                before = part.read
        except BrokenFile as error:
            found.broken.append(str(error))
        found.ambiguous += ambiguous
    return found


def verdict(meaning: Measurement) -> str:
    """Return what the engine would say of a series, empty if it would take it."""
    if meaning.quantity not in QUANTITIES:
        return "unknown_quantity"
    return "" if conversion(meaning.quantity, meaning.unit) else "unknown_unit"
