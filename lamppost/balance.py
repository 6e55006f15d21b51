# SPDX-License-Identifier: EUPL-1.2
"""The balance: what was accepted is stored. How sinks count, and what is said when it is not so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from .alerts import Signal
from .batch import SENT, JudgedBatch
from .frames import arrow_batch
from .log import READINGS, Entry
from .policy import AlertRule
from .times import HOUR_NS, format_instant

OUTCOMES: Final = ("accepted", "duplicate", "quarantined", "refused")
"""What becomes of an item received; together they are all of them."""

LEDGER_RULE_ID: Final = "ledger_imbalance"
LEDGER_RULE: Final = AlertRule(
    use="ledger", title="The ledger does not balance", severity="critical"
)
"""Not in any policy: no city can decide that lost readings do not matter."""

Place = tuple[int, int]
"""Hour (ns UTC) of the entry readings came in, and their series code."""


@dataclass(slots=True)
class Tally:
    """What a sink did with accepted readings.

    Attributes:
        stored: how many it holds.
        refused: how many the destination would not take.
    """

    stored: Counter[Place] = field(default_factory=Counter)
    refused: Counter[Place] = field(default_factory=Counter)


def hour_of(at: int) -> int:
    """Return the hour an instant lies in, ns UTC."""
    return at // HOUR_NS * HOUR_NS


def accepted_rows(entry: Entry) -> npt.NDArray[np.int32]:
    """Return the series code of every row of an entry, -1 where no device sent the number."""
    if entry.kind != READINGS:
        return np.empty(0, np.int32)
    batch = JudgedBatch.from_arrow(arrow_batch(entry.body))
    return np.where(np.isin(batch.revision, SENT), batch.series, np.int32(-1))


def count_rows(counter: Counter[Place], at: int, series: npt.NDArray[np.int32]) -> None:
    """Add rows of an entry of an instant to a counter; codes below 0 do not count."""
    counts = np.bincount(series[series >= 0])
    hour = hour_of(at)
    for code in np.flatnonzero(counts).tolist():
        counter[hour, code] += int(counts[code])


class BalanceCommand(BaseModel):
    """A sink's books compared with the engine's, entered in the inbox when the verdict changes.

    Attributes:
        sink: whose books.
        balanced: whether all hours it remembers balance.
        sensor, hour: where the difference is largest.
        accepted, stored, refused: the numbers there.
        rows: how many sensors and hours do not balance.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Literal["balance"] = "balance"
    sink: str
    balanced: bool
    sensor: str = ""
    hour: int = 0
    accepted: int = 0
    stored: int = 0
    refused: int = 0
    rows: int = 0

    def signal(self, at: int) -> Signal:
        """Return what the alert rule about the ledger says at an instant."""
        sentence = f"{self.sink} holds everything that was accepted"
        if not self.balanced:
            sentence = (
                f"{self.sink} stored {self.stored} of {self.accepted} readings accepted from"
                f" {self.sensor} in the hour from {format_instant(self.hour)}, and refused"
                f" {self.refused}{_others(self.rows)}"
            )
        return ledger_signal(
            f"sink={self.sink}",
            active=not self.balanced,
            at=at,
            observed=self.stored + self.refused,
            expected=self.accepted,
            sentence=sentence,
        )


def ledger_signal(
    part: str, *, active: bool, at: int, observed: float, expected: float, sentence: str
) -> Signal:
    """Return a signal of the rule about the ledger; its subject is the system, not a sensor."""
    return Signal(
        subject="",
        quantity="",
        qualifiers=part,
        active=active,
        at=at,
        observed=observed,
        expected=expected,
        band_low=float("nan"),
        band_high=float("nan"),
        unit="1",
        sentence=sentence,
        clears_when="every hour in the books balances again, or those that do not have aged out",
    )


def received_signal(broken: Sequence[Mapping[str, Any]], at: int) -> Signal:
    """Return what the rule says about the engine's own rows that do not balance."""
    if not broken:
        sentence = "everything received is accounted for"
        return ledger_signal(
            "part=engine", active=False, at=at, observed=0, expected=0, sentence=sentence
        )
    worst = broken[0]
    known = sum(worst[name] for name in OUTCOMES)
    where = f"{worst['sensor'] or 'unnamed sensors'} through {worst['source']}"
    sentence = (
        f"of {worst['received']} items received from {where} in the hour from"
        f" {format_instant(worst['hour'])}, {known} are accounted for{_others(len(broken))}"
    )
    return ledger_signal(
        "part=engine",
        active=True,
        at=at,
        observed=known,
        expected=worst["received"],
        sentence=sentence,
    )


def _others(rows: int) -> str:
    return f" ({rows - 1} more rows do not balance)" if rows > 1 else ""
