# SPDX-License-Identifier: EUPL-1.2
"""A file that can be imported, and its rows part by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lamppost.errors import ConfigError

from .layouts import Layout, Wishes
from .local_times import Repeated, clock
from .rows import ArchiveRows, RowReader
from .text_blocks import Spelling, TextFile, table_of

USUAL_WINDOW: Final = "1h"
_PARQUET_ROWS: Final = 32_768
_WINDOW: Final = "window="


@dataclass(frozen=True, slots=True)
class FileWishes:
    """What the person who imports says about the files; empty where nothing was said.

    Attributes:
        layout: about their columns.
        zone: of local times.
        repeated: which hour is meant where clocks were put back.
        time_form: how times are written, for ``strptime``.
        separator, decimal: of text files.
        window: resolution of the aggregates that are wanted.
    """

    layout: Wishes = field(default_factory=Wishes)
    zone: str = ""
    repeated: Repeated = "order"
    time_form: str = ""
    separator: str = ""
    decimal: str = ""
    window: str = ""

    @property
    def resolution(self) -> str:
        """The resolution that is wanted, the usual one where nothing was said."""
        return self.window or USUAL_WINDOW


class Part(NamedTuple):
    """Some rows of a file.

    Attributes:
        said: what they say; None where the part was passed over.
        read: bytes of the file read up to here.
        ambiguous: rows so far in an hour that came twice.
    """

    said: ArchiveRows | None
    read: int
    ambiguous: int


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that can be imported.

    Attributes:
        path: where it is.
        member: which file inside it, of a zip archive.
        layout: what its columns are.
        spelling: how its cells are written; None for Parquet.
        unread: columns nobody looks into.
        first_at: instant of its first reading, ns UTC; files are read in order of it.
        newest_first: whether its rows go back in time; they are taken from the end then.
    """

    path: Path
    member: str
    layout: Layout
    spelling: Spelling | None
    unread: tuple[str, ...]
    wishes: FileWishes
    first_at: int = 0
    newest_first: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return TextFile(self.path, self.member).name

    @property
    def window(self) -> str:
        """The resolution its folder names, as those of an open-data release do; empty for none."""
        parts = [*self.path.parts, *PurePosixPath(self.member).parts]
        named = [part for part in parts if part.startswith(_WINDOW)]
        return named[-1].removeprefix(_WINDOW) if named else ""

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self.path.stat().st_size

    def parts(self, skip: int = 0) -> Iterator[Part]:
        """Yield its rows, cut always in the same places; the first ``skip`` parts are passed over.

        Raises:
            BrokenFile: it is damaged from here on.
        """
        if not self.newest_first:
            yield from self._forward(skip)
            return
        # Else nearly all of it would lie behind the horizon of its own newest row.
        turned = [_turned(part) for part in self._forward(0)][::-1]
        whole = max((part.read for part in turned), default=0)
        for number, part in enumerate(turned, start=1):
            said = None if number <= skip else part.said
            yield Part(said, whole * number // len(turned), turned[0].ambiguous)

    def _forward(self, skip: int) -> Iterator[Part]:
        wishes = self.wishes
        zone = wishes.zone or self.layout.zone
        times = clock(zone, form=wishes.time_form, repeated=wishes.repeated)
        # Which coming of an hour a row belongs to follows from those before it.
        looks_back = bool(zone) and wishes.repeated == "order"
        spelling = self.spelling
        reader = RowReader(
            self.layout,
            times,
            decimal="." if spelling is None else spelling.decimal,
            window=wishes.resolution,
            window_of_all=self.window,
            guarded=self.layout.guarded and spelling is not None,
        )
        source = self._tables if spelling is None else self._texts
        for number, part in enumerate(source(reader, 0 if looks_back else skip)):
            said = None if number < skip else part.said
            yield Part(said, part.read, times.ambiguous)

    def _texts(self, reader: RowReader, skip: int) -> Iterator[Part]:
        if self.spelling is None:
            return
        for number, block in enumerate(TextFile(self.path, self.member).blocks()):
            if number < skip:
                yield Part(None, block.read, 0)
                continue
            table, lines, ragged = table_of(block, self.spelling)
            said = reader.read(table, lines)
            said.rows += len(ragged)
            said.refused += [(row.line, "malformed", row.problem, row.text[:200]) for row in ragged]
            said.refused.sort(key=lambda row: row[0])
            yield Part(said, block.read, 0)

    def _tables(self, reader: RowReader, skip: int) -> Iterator[Part]:
        with opened_parquet(self.path) as file:
            whole, rows = self.size, max(file.metadata.num_rows, 1)
            first = 1
            for number, batch in enumerate(file.iter_batches(_PARQUET_ROWS)):
                table: Any = pa.Table.from_batches([batch])
                lines = np.arange(first, first + table.num_rows)
                first += table.num_rows
                said = None if number < skip else reader.read(table, lines)
                yield Part(said, whole * (first - 1) // rows, 0)


def _turned(part: Part) -> Part:
    """Return a part with its rows from last to first."""
    said = part.said
    if said is not None:
        said.meaning, said.time = said.meaning[::-1], said.time[::-1]
        said.value, said.line = said.value[::-1], said.line[::-1]
    return part


def opened_parquet(path: Path) -> Any:  # noqa: ANN401 - the Arrow stubs know no Parquet files
    """Open a Parquet file.

    Raises:
        ConfigError: it is none.
    """
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ConfigError(f"cannot be read as Parquet: {error}", where=str(path)) from error
