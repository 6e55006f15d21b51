# SPDX-License-Identifier: EUPL-1.2
"""What a sink must know to turn codes back into names: series, stations and the rules in force.

The outbox says each of these once. A sink that starts behind them gets them through ``prime``, a
sink that runs along meets them in ``write``; both end here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from lamppost.component import Sink
from lamppost.frames import arrow_batch
from lamppost.log import RULES, SERIES, STATIONS, Entry
from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesTable
from lamppost.stations import Station

from .instant_texts import known_zone

NAMING_KINDS: Final = (SERIES, STATIONS, RULES)


class SeriesNames:
    """Series, stations and rules, as far as the outbox has told them.

    Attributes:
        series: every series by its code.
        stations: every registered station by its sensor.
        rules: content of the newest ``rules`` entry, empty before the first.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self.series = SeriesTable()
        self.stations: dict[str, Station] = {}
        self.rules: dict[str, Any] = {}

    def learn(self, entry: Entry) -> bool:
        """Take in an entry if it names something, and say whether it did. Twice equals once."""
        if entry.kind == SERIES:
            self.series.extend_from_arrow(arrow_batch(entry.body))
        elif entry.kind == STATIONS:
            stations = [Station.model_validate(fields) for fields in json.loads(entry.body)]
            self.stations.update((station.sensor, station) for station in stations)
        elif entry.kind == RULES:
            self.rules = json.loads(entry.body)
        return entry.kind in NAMING_KINDS

    def index_name(self, number: int) -> str:
        """Return the published name of an index, or a stand-in when no rules name it."""
        return str(self.rules.get("indices", {}).get(str(number), f"index_{number}"))

    def policy(self) -> str:
        """Return the version of the newest rules, empty before the first."""
        return str(self.rules.get("policy", ""))

    def method(self) -> str:
        """Return the version of the formulas of the statistics, empty where no rules tell it."""
        return str(self.rules.get("method", ""))

    def zone(self) -> str:
        """Return the city's time zone, UTC where no rules tell one there is."""
        return known_zone(self.rules.get("content", {}).get("time", {}).get("zone"))


class NamedSink(Sink):
    """Base of the sinks in this package: keeps a cursor with the runner and knows the names."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.names = SeriesNames()

    def prime(self, entries: Sequence[Entry]) -> None:
        """Learn what was said before the cursor.

        The runner calls this once, before the first ``write``, with every outbox entry of kinds
        ``series``, ``stations`` and ``rules`` up to and including the cursor, in order.
        """
        for entry in entries:
            self.names.learn(entry)

    def cursor(self) -> int | None:
        """Return None: the runner keeps the position."""
        return None

    def close(self) -> None:
        """Hold nothing that would have to be let go of."""


def unit_of(quantity: str) -> str:
    """Return the canonical unit of a quantity, empty when the vocabulary does not know it."""
    known = QUANTITIES.get(quantity)
    return known.unit if known else ""


def policy_of(batch: pa.RecordBatch, names: SeriesNames) -> str:
    """Return the policy version a batch was made under."""
    metadata = batch.schema.metadata or {}
    version = metadata.get(b"policy")
    return version.decode() if version else names.policy()
