# SPDX-License-Identifier: EUPL-1.2
"""Inputs that wait for each other, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from lamppost.batch import FlagArray, FloatArray, Int32Array, Int64Array, ReasonArray
from lamppost.grouping import BoolArray
from lamppost.state import Snapshot


@dataclass(frozen=True, slots=True)
class Inputs:
    """Readings that may meet others of their road and instant, columns of one length.

    Attributes:
        series, time, received, value, flag, reasons, revision: as in a judged batch; what is no
            number is NaN, and counts are flows.
        newest: the newest receipt of its road when it came.
        made: receipt of what was derived of its road and instant by then.
    """

    series: Int32Array
    time: Int64Array
    received: Int64Array
    value: FloatArray
    flag: FlagArray
    reasons: ReasonArray
    revision: Int32Array
    newest: Int64Array
    made: Int64Array

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.series)

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Inputs:
        """Return columns, by name, in the types they are kept in."""
        return cls(**{name: np.asarray(columns[name], dtype) for name, dtype in _TYPES.items()})

    @classmethod
    def none(cls) -> Inputs:
        """Return no rows."""
        return cls.of(dict.fromkeys(_TYPES, ()))

    @classmethod
    def joined(cls, parts: Sequence[Inputs]) -> Inputs:
        """Return rows behind one another."""
        if len(parts) == 1:
            return parts[0]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in _TYPES})

    def take(self, rows: npt.NDArray[Any] | BoolArray) -> Inputs:
        """Return the rows at positions, or where a mask is True."""
        return Inputs(**{name: getattr(self, name)[rows] for name in _TYPES})

    def columns(self) -> Snapshot:
        """Return the columns by name, each a copy."""
        return {name: getattr(self, name).copy() for name in _TYPES}


_TYPES: dict[str, str] = dict(
    zip(
        (field.name for field in fields(Inputs)),
        ("i4", "i8", "i8", "f8", "u1", "u4", "i4", "i8", "i8"),
        strict=True,
    )
)
