# SPDX-License-Identifier: EUPL-1.2
"""Questions to the store about what could not be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sinks.store_reader import Row, StoreReader

_HELD: Final = """
SELECT quarantine.entry || '-' || quarantine.position AS id, quarantine.* EXCLUDE (headers),
    octet_length(payload) AS bytes, coalesce(decided.state, 'waiting') AS state,
    decided."at" AS changed_at
FROM quarantine LEFT JOIN quarantine_states AS decided
    ON decided.message = quarantine.entry AND decided.row = quarantine.position
"""


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
    """Which messages; empty means all.

    Attributes:
        station: sensor identity, as far as it could be read.
        code: reason.
        state: waiting, replayed or dropped.
    """

    station: str = ""
    code: str = ""
    state: str = ""


def held_of_sensor(reader: StoreReader, sensor: str, limit: int) -> list[Row]:
    """Return the newest messages of a sensor that could not be used."""
    return reader.rows(
        f"{_HELD} WHERE sensor = ? ORDER BY received_at DESC, quarantine.entry DESC, position"
        " LIMIT ?",
        [sensor, limit],
    )


def quarantine_page(
    reader: StoreReader,
    chosen: QuarantineFilter,
    *,
    between: tuple[int, int],
    after: tuple[int, int, int],
    limit: int,
) -> list[Row]:
    """Return messages received in a half-open range, by receipt, entry and row."""
    return reader.rows(
        f"SELECT * FROM ({_HELD}) WHERE ($station = '' OR sensor = $station)"  # noqa: S608 - fixed text
        " AND ($code = '' OR code = $code) AND ($state = '' OR state = $state)"
        " AND received_at >= $first AND received_at < $last"
        " AND (received_at, entry, position) > ($received, $entry, $position)"
        " ORDER BY received_at, entry, position LIMIT $limit",
        {
            "station": chosen.station,
            "code": chosen.code,
            "state": chosen.state,
            "first": between[0],
            "last": between[1],
            "received": after[0],
            "entry": after[1],
            "position": after[2],
            "limit": limit,
        },
    )
