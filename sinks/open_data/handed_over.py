# SPDX-License-Identifier: EUPL-1.2
"""Tables that another process works out and leaves for the release.

A file is called after its table and its year (``compliance-2026.parquet``) and is put in place
whole. What is wrong with one is told and costs only itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from lamppost import events

from .fields import TABLES
from .files import replace_if_changed
from .schema import Table
from .text import csv_bytes, parquet_bytes

FOLDER: Final = "hand-over"
_NAME: Final = re.compile(r"([a-z_]+)-(\d{4})\.parquet")
_TABLES_BY_NAME: Final = {table.name: table for table in TABLES}
# Typed loosely: the stubs of these modules are incomplete.
_kernels: Any = pyarrow.compute
_parquet: Any = pyarrow.parquet


def hand_over(folder: Path, table: Table, year: int, rows: pa.Table) -> None:
    """Leave a year of a table, in the order of its key, for the release."""
    made = rows.select([field.name for field in table.fields]).cast(table.arrow_schema())
    for place, field in enumerate(table.fields):
        if field.empty_is_a_value:  # a text that is not there is empty, never null
            filled = _kernels.fill_null(made.column(field.name), "")
            made = made.set_column(place, made.schema.field(place), filled)
    replace_if_changed(folder / f"{table.name}-{year}.parquet", parquet_bytes(made))


class HandedOver:
    """Finds what was left, once for each change."""

    def __init__(self, folder: Path | None) -> None:
        """Look into a folder, or nowhere."""
        self._folder = folder
        self._seen: dict[str, tuple[int, int]] = {}

    def changed(self) -> Iterator[tuple[str, bytes]]:
        """Yield the files of what is new: where each goes in the release, and its content."""
        if self._folder is None or not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir()):
            named = _NAME.fullmatch(path.name)
            table = _TABLES_BY_NAME.get(named[1]) if named else None
            if named is None or table is None or not self._is_new(path):
                continue
            try:
                rows = _parquet.ParquetFile(path).read().cast(table.arrow_schema())
                made = {".csv": csv_bytes(rows), ".parquet": parquet_bytes(rows)}
            except (pa.ArrowException, ValueError) as error:
                events.warning("handed_over_unreadable", file=path, problem=error)
            else:
                for suffix, data in made.items():
                    yield f"{table.name}/year={named[2]}/{table.name}{suffix}", data

    def forget(self) -> None:
        """Take everything in again."""
        self._seen.clear()

    def _is_new(self, path: Path) -> bool:
        facts = path.stat()
        known = facts.st_mtime_ns, facts.st_size
        if self._seen.get(path.name) == known:
            return False
        self._seen[path.name] = known
        return True
