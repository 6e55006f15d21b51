# SPDX-License-Identifier: EUPL-1.2
"""Text files, packed or not, as blocks of whole lines."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pv

from lamppost.errors import ConfigError

BLOCK_BYTES: Final = 1 << 20
_MOST_LINE_BYTES: Final = 1 << 24
_SEPARATORS: Final = (",", ";", "\t", "|")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?\d+,\d+")
_BROKEN: Final = (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile)


class BrokenFile(ConfigError):
    """A file ends, or turns into something else, in the middle; what came before is good."""


class Spelling(NamedTuple):
    """How the cells of a text file are written.

    Attributes:
        header: names of the columns.
        separator: what stands between cells.
        decimal: what stands before decimals.
        encoding: of its bytes.
    """

    header: tuple[str, ...]
    separator: str
    decimal: str
    encoding: str


class Block(NamedTuple):
    """Whole lines of a file.

    Attributes:
        first_line: number of the first of them; the header is line 1.
        data: their bytes.
        read: bytes of the file, as it lies on the disk, read up to here.
    """

    first_line: int
    data: bytes
    read: int


@dataclass(frozen=True, slots=True)
class RaggedRow:
    """A line with too few or too many cells."""

    line: int
    problem: str
    text: str


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text file, or one inside a zip archive (``member``)."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.path.name}!{self.member}" if self.member else self.path.name

    def spelling(self, separator: str = "", decimal: str = "") -> Spelling:
        """Return how it is written, from its beginning; what is said counts.

        Raises:
            ConfigError: it cannot be read, or is no table of text.
        """
        with self._opened() as (text, _), _readable(str(self.path)):
            head = text.read(65_536)
        if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head:
            hint = "save it as UTF-8; Parquet files end in .parquet"
            raise ConfigError("this is no text in UTF-8", where=self.name, hint=hint)
        encoding = _encoding(head)
        lines = head.decode(encoding, errors="replace").removeprefix("\ufeff").splitlines()
        if not lines:
            raise ConfigError("the file is empty", where=self.name)
        found = separator or max(_SEPARATORS, key=lines[0].count)
        header = tuple(cell.strip() for cell in _cells(lines[0], found))
        comma = found != "," and any(
            _DECIMAL_COMMA.fullmatch(cell.strip('" '))
            for line in lines[1:20]
            for cell in line.split(found)
        )
        return Spelling(header, found, decimal or ("," if comma else "."), encoding)

    def blocks(self) -> Iterator[Block]:
        """Yield its lines but the header, cut always in the same places.

        Raises:
            BrokenFile: the packed file is damaged from here on.
        """
        with self._opened() as (text, raw), _readable(self.name):
            held = b""
            line = 1
            while True:
                fresh = text.read(BLOCK_BYTES)
                held += fresh
                end = held.rfind(b"\n") + 1 if fresh else len(held)
                if not end and fresh and len(held) < _MOST_LINE_BYTES:
                    continue
                if not end and fresh:
                    problem = f"line {line} has more than {_MOST_LINE_BYTES} bytes"
                    raise BrokenFile(problem, where=self.name)
                data, held = held[:end], held[end:]
                if line == 1 and data:
                    _, _, data = data.partition(b"\n")
                    line = 2
                if data:
                    yield Block(line, data, raw.tell())
                line += data.count(b"\n")
                if not fresh:
                    return

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """Open the text, and the file it comes out of."""
        with self.path.open("rb") as raw, contextlib.ExitStack() as opened:
            text: Any = raw
            if self.path.suffix.lower() == ".zip":
                with _readable(self.name):
                    archive = opened.enter_context(zipfile.ZipFile(raw))
                    text = opened.enter_context(archive.open(self.member))
            elif self.path.suffix.lower() == ".gz":
                text = opened.enter_context(gzip.GzipFile(fileobj=raw, mode="rb"))
            yield text, raw


def members(path: Path) -> list[str]:
    """Return the tables in a zip archive, sorted.

    Raises:
        ConfigError: it is none, or holds none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise ConfigError(f"cannot be unpacked: {error}", where=str(path)) from error
    found = sorted(name for name in names if name.lower().endswith((".csv", ".txt", ".tsv")))
    if not found:
        raise ConfigError("there is no CSV file in it", where=str(path))
    return found


def table_of(
    block: Block, spelling: Spelling
) -> tuple[Any, npt.NDArray[np.int64], list[RaggedRow]]:
    """Return the cells of a block as texts, the line of each row, and the lines that are no rows.

    An empty line is a row of empty cells.
    """
    ragged: list[RaggedRow] = []
    gone: list[int] = []
    wanted = len(spelling.header)

    def look(row: Any) -> str:  # noqa: ANN401 - the Arrow stubs know no rows
        gone.append(row.number - 1)
        problem = f"{row.actual_columns} cells, the header has {wanted}"
        ragged.append(RaggedRow(block.first_line + row.number - 1, problem, row.text))
        return "skip"

    data = block.data
    if spelling.encoding != "utf-8":
        data = data.decode(spelling.encoding, errors="replace").encode()
    elif not _is_utf8(data):
        data = data.decode(errors="replace").encode()
    table = _read(data, spelling, look)
    lines = block.first_line + np.delete(np.arange(table.num_rows + len(gone)), gone)
    return table, lines, ragged


def _read(data: bytes, spelling: Spelling, look: Any) -> Any:  # noqa: ANN401 - as the stubs
    names = list(spelling.header)
    return pv.read_csv(
        io.BytesIO(data),
        read_options=pv.ReadOptions(
            use_threads=False, column_names=names, block_size=max(len(data), 1) + 64
        ),
        parse_options=pv.ParseOptions(
            delimiter=spelling.separator, invalid_row_handler=look, ignore_empty_lines=False
        ),
        convert_options=pv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _encoding(head: bytes) -> str:
    """Return UTF-8, unless the beginning is not: then what spreadsheets of old wrote."""
    cut = head.rfind(b"\n") + 1 or len(head)
    return "utf-8" if _is_utf8(head[:cut]) else "cp1252"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@contextlib.contextmanager
def _readable(where: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise BrokenFile(f"cannot be unpacked from here on: {error}", where=where) from error
