# SPDX-License-Identifier: EUPL-1.2
"""Years of hourly means as outbox entries, for everything that holds them against limits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lamppost import log
from lamppost.batch import AggregateBatch
from lamppost.flags import GOOD, KERNEL_REASONS
from lamppost.frames import arrow_bytes
from lamppost.log import Entry
from lamppost.policy import Policy, load_policy
from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import HOUR_NS
from tests.unit.portal.seeded_city import columns_body

POLICY = load_policy(Path(__file__).parents[3] / "policy")


def rules_entry(seq: int, policy: Policy = POLICY) -> Entry:
    """Return the entry with which a policy takes effect."""
    document = {
        "policy": policy.version,
        "content": policy.model_dump(mode="json"),
        "reasons": [
            {"bit": r.bit, "name": r.name, "sentence": r.sentence, "citation": r.citation}
            for r in KERNEL_REASONS
        ],
        "indices": {"1": "us_aqi"},
        "quantities": {
            name: {"unit": q.unit, "label": q.label, "kind": q.kind}
            for name, q in QUANTITIES.items()
        },
        "method": "1",
    }
    return Entry(seq, log.RULES, 0, json.dumps(document).encode())


def stations_entry(seq: int, stations: Sequence[Station]) -> Entry:
    """Return the entry that registers stations."""
    return Entry(seq, log.STATIONS, 0, json.dumps([s.model_dump() for s in stations]).encode())


def series_entry(seq: int, keys: Sequence[SeriesKey], start: int = 0) -> Entry:
    """Return the entry that numbers series."""
    return Entry(seq, log.SERIES, 0, arrow_bytes(SeriesTable(keys).to_arrow(start)))


def hours_entry(
    seq: int, means: Mapping[int, np.ndarray], begin: int, *, revision: int = 0,
    coverage: float = 1.0, length: int = HOUR_NS,
) -> Entry:  # fmt: skip
    """Return hourly means of some series from an instant on; NaN leaves an hour out."""
    parts = []
    for series, given in means.items():
        kept = np.flatnonzero(~np.isnan(given))
        size = len(kept)
        mean = np.asarray(given, np.float64)[kept]
        parts.append(
            AggregateBatch(
                series=np.full(size, series, np.int32),
                start=begin + kept * length,
                length=np.full(size, length),
                calendar=np.zeros(size, np.uint8),
                revision=np.full(size, revision, np.int32),
                count=np.full(size, 60),
                expected=np.full(size, 60.0),
                coverage=np.full(size, coverage),
                mean=mean,
                min=mean,
                max=mean,
                sd=np.zeros(size),
                total=mean * 60,
                suspect=np.zeros(size, np.int64),
                excluded=np.zeros(size, np.int64),
                flag=np.full(size, GOOD, np.uint8),
            )
        )
    body = columns_body(AggregateBatch.concat(parts).to_arrow(), POLICY.version)
    return Entry(seq, log.AGGREGATES, 0, body)
