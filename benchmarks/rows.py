# SPDX-License-Identifier: EUPL-1.2
"""One measured thing, what it is held against, and the verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

Better = Literal["less", "more"]


@dataclass(frozen=True, slots=True)
class Peer:
    """What was measured beside it in the same run.

    Attributes:
        name: of the peer, or of the limit nothing can beat.
        value: in the unit of the row.
        ratio: measured over peer; the median over rounds, which noise hits alike on both.
        limit: what the ratio must keep to under ``--assert``; None where it only informs.
    """

    name: str
    value: float
    ratio: float
    limit: float | None = None


class Point(NamedTuple):
    """Where a row stands in the picture of how rates change with size.

    Attributes:
        curve: what is drawn through this point.
        size: number of series.
    """

    curve: str
    size: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        group: which measurement it belongs to.
        what: in words.
        measured: median of the rounds.
        low, high: the smallest and the largest round.
        unit: of all numbers of this row.
        better: whether less or more of it is better.
        how: one sentence on how it was measured.
        budget: of the design; None where it sets none.
        peer: see above.
        point: see above; None where size does not matter.
    """

    group: str
    what: str
    measured: float
    low: float
    high: float
    unit: str
    better: Better
    how: str
    budget: float | None = None
    peer: Peer | None = None
    point: Point | None = None

    @property
    def within_budget(self) -> bool | None:
        """Whether the budget is kept; None without one."""
        return None if self.budget is None else self._kept(self.measured, self.budget)

    @property
    def within_limit(self) -> bool | None:
        """Whether the ratio to the peer keeps to its limit; None without one."""
        if self.peer is None or self.peer.limit is None:
            return None
        return self._kept(self.peer.ratio, self.peer.limit)

    @property
    def verdict(self) -> str:
        """Return met, missed, or nothing where there is nothing to keep to."""
        said = [kept for kept in (self.within_budget, self.within_limit) if kept is not None]
        if not said:
            return ""
        return "met" if all(said) else "missed"

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {**asdict(self), "verdict": self.verdict}

    def _kept(self, value: float, limit: float) -> bool:
        return value <= limit if self.better == "less" else value >= limit
