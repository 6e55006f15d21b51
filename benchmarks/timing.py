# SPDX-License-Identifier: EUPL-1.2
"""CPU time of rival pieces of work, taken in turns so that a noisy machine is noisy to all."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

Work = Callable[[], object]
_PARTS: Final = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        quick: a run of under a minute, with less of everything.
    """

    quick: bool = False

    def pick(self, full: int, quick: int) -> int:
        """Return one of two sizes."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Spread:
    """Rounds of one measurement."""

    rounds: Sequence[float]

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.rounds)

    @property
    def low(self) -> float:
        """The smallest round."""
        return min(self.rounds)

    @property
    def high(self) -> float:
        """The largest round."""
        return max(self.rounds)

    def over(self, other: Spread) -> float:
        """Return the median of the ratios, round by round."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    def scaled(self, factor: float) -> Spread:
        """Return every round times a factor."""
        return Spread([factor * value for value in self.rounds])

    def rates(self, amount: float) -> Spread:
        """Return an amount over every round."""
        return Spread([amount / value for value in self.rounds])


class Share(NamedTuple):
    """One amount over another, and the smallest and the largest that parts of the run had."""

    whole: float
    low: float
    high: float


def overall(above: Sequence[float], below: Sequence[float]) -> Share:
    """Return a sum over a sum, in which what is seldom and dear counts with the rest.

    Args:
        above: amounts of the pieces of a run, in order.
        below: as many, of what they are held against.
    """
    step = max(1, -(-len(above) // _PARTS))
    parts = [
        sum(above[first : first + step]) / sum(below[first : first + step])
        for first in range(0, len(above), step)
    ]
    return Share(sum(above) / sum(below), min(parts), max(parts))


def seconds_of(work: Work) -> float:
    """Return the CPU seconds of one call as it comes, the collection of garbage included."""
    start = time.process_time()
    work()
    return time.process_time() - start


def cpu_s(work: Work) -> float:
    """Return the CPU seconds of one call, garbage of earlier work collected beforehand."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def in_turns(works: Mapping[str, Work], rounds: int) -> dict[str, Spread]:
    """Return the CPU seconds of each piece of work, after one round that is not counted."""
    for work in works.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(cpu_s(work))
    return {name: Spread(seconds) for name, seconds in taken.items()}
