# SPDX-License-Identifier: EUPL-1.2
"""Brings rows that an earlier version laid down into the present form, so that none is lost."""

from __future__ import annotations

from typing import Any

import numpy as np

from lamppost.times import MILLISECOND_NS

from ._rows import RowArray


def brought_up(rows: RowArray, dtype: np.dtype[Any]) -> RowArray:
    """Return rows with the fields of a type.

    Readings once carried the time they account for: that is their pace, but after a gap. States
    once counted all of it as lying between their readings, which it still is where these begin and
    end at one instant and have no pace.
    """
    if rows.dtype == dtype:
        return rows
    names, former = dtype.names or (), rows.dtype.names or ()
    cast = np.zeros(len(rows), dtype)
    for name in set(names).intersection(former):
        cast[name] = rows[name]
    if "pace" in names and "cover" in former:
        cast["pace"] = rows["cover"] // MILLISECOND_NS
    if "due" in names and "due" not in former:
        cast["due"] = rows["count"]
        cast["from_at"] = cast["until_at"] = rows["time"]
    for name in {"first", "last", "beside"}.difference(former).intersection(names):
        cast[name] = np.nan
    return cast
