# SPDX-License-Identifier: EUPL-1.2
"""The log: one ordered, durable list of entries. There is one in (inbox) and one out (outbox)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

# What an inbox entry can be: everything that can change a result.
FRAME: Final = "frame"
TICK: Final = "tick"
COMMAND: Final = "command"
POLICY: Final = "policy"
REGISTRATION: Final = "registration"
REPLAY: Final = "replay"
THROTTLED: Final = "throttled"
EXCESS: Final = "excess"
INBOX_KINDS: Final = (
    FRAME,
    TICK,
    COMMAND,
    POLICY,
    REGISTRATION,
    REPLAY,
    THROTTLED,
    EXCESS,
)

DAMAGED: Final = "damaged"
"""Read in place of an entry whose bytes no longer match their checksum; its body is empty."""

# What an outbox entry can be: everything the system says.
SERIES: Final = "series"
STATIONS: Final = "stations"
READINGS: Final = "readings"
AGGREGATES: Final = "aggregates"
INDICES: Final = "indices"
ALERTS: Final = "alerts"
QUARANTINE: Final = "quarantine"
QUARANTINE_STATES: Final = "quarantine_states"
LEDGER: Final = "ledger"
CLOCKS: Final = "clocks"
FITS: Final = "fits"
DETAILS: Final = "details"
RULES: Final = "rules"
OUTBOX_KINDS: Final = (
    SERIES,
    STATIONS,
    RULES,
    READINGS,
    AGGREGATES,
    INDICES,
    ALERTS,
    QUARANTINE,
    QUARANTINE_STATES,
    LEDGER,
    CLOCKS,
    FITS,
    DETAILS,
)


class Record(NamedTuple):
    """An entry before it has a number.

    Attributes:
        kind: one of the kinds above.
        at: instant it belongs to, ns UTC (receipt of a frame's last message, time of a tick).
        body: Arrow IPC stream for columns, UTF-8 JSON for the rest.
    """

    kind: str
    at: int
    body: bytes


class Entry(NamedTuple):
    """A record in the log, with its sequence number (from 1, without holes)."""

    seq: int
    kind: str
    at: int
    body: bytes


class Log(Protocol):
    """Append and read; one contract whatever stores it.

    Guaranteed: entries come back in order of their numbers, byte for byte; what ``append`` returned
    for is on stable storage; a reader in another process sees an entry only when it is whole.
    Not guaranteed: that an append that raised left nothing behind (it left all or nothing).
    """

    def append(self, records: Sequence[Record]) -> int:
        """Store records durably, all or none, and return the last number. May block on the disk.

        Raises:
            OSError: the storage refused; nothing was stored.
        """
        ...

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return up to ``limit`` entries with numbers above ``after``, in order.

        An entry that does not match its checksum comes back as DAMAGED under its own number, so
        that its loss can be reported exactly and harms no other.
        """
        ...

    def last(self) -> int:
        """Return the highest number, 0 when empty."""
        ...

    def trim(self, before: int) -> int:
        """Forget entries with numbers below ``before``; return how many went."""
        ...
