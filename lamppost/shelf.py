# SPDX-License-Identifier: EUPL-1.2
"""Where a processor lays down rows it need not have at hand: immutable, named by their content."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

RowArray = npt.NDArray[Any]


class Shelf(Protocol):
    """Takes rows and gives them back by name; the same rows have the same name."""

    def put(self, rows: RowArray) -> str:
        """Store rows so that they survive a power cut, and return their name.

        Raises:
            OSError: there is no room; nothing was stored.
        """
        ...

    def open(self, name: str) -> RowArray:
        """Return rows, read-only.

        Raises:
            StorageFailed: they are missing or damaged.
        """
        ...

    def is_given_up(self, name: str) -> bool:
        """Tell whether somebody has decided to go on without rows that were lost."""
        ...


class MemoryShelf:
    """A shelf that only lasts as long as its process: for tests and dry runs."""

    def __init__(self) -> None:
        """Start empty."""
        self._rows: dict[str, RowArray] = {}

    def put(self, rows: RowArray) -> str:
        """Keep a copy of rows."""
        # As bytes without fields: numpy copies those at once.
        kept = rows.view(np.dtype((np.void, rows.dtype.itemsize))).copy().view(rows.dtype)
        kept.flags.writeable = False
        name = content_name(kept)
        self._rows[name] = kept
        return name

    def open(self, name: str) -> RowArray:
        """Return rows."""
        return self._rows[name]

    def is_given_up(self, name: str) -> bool:
        """Nothing is ever lost here."""
        return name not in self._rows


def content_name(rows: RowArray) -> str:
    """Return the name rows have: a hash of their type and content."""
    hashed = hashlib.blake2b(repr(rows.dtype.descr).encode(), digest_size=20)
    hashed.update(np.ascontiguousarray(rows).view(np.uint8).data)
    return hashed.hexdigest()
