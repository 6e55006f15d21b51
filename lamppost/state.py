# SPDX-License-Identifier: EUPL-1.2
"""Per-series state: a struct of arrays indexed by series code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[Any]
Snapshot = dict[str, AnyArray]
"""What a component hands over to be stored: arrays by name, nothing that needs pickling."""


class SeriesState:
    """Arrays by name, one row per series, which grow as series appear.

    Growth never depends on how rows are cut into batches: a new row holds the fill value.
    """

    def __init__(self, **fills: AnyArray | np.generic) -> None:
        """Declare columns by their fill value (a numpy scalar, or an array for wider rows)."""
        self._fills = {name: np.asarray(fill) for name, fill in fills.items()}
        self._size = 0
        self._arrays = {
            name: np.empty((0, *fill.shape), fill.dtype) for name, fill in self._fills.items()
        }

    def __len__(self) -> int:
        """Return how many series have a row."""
        return self._size

    def __getitem__(self, name: str) -> AnyArray:
        """Return a column, shape (series, ...); writing into it changes the state."""
        return self._arrays[name][: self._size]

    def grow(self, size: int) -> None:
        """Make room for series codes below a number."""
        if size <= self._size:
            return
        for name, array in self._arrays.items():
            if size > len(array):
                capacity = max(size, 2 * len(array), 64)
                grown = np.empty((capacity, *array.shape[1:]), array.dtype)
                grown[: self._size] = array[: self._size]
                self._arrays[name] = grown
            self._arrays[name][self._size : size] = self._fills[name]
        self._size = size

    def snapshot(self) -> Snapshot:
        """Return a copy of every column."""
        return {name: self[name].copy() for name in self._arrays}

    def restore(self, snapshot: Mapping[str, AnyArray]) -> None:
        """Take over the columns of a snapshot."""
        sizes = {len(snapshot[name]) for name in self._fills}
        if len(sizes) != 1:
            message = f"columns of different lengths in a snapshot: {sorted(sizes)}"
            raise ValueError(message)
        self._size = sizes.pop()
        self._arrays = {
            name: np.array(snapshot[name], dtype=fill.dtype) for name, fill in self._fills.items()
        }


def nested(prefix: str, snapshot: Mapping[str, Any]) -> Snapshot:
    """Put a component's arrays under its name."""
    return {f"{prefix}/{name}": array for name, array in snapshot.items()}


def part(prefix: str, snapshot: Mapping[str, Any]) -> Snapshot:
    """Return the arrays under a name, undoing :func:`nested`."""
    start = f"{prefix}/"
    return {
        name.removeprefix(start): array
        for name, array in snapshot.items()
        if name.startswith(start)
    }
