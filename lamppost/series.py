# SPDX-License-Identifier: EUPL-1.2
"""Series: what one device measures of one quantity, and its int32 code.

Names become codes at the door, so that everything behind works on integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_SERIES_FIELDS: list[pa.Field[Any]] = [
    pa.field("series", pa.int32(), nullable=False),
    pa.field("sensor", pa.string(), nullable=False),
    pa.field("quantity", pa.string(), nullable=False),
    pa.field("qualifiers", pa.string(), nullable=False),
]
SERIES_SCHEMA = pa.schema(_SERIES_FIELDS)


class SeriesKey(NamedTuple):
    """The name of a series.

    Attributes:
        sensor: identity of the device.
        quantity: canonical quantity name.
        qualifiers: channel, lane, direction, class ... as ``key=value;key=value``, sorted by key.
    """

    sensor: str
    quantity: str
    qualifiers: str = ""


def qualifiers_text(qualifiers: Mapping[str, str]) -> str:
    """Return the one spelling of a set of qualifiers.

    >>> qualifiers_text({"lane": "2", "class": "car"})
    'class=car;lane=2'
    """
    return ";".join(f"{key}={value}" for key, value in sorted(qualifiers.items()))


def qualifiers_mapping(text: str) -> dict[str, str]:
    """Undo :func:`qualifiers_text`."""
    return dict(part.split("=", 1) for part in text.split(";") if "=" in part)


class SeriesTable:
    """Numbers the series in order of first appearance; codes are never reused.

    The order of appearance is that of the inbox, so a replay gives the same codes.
    """

    def __init__(self, keys: Iterable[SeriesKey] = ()) -> None:
        """Start with keys already numbered, or empty."""
        self._keys: list[SeriesKey] = []
        self._codes: dict[SeriesKey, int] = {}
        self._quantities: dict[str, int] = {}
        self._quantity_of: list[int] = []
        for key in keys:
            self.code(key)

    def __len__(self) -> int:
        """Return how many series are known."""
        return len(self._keys)

    def __iter__(self) -> Iterator[SeriesKey]:
        """Iterate the keys in order of their codes."""
        return iter(self._keys)

    def __getitem__(self, code: int) -> SeriesKey:
        """Return the key of a code."""
        return self._keys[code]

    def code(self, key: SeriesKey) -> int:
        """Return the code of a key, numbering it when it is new."""
        code = self._codes.get(key)
        if code is None:
            code = len(self._keys)
            self._codes[key] = code
            self._keys.append(key)
            number = self._quantities.setdefault(key.quantity, len(self._quantities))
            self._quantity_of.append(number)
        return code

    def find(self, key: SeriesKey) -> int | None:
        """Return the code of a key, or None when it was never seen."""
        return self._codes.get(key)

    def codes_of_quantity(self, quantity: str) -> npt.NDArray[np.int32]:
        """Return the codes of every series of a quantity, ascending."""
        return np.array(
            [code for code, key in enumerate(self._keys) if key.quantity == quantity], np.int32
        )

    def by_quantity(self, start: int, number_of: Callable[[str], int]) -> npt.NDArray[np.intp]:
        """Return a number of the quantity of each series from a code on, asked once of each.

        >>> keys = [SeriesKey("a", "o3"), SeriesKey("a", "no2"), SeriesKey("b", "o3")]
        >>> series = SeriesTable(keys)
        >>> series.by_quantity(1, {"o3": 7, "no2": 8}.__getitem__)
        array([8, 7])
        """
        numbers = np.array([number_of(name) for name in self._quantities], np.intp)
        found: npt.NDArray[np.intp] = numbers[np.array(self._quantity_of[start:], np.intp)]
        return found

    def to_arrow(self, start: int = 0) -> pa.RecordBatch:
        """Return the series from a code on, in the published schema."""
        keys = self._keys[start:]
        columns: list[pa.Array[Any]] = [
            pa.array(range(start, len(self._keys)), pa.int32()),
            *(pa.array([key[field] for key in keys], pa.string()) for field in range(3)),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=SERIES_SCHEMA)

    def extend_from_arrow(self, batch: pa.RecordBatch) -> None:
        """Number the series of a published batch; codes must continue ours."""
        rows = zip(*(batch.column(field).to_pylist() for field in range(4)), strict=True)
        for code, sensor, quantity, qualifiers in rows:
            given = self.code(SeriesKey(sensor, quantity, qualifiers))
            if given != code:
                message = f"series {sensor}/{quantity} is {given} here and {code} in the batch"
                raise ValueError(message)
