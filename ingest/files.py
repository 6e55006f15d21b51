# SPDX-License-Identifier: EUPL-1.2
"""Files of readings as a source: which there are, what is in them, and their rows part by part."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lamppost.errors import ConfigError
from lamppost.times import HOUR_NS

from .archives.layouts import Layout, Wishes, layout_of, unread
from .archives.local_times import NO_ZONE, PROBLEMS, UNCLEAR, Repeated, clock
from .archives.rows import ArchiveRows, RowReader
from .archives.text_blocks import BrokenFile, Spelling, TextFile, members, table_of

__all__ = ["Archive", "BrokenFile", "FileWishes", "Part", "Wishes", "archives"]

_ENDINGS: Final = (".csv", ".tsv", ".txt", ".parquet", ".csv.gz", ".tsv.gz", ".txt.gz", ".zip")
_PARQUET_ROWS: Final = 32_768
_MOSTLY: Final = 0.9  # of the rows go back in time, in a file that has the newest first
_TOO_FEW: Final = 10  # bad rows to say that all of a file is misunderstood
_TO_BE_SAID: Final = {
    PROBLEMS[NO_ZONE]: "say which with --zone, such as --zone Europe/Berlin or --zone UTC",
    PROBLEMS[UNCLEAR]: "such as --time-format '%d/%m/%Y %H:%M:%S'",
}


@dataclass(frozen=True, slots=True)
class FileWishes:
    """What the person who imports says about the files; empty where nothing was said.

    Attributes:
        layout: about their columns.
        zone: of local times.
        repeated: which hour is meant where clocks were put back.
        time_form: how times are written, for ``strptime``.
        separator, decimal: of text files.
        window_ns: the window whose aggregates are wanted, of open data.
    """

    layout: Wishes = field(default_factory=Wishes)
    zone: str = ""
    repeated: Repeated = "order"
    time_form: str = ""
    separator: str = ""
    decimal: str = ""
    window_ns: int = HOUR_NS


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
        decimal = "." if self.spelling is None else self.spelling.decimal
        reader = RowReader(self.layout, times, decimal=decimal, window_ns=wishes.window_ns)
        source = self._tables if self.spelling is None else self._texts
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
        with _parquet(self.path) as file:
            whole, rows = self.size, max(file.metadata.num_rows, 1)
            first = 1
            for number, batch in enumerate(file.iter_batches(_PARQUET_ROWS)):
                table: Any = pa.Table.from_batches([batch])
                lines = np.arange(first, first + table.num_rows)
                first += table.num_rows
                said = None if number < skip else reader.read(table, lines)
                yield Part(said, whole * (first - 1) // rows, 0)


def archives(named: Sequence[str], wishes: FileWishes) -> list[Archive]:
    """Return the files that are meant, in the order of their first rows.

    Args:
        named: files, folders or patterns.
        wishes: what is known about them.

    Raises:
        ConfigError: there is none, or one of them cannot be imported as it is.
    """
    found = [
        _recognised(path, member, wishes)
        for path in _paths(named)
        for member in (members(path) if path.suffix.lower() == ".zip" else [""])
    ]
    return sorted(found, key=lambda archive: (archive.first_at, archive.name))


def _paths(named: Sequence[str]) -> list[Path]:
    found: dict[Path, None] = {}
    for name in named:
        path = Path(name)
        if path.is_dir():
            inside = [one for one in sorted(path.rglob("*")) if _is_table(one)]
            if not inside:
                hint = f"known endings: {' '.join(_ENDINGS)}"
                raise ConfigError("there is no file to import in it", where=name, hint=hint)
        elif path.is_file():
            inside = [path]
        else:
            inside = [Path(one) for one in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207 - the pattern may be absolute
            inside = [one for one in inside if one.is_file()]
            if not inside:
                raise ConfigError("there is no such file", where=name)
        found.update(dict.fromkeys(inside))
    return list(found)


def _is_table(path: Path) -> bool:
    return path.name.lower().endswith(_ENDINGS) and path.is_file()


def _recognised(path: Path, member: str, wishes: FileWishes) -> Archive:
    """Return a file with its layout, after a look at its first rows."""
    where = TextFile(path, member).name
    spelling = None
    if path.suffix.lower() == ".parquet":
        with _parquet(path) as file:
            header: Sequence[str] = file.schema_arrow.names
    else:
        spelling = TextFile(path, member).spelling(wishes.separator, wishes.decimal)
        header = spelling.header
    layout = layout_of(header, wishes.layout, where)
    archive = Archive(path, member, layout, spelling, tuple(unread(layout, header)), wishes)
    try:
        first = next((part.said for part in archive.parts() if part.said is not None), None)
    except BrokenFile:
        first = None
    if first is None:
        return archive
    for line, _, problem, text in first.refused:
        if problem in _TO_BE_SAID:
            raise ConfigError(
                f"line {line} holds {problem}: {text}", where=where, hint=_TO_BE_SAID[problem]
            )
    if len(first.refused) >= max(first.rows - 1, _TOO_FEW) and not len(first.time):
        line, _, problem, text = first.refused[0]
        hint = "--time-column and --time-format, --separator or --layout say how it is to be read"
        raise ConfigError(f"no row can be read: line {line}: {problem}: {text}", where=where,
                          hint=hint)  # fmt: skip
    if not len(first.time):
        return archive
    back = first.time[-1] < first.time[0] and np.mean(np.diff(first.time) <= 0) > _MOSTLY
    return replace(archive, first_at=int(first.time.min()), newest_first=bool(back))


def _turned(part: Part) -> Part:
    """Return a part with its rows from last to first."""
    said = part.said
    if said is not None:
        said.meaning, said.time = said.meaning[::-1], said.time[::-1]
        said.value, said.line = said.value[::-1], said.line[::-1]
    return part


def _parquet(path: Path) -> Any:  # noqa: ANN401 - the Arrow stubs know no Parquet files
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ConfigError(f"cannot be read as Parquet: {error}", where=str(path)) from error
