# SPDX-License-Identifier: EUPL-1.2
"""Columns as text: a handful of Arrow operations that line protocol and CSV are built from.

The only place of the sinks that calls Arrow's text kernels; their type stubs know neither mixed
arrays and literals nor dictionary look-ups, so the kernels are named as Any here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

TextColumn: TypeAlias = pa.LargeStringArray
Part: TypeAlias = TextColumn | str

_kernels: Any = pyarrow.compute
_arrow: Any = pa
_TEXT: Final = pa.large_string()


def texts(values: Iterable[str]) -> TextColumn:
    """Return texts as a column."""
    column: TextColumn = _arrow.array(list(values), _TEXT)
    return column


def pick(values: TextColumn, rows: npt.NDArray[Any]) -> TextColumn:
    """Return the texts at positions."""
    column: TextColumn = _kernels.take(values, _arrow.array(rows), boundscheck=True)
    return column


def spelled(values: npt.NDArray[Any], spell: Callable[[int], str]) -> TextColumn:
    """Spell each distinct number once and give every row its text."""
    distinct, rows = np.unique(values, return_inverse=True)
    return pick(texts(spell(int(value)) for value in distinct), rows)


def numbers(values: npt.NDArray[Any], absent: npt.NDArray[np.bool_] | None = None) -> TextColumn:
    """Return the shortest text that reads back as the same number; null where absent."""
    column: TextColumn = _kernels.cast(_arrow.array(values, mask=absent), _TEXT)
    return column


def join(*parts: Part) -> TextColumn:
    """Join texts row by row; null where a part is null."""
    columns = [_arrow.scalar(part, _TEXT) if isinstance(part, str) else part for part in parts]
    joined: TextColumn = _kernels.binary_join_element_wise(*columns, _arrow.scalar("", _TEXT))
    return joined


def or_empty(column: TextColumn) -> TextColumn:
    """Return a column with empty texts in place of nulls."""
    filled: TextColumn = _kernels.fill_null(column, _arrow.scalar("", _TEXT))
    return filled


def concatenated(columns: Iterable[TextColumn]) -> TextColumn:
    """Put columns below one another."""
    column: TextColumn = _arrow.concat_arrays([texts(()), *columns])
    return column


def ends(column: TextColumn) -> npt.NDArray[np.int64]:
    """Return where each text ends in :func:`content`, after a leading 0; shape (rows + 1,)."""
    offsets = _offsets(column)
    relative: npt.NDArray[np.int64] = offsets - offsets[0]
    return relative


def content(column: TextColumn) -> memoryview:
    """Return all texts of a column without gaps, as UTF-8, in one piece."""
    offsets = _offsets(column)
    data: Any = column.buffers()[2]
    return memoryview(data or b"")[int(offsets[0]) : int(offsets[-1])]


def _offsets(column: TextColumn) -> npt.NDArray[np.int64]:
    buffer: Any = column.buffers()[1]
    if not len(column) or buffer is None:
        return np.zeros(1, np.int64)
    offsets: npt.NDArray[np.int64] = np.frombuffer(buffer, np.int64)
    return offsets[column.offset : column.offset + len(column) + 1]
