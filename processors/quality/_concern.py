# SPDX-License-Identifier: EUPL-1.2
"""Picks for each check the rows of the series that concern it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lamppost.batch import Int64Array
from lamppost.component import Check, Rows
from lamppost.grouping import BoolArray
from lamppost.series import SeriesTable

Where = Int64Array | slice


class Concern:
    """Which checks each series concerns.

    Series that concern the same checks are of one kind. Kinds are few, so one look at a batch tells
    which checks have nothing to do, and which have to do with all of it.
    """

    def __init__(self, checks: Sequence[Check], series: SeriesTable) -> None:
        """Take the checks; series may come at any time."""
        self._checks = checks
        self._series = series
        self._kinds: dict[tuple[bool, ...], int] = {}
        self._kind: npt.NDArray[np.intp] = np.empty(0, np.intp)
        self._concerned: BoolArray = np.empty((len(checks), 0), np.bool_)

    def parts(self, rows: Rows, where: Where) -> Parts:
        """Return rows ready to be picked from; ``where`` they stand in the batch goes along."""
        self._grow()
        return Parts(rows, where, self._kind.take(rows.groups.series), self._concerned)

    def _grow(self) -> None:
        known = len(self._kind)
        if known == len(self._series):
            return
        added = [
            self._kinds.setdefault(
                tuple(check.concerns(self._series[code]) for check in self._checks),
                len(self._kinds),
            )
            for code in range(known, len(self._series))
        ]
        self._kind = np.append(self._kind, np.array(added, np.intp))
        self._concerned = np.array(list(self._kinds), np.bool_).T


class Parts:
    """The rows of one batch, picked by check; checks that want the same rows share them."""

    def __init__(
        self, rows: Rows, where: Where, kind: npt.NDArray[np.intp], concerned: BoolArray
    ) -> None:
        """Take the rows, where they stand in the batch, their kinds and whom these concern."""
        self._rows = rows
        self._where = where
        self._kind = kind
        self._present = np.bincount(kind, minlength=concerned.shape[1]) > 0
        self._wanted = concerned & self._present
        self._picked: dict[bytes, tuple[Rows, Where]] = {}

    def of(self, check: int) -> tuple[Rows, Where] | None:
        """Return the rows that concern a check, and where they stand; None when there are none."""
        wanted = self._wanted[check]
        if not wanted.any():
            return None
        if (wanted == self._present).all():
            return self._rows, self._where
        key = wanted.tobytes()
        if key not in self._picked:
            mine: Int64Array = np.flatnonzero(wanted.take(self._kind))
            within = self._where
            self._picked[key] = (
                self._rows.take(mine),
                mine if isinstance(within, slice) else within.take(mine),
            )
        return self._picked[key]
