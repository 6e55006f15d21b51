# SPDX-License-Identifier: EUPL-1.2
"""Lines of many outbox entries in one buffer, and what has become of each of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.balance import Tally, accepted_rows, count_rows
from lamppost.log import Entry

from .text_columns import TextColumn, concatenated, content, ends
from .withdrawals import Withdrawal

_LINE_SHOWN: Final = 400
_OPEN: Final = 0
_STORED: Final = 1
_REFUSED: Final = 2


class Settled(NamedTuple):
    """What became of the lines of one entry so far.

    Attributes:
        states: a state by line.
        reasons: why lines were refused, by their place in the entry.
    """

    states: npt.NDArray[np.int8]
    reasons: Mapping[int, str]


class Part(NamedTuple):
    """The lines of one entry.

    Attributes:
        entry: where they come from.
        lines: each with its line end.
        withdrawn: the points that must go before these lines are written.
    """

    entry: Entry
    lines: TextColumn
    withdrawn: Sequence[Withdrawal]


class LineBatch:
    """Lines of many entries, cut by byte offsets.

    Attributes:
        refused: why lines were refused, by their place in the batch.
    """

    def __init__(self, parts: Sequence[Part], settled: Mapping[int, Settled]) -> None:
        """Join the lines of entries, and recall what became of some in an earlier attempt."""
        columns = [part.lines for part in parts]
        lines = concatenated(columns)
        self._content = content(lines)
        self._ends: npt.NDArray[np.int64] = ends(lines)
        self._entries = [part.entry for part in parts]
        self._first_lines = np.cumsum([0, *(len(column) for column in columns)])
        self._states = np.zeros(len(self), np.int8)
        self.refused: dict[int, str] = {}
        for entry, first, last in self._spans():
            known = settled.get(entry.seq)
            if known is not None and len(known.states) == last - first:
                self._states[first:last] = known.states
                self.refused.update(
                    {first + place: reason for place, reason in known.reasons.items()}
                )
        firsts = self._first_lines.tolist()
        self._withdrawals = {
            first + point.row: point
            for part, first in zip(parts, firsts, strict=False)
            for point in part.withdrawn
        }
        self._cuts = {
            first + (point.row if point.again else 0)
            for part, first in zip(parts, firsts, strict=False)
            for point in part.withdrawn
        }

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self._ends) - 1

    @property
    def any_stored(self) -> bool:
        """Whether the destination has taken a line."""
        return bool((self._states == _STORED).any())

    def open_runs(self) -> Iterator[tuple[int, int]]:
        """Yield the runs of lines of which nothing is known yet, in order.

        A new run begins where a point must go before it is written, as an earlier run may have
        written it.
        """
        edges = np.flatnonzero(np.diff(self._states == _OPEN, prepend=False, append=False))
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            cuts = sorted(cut for cut in self._cuts if start < cut < stop)
            yield from itertools.pairwise([start, *cuts, stop])

    def withdrawals(self, start: int, stop: int) -> list[Withdrawal]:
        """Return the points that must go before these lines are written."""
        if not self._withdrawals:
            return []
        return [self._withdrawals[line] for line in range(start, stop) if line in self._withdrawals]

    def body(self, start: int, stop: int) -> bytes:
        """Return lines as one request body."""
        return bytes(self._content[self._ends[start] : self._ends[stop]])

    def fitting(self, start: int, size: int) -> int:
        """Return where to stop so that the lines from ``start`` fit into ``size``, at least one."""
        stop = int(np.searchsorted(self._ends, self._ends[start] + size, side="right")) - 1
        return max(stop, start + 1)

    def store(self, start: int, stop: int) -> None:
        """Note that the destination has taken lines."""
        self._states[start:stop] = _STORED

    def refuse(self, start: int, stop: int, reason: str) -> None:
        """Note that the destination refuses lines, each for itself."""
        self._states[start:stop] = _REFUSED
        for line in range(start, stop):
            self.refused[line] = f"{reason}; {self._describe(line)}"

    def forgive(self) -> None:
        """Forget every refusal, because the lines are not to blame."""
        self._states[self._states == _REFUSED] = _OPEN
        self.refused.clear()

    def settled(self) -> dict[int, Settled]:
        """Return what became of the lines of each entry, for the next attempt."""
        found = {}
        for entry, first, last in self._spans():
            reasons = {
                line - first: why for line, why in self.refused.items() if first <= line < last
            }
            if self._states[first:last].any():
                found[entry.seq] = Settled(self._states[first:last].copy(), reasons)
        return found

    def tally(self) -> Tally:
        """Return what became of accepted readings, each of which is one line."""
        tally = Tally()
        for entry, first, last in self._spans():
            series = accepted_rows(entry)
            if len(series):
                states = self._states[first:last]
                count_rows(tally.stored, entry.at, series[states == _STORED])
                count_rows(tally.refused, entry.at, series[states == _REFUSED])
        return tally

    def _describe(self, line: int) -> str:
        """Return which entry a line came from and what it says, bounded."""
        entry = int(np.searchsorted(self._first_lines, line, side="right")) - 1
        text = self.body(line, line + 1).decode().rstrip("\n")
        return f"entry {self._entries[entry].seq}: {text[:_LINE_SHOWN]}"

    def _spans(self) -> Iterator[tuple[Entry, int, int]]:
        bounds = self._first_lines.tolist()
        yield from zip(self._entries, bounds, bounds[1:], strict=False)
