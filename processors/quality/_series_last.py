# SPDX-License-Identifier: EUPL-1.2
"""State with series on the last axis, as what is walked through step by step needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, SupportsFloat

import numpy as np
import numpy.typing as npt

from lamppost.component import Rows
from lamppost.state import Snapshot

Column = npt.NDArray[Any]


class SeriesLast:
    """Arrays by name; each has a place for every series on its last axis."""

    def __init__(
        self, arrays: Mapping[str, Column], fills: Mapping[str, SupportsFloat] | None = None
    ) -> None:
        """Take empty arrays, and what new places hold; 0 where nothing is said."""
        self._arrays = dict(arrays)
        self._fills = dict(fills or {})

    def __getitem__(self, name: str) -> Column:
        """Return an array; writing into it changes the state."""
        return self._arrays[name]

    def __setitem__(self, name: str, array: Column) -> None:
        """Put another array in place of one, such as one with more room."""
        self._arrays[name] = array

    def grow(self, size: int) -> None:
        """Make room for a number of series, and for some more."""
        for name, array in self._arrays.items():
            known = array.shape[-1]
            if size > known:
                shape = (*array.shape[:-1], max(size, 2 * known))
                grown = np.full(shape, self._fills.get(name, 0), array.dtype)
                grown[..., :known] = array
                self._arrays[name] = grown

    def snapshot(self) -> Snapshot:
        """Return a copy of every array."""
        return {name: array.copy() for name, array in self._arrays.items()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the arrays of a snapshot."""
        self._arrays = {name: np.array(snapshot[name]) for name in self._arrays}


def in_blocks(rows: Rows, size: int) -> Iterator[tuple[slice, Rows]]:
    """Yield rows some at a time, and where they stand; without rows one empty block."""
    for start in range(0, max(len(rows), 1), size):
        part = slice(start, start + size)
        groups = rows.groups.take(part)
        yield part, Rows(groups, rows.time[part], rows.value[part], rows.flag[part])
