# SPDX-License-Identifier: EUPL-1.2
"""Rows of the ledger as columns, and their published form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lamppost.balance import OUTCOMES

COLUMNS: Final = ("received", *OUTCOMES)

IntArray = npt.NDArray[np.int64]


class Names:
    """Names with a number each, in order of appearance."""

    def __init__(self) -> None:
        """Start without names."""
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._ranks = np.empty(0, np.int64)
        self._texts = pa.array([], pa.string())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._names)

    def __contains__(self, name: str) -> bool:
        """Tell whether a name has a number."""
        return name in self._numbers

    def __getitem__(self, number: int) -> str:
        """Return the name of a number."""
        return self._names[number]

    def number(self, name: str) -> int:
        """Return the number of a name, a new one of a new name."""
        number = self._numbers.setdefault(name, len(self._names))
        if number == len(self._names):
            self._names.append(name)
        return number

    def ranks(self) -> IntArray:
        """Return the place of each name in alphabetical order."""
        if len(self._ranks) < len(self._names):
            order = sorted(range(len(self._names)), key=self._names.__getitem__)
            self._ranks = np.empty(len(order), np.int64)
            self._ranks[order] = np.arange(len(order))
        return self._ranks

    def texts(self) -> pa.Array[Any]:
        """Return each name as JSON text."""
        known = len(self._texts)
        if known < len(self._names):
            added = [json.dumps(name, ensure_ascii=False) for name in self._names[known:]]
            # A name that is no proper Unicode cannot stand in the text; its escapes can.
            added = [text if _is_proper(text) else json.dumps(json.loads(text)) for text in added]
            self._texts = pa.concat_arrays([self._texts, pa.array(added, pa.string())])
        return self._texts


def _is_proper(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class LedgerRows:
    """Some rows: for each its source, sensor, hour and counts, shape (rows, columns)."""

    sources: Names
    sensors: Names
    source: IntArray
    sensor: IntArray
    hour: IntArray
    counts: IntArray

    @classmethod
    def empty(cls, sources: Names, sensors: Names) -> Self:
        """Return no rows."""
        nothing = np.empty(0, np.int64)
        counts = np.empty((0, len(COLUMNS)), np.int64)
        return cls(sources, sensors, nothing, nothing, nothing, counts)

    @classmethod
    def of_lists(cls, rows: Sequence[Sequence[Any]]) -> Self:
        """Undo :meth:`as_lists`."""
        sources, sensors = Names(), Names()
        numbers = np.array([row[2:] for row in rows], np.int64).reshape(-1, 1 + len(COLUMNS))
        return cls(
            sources,
            sensors,
            np.array([sources.number(row[0]) for row in rows], np.int64),
            np.array([sensors.number(row[1]) for row in rows], np.int64),
            numbers[:, 0],
            numbers[:, 1:],
        )

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.hour)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each as it is published."""
        for source, sensor, hour, *counts in self.as_lists():
            named = dict(zip(COLUMNS, counts, strict=True))
            yield {"source": source, "sensor": sensor, "hour": hour, **named}

    def source_names(self) -> list[str]:
        """Return the name of each row's source."""
        return [self.sources[number] for number in self.source.tolist()]

    def sensor_names(self) -> list[str]:
        """Return the name of each row's sensor."""
        return [self.sensors[number] for number in self.sensor.tolist()]

    def as_lists(self) -> list[list[Any]]:
        """Return source, sensor, hour and counts of each row."""
        numbers = np.column_stack([self.hour, self.counts]).tolist()
        names = zip(self.source_names(), self.sensor_names(), strict=True)
        return [[*pair, *rest] for pair, rest in zip(names, numbers, strict=True)]

    def opened(self, source: int, hour: int, sensors: IntArray) -> LedgerRows:
        """Return these rows, and one without counts for each of some sensors."""
        count = len(sensors)
        return LedgerRows(
            self.sources,
            self.sensors,
            np.append(self.source, np.full(count, source)),
            np.append(self.sensor, sensors),
            np.append(self.hour, np.full(count, hour)),
            np.concatenate([self.counts, np.zeros((count, len(COLUMNS)), np.int64)]),
        )

    def take(self, rows: npt.NDArray[Any]) -> LedgerRows:
        """Return some of them."""
        return LedgerRows(
            self.sources,
            self.sensors,
            self.source[rows],
            self.sensor[rows],
            self.hour[rows],
            self.counts[rows],
        )

    def ordered(self) -> LedgerRows:
        """Return them sorted by source, sensor and hour."""
        ranks = self.sources.ranks()[self.source], self.sensors.ranks()[self.sensor]
        return self.take(np.lexsort((self.hour, ranks[1], ranks[0])))

    def to_json(self) -> bytes:
        """Return them as a JSON list, the keys of each row in alphabetical order."""
        pieces: list[Any] = []
        constant = "{"
        for name, column in sorted(self._texts().items()):
            constant += f'"{name}":'
            if isinstance(column, str):
                constant += f"{column},"
                continue
            pieces += [constant, column]
            constant = ","
        lines = pc.binary_join_element_wise(*pieces, f"{constant.rstrip(',')}}}", "")
        listed = pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines)
        text = cast("pa.Array[Any]", pc.binary_join(listed, ",")).buffers()[-1]
        return b"[" + (text.to_pybytes() if text else b"") + b"]"

    def _texts(self) -> dict[str, pa.Array[Any] | str]:
        """Return each column as JSON text, one text for all rows where they agree."""
        texts = {name: _numbers(self.counts[:, place]) for place, name in enumerate(COLUMNS)}
        texts["hour"] = _numbers(self.hour)
        texts["sensor"] = self.sensors.texts().take(pa.array(self.sensor, pa.int64()))
        sources = self.sources.texts().take(pa.array(self.source, pa.int64()))
        texts["source"] = sources if np.ptp(self.source) else str(sources[0])
        return texts


def _numbers(column: IntArray) -> pa.Array[Any] | str:
    if not np.ptp(column):
        return str(column[0])
    return pa.array(np.ascontiguousarray(column)).cast(pa.string())
