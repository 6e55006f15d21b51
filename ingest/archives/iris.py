# SPDX-License-Identifier: EUPL-1.2
"""Days of detectors as IRIS keeps them: binned samples and logs of single vehicles.

IRIS is the traffic management system of the Minnesota department of transportation. A day is a
folder named by its date, or a ``.traffic`` archive (zip) of the same name. The files in it are
called by detector and kind: ``100.v30`` has the vehicles of each 30 s from local midnight on.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lamppost.decoded import Measurement
from lamppost.errors import ConfigError

from .archive import Archive, FileWishes, Part
from .layouts import Layout, Measured
from .local_times import PROBLEMS, READ, Clock, clock
from .rows import ArchiveRows, RefusedRow
from .vehicle_log import BIN_S, VehicleLog, bins_of, lengths_of, read_log

_ENDING: Final = ".traffic"
_DAY: Final = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_BINNED: Final = re.compile(r"(?P<detector>.+)\.(?P<code>[a-z]{1,3})(?P<period>[1-9]\d{0,4})")
_VEHICLES: Final = re.compile(r"(?P<detector>.+)\.vlog")
_DAY_S: Final = 86_400
_MOST_LOG_BYTES: Final = 1 << 26
_BROKEN: Final = (EOFError, OSError, zlib.error, zipfile.BadZipFile, NotImplementedError)


class Kind(NamedTuple):
    """What a kind of binned file holds: a signed integer each bin, big end first, below 0 none.

    Attributes:
        dtype: of the integers.
        measured: what they are.
        full: number that stands for 100 in a bin of 30 s; 100 where numbers are as they are.
        by_length: whether that number grows with the bin.
        class_name: of the vehicles counted, where it is not all of them.
    """

    dtype: str
    measured: Measured
    full: float = 100.0
    by_length: bool = False
    class_name: str = ""


_COUNT: Final = Measured("vehicle_count")
_KINDS: Final = {
    "v": Kind("i1", _COUNT),
    "vmc": Kind("i1", _COUNT, class_name="motorcycle"),
    "vs": Kind("i1", _COUNT, class_name="short"),
    "vm": Kind("i1", _COUNT, class_name="medium"),
    "vl": Kind("i1", _COUNT, class_name="long"),
    "op": Kind(">i2", Measured("occupancy"), full=10_000.0),
    "o": Kind(">i2", Measured("occupancy"), full=1_000.0),
    # Scans are sixtieths of a second.
    "c": Kind(">i2", Measured("occupancy"), full=1_800.0, by_length=True),
    "s": Kind("i1", Measured("speed", "mph")),
}
_LAYOUT: Final = Layout("iris", (), columns={name: kind.measured for name, kind in _KINDS.items()})


class _Found(NamedTuple):
    """Readings of one file; times are local, in microseconds since 1970."""

    meaning: Measurement
    wall_us: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    line: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class IrisDay(Archive):
    """A day of detectors; each part is one of them.

    Attributes:
        files: names of its files, inside the archive or folder.
        day_us: local midnight, microseconds since 1970.
    """

    files: tuple[str, ...]
    day_us: int

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.path.name

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        if self.path.is_file():
            return self.path.stat().st_size
        return sum((self.path / name).stat().st_size for name in self.files)

    def parts(self, skip: int = 0) -> Iterator[Part]:
        """Yield detector by detector; the first ``skip`` are passed over."""
        wishes = self.wishes
        template = wishes.layout.sensor or "iris-{id}"
        ambiguous = 0
        detectors = [list(names) for _, names in groupby(self.files, _detector)]
        for number, names in enumerate(detectors, start=1):
            said = None
            if number > skip:
                sensor = template.replace("{id}", _detector(names[0]))
                # Which coming of an hour is meant, each detector shows by itself.
                times = clock(wishes.zone, repeated=wishes.repeated)
                said = self._said(sensor, names, times)
                ambiguous += times.ambiguous
            yield Part(said, self.size * number // len(detectors), ambiguous)

    def _said(self, sensor: str, names: Sequence[str], times: Clock) -> ArchiveRows:
        """Return what a detector's files say, instant by instant."""
        said, found = ArchiveRows(), list[_Found]()
        for name in names:
            try:
                body = self._body(name)
            except _BROKEN as error:
                said.refused.append((0, "malformed", f"{name} cannot be unpacked: {error}", ""))
                continue
            found += self._read(name, sensor, body, said)
        _put(said, found, times)
        said.refused.sort(key=lambda row: row[0])
        return said

    def _body(self, name: str) -> bytes:
        if not self.path.is_file():
            return (self.path / name).read_bytes()
        with zipfile.ZipFile(self.path) as archive:
            if archive.getinfo(name).file_size > _MOST_LOG_BYTES:
                raise zipfile.BadZipFile(f"more than {_MOST_LOG_BYTES} bytes")
            return archive.read(name)

    def _read(self, name: str, sensor: str, body: bytes, said: ArchiveRows) -> Iterator[_Found]:
        binned = _BINNED.fullmatch(PurePosixPath(name).name)
        if binned is None:
            log = read_log(body.decode("ascii", errors="replace"))
            said.rows += body.count(b"\n")
            said.refused += [(bad.line, "malformed", bad.problem, bad.text) for bad in log.bad]
            yield from _vehicles(log, sensor, self.day_us)
            return
        kind, bin_s = _KINDS[binned["code"]], min(int(binned["period"]), BIN_S)
        width = np.dtype(kind.dtype).itemsize
        if len(body) > _DAY_S // bin_s * width or len(body) % width:
            problem = f"{name} has {len(body)} bytes, not {_DAY_S // bin_s * width}"
            said.refused.append((0, "malformed", problem, ""))
            return
        number = np.frombuffer(body, kind.dtype).astype(np.float64)
        said.rows += len(number)
        there = np.flatnonzero(number >= 0)
        said.empty += len(number) - len(there)
        full = kind.full * bin_s / BIN_S if kind.by_length else kind.full
        qualifiers = f"class={kind.class_name}" if kind.class_name else ""
        meaning = Measurement(sensor, kind.measured.quantity, qualifiers, kind.measured.unit)
        value = number[there] * (100.0 / full)
        yield _Found(meaning, self.day_us + there * bin_s * 1_000_000, value, there + 1)


def takes(path: Path) -> bool:
    """Return whether a file is one of IRIS, by its name."""
    if path.suffix.lower() == _ENDING or _VEHICLES.fullmatch(path.name):
        return True
    return _is_known(path.name) and _DAY.fullmatch(path.parent.name) is not None


def days(paths: Sequence[Path], wishes: FileWishes) -> list[Archive]:
    """Return the days some files of IRIS are of.

    Raises:
        ConfigError: nothing tells the day of one, or it cannot be unpacked.
    """
    packed = [_packed(path, wishes) for path in paths if path.suffix.lower() == _ENDING]
    loose = sorted(path for path in paths if path.suffix.lower() != _ENDING)
    folders = [
        _day(folder, [path.name for path in files], wishes)
        for folder, files in groupby(loose, lambda path: path.parent)
    ]
    return [*packed, *folders]


def _packed(path: Path, wishes: FileWishes) -> Archive:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [one for one in archive.namelist() if not one.endswith("/")]
    except (zipfile.BadZipFile, OSError) as error:
        raise ConfigError(f"cannot be unpacked: {error}", where=str(path)) from error
    found = _day(path, names, wishes)
    if not found.files:
        raise ConfigError("there are no samples of detectors in it", where=str(path))
    return found


def _day(path: Path, names: Sequence[str], wishes: FileWishes) -> IrisDay:
    stem = path.stem if path.suffix.lower() == _ENDING else path.name
    try:
        midnight = datetime.strptime(stem, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError as error:
        problem = f"nothing tells the day of {names[0]!r}" if names else "its name is no day"
        hint = "such files lie in a folder or archive named by the day, as 20261121"
        raise ConfigError(problem, where=str(path), hint=hint) from error
    if not wishes.zone:
        problem = "IRIS keeps local times, and nothing names their zone"
        hint = "say which with --zone, such as --zone America/Chicago"
        raise ConfigError(problem, where=str(path), hint=hint)
    day_us = int(midnight.timestamp()) * 1_000_000
    first_at, _ = clock(wishes.zone).place(
        np.array([day_us]), np.zeros(1, np.bool_), np.zeros(1, np.int64)
    )
    known = sorted((one for one in names if _is_known(one)), key=lambda one: (_detector(one), one))
    others = sorted({PurePosixPath(one).suffix or one for one in names if not _is_known(one)})
    return IrisDay(
        path=path,
        # A chosen few of a folder are another import than all of it.
        member="" if path.is_file() else ",".join(known),
        layout=replace(_LAYOUT, template=wishes.layout.sensor or "iris-{id}"),
        spelling=None,
        unread=tuple(others),
        wishes=wishes,
        files=tuple(known),
        day_us=day_us,
        first_at=int(first_at[0]),
    )


def _is_known(name: str) -> bool:
    file = PurePosixPath(name).name
    binned = _BINNED.fullmatch(file)
    if binned is None:
        return _VEHICLES.fullmatch(file) is not None
    period = int(binned["period"])
    return binned["code"] in _KINDS and _DAY_S % period == 0 and _DAY_S % min(period, BIN_S) == 0


def _detector(name: str) -> str:
    return PurePosixPath(name).name.rpartition(".")[0]


def _vehicles(log: VehicleLog, sensor: str, day_us: int) -> Iterator[_Found]:
    """Yield counts, occupancies, speeds and headways of bins, and lengths of single vehicles."""
    for stretch in log.stretches:
        bins = bins_of(stretch)
        start = day_us + bins.start_ms * 1000
        for quantity, unit, value in (
            ("vehicle_count", None, bins.vehicles),
            ("occupancy", None, bins.occupancy),
            ("speed", "mph", bins.speed_mph),
            ("headway", None, bins.headway_s),
        ):
            there = np.flatnonzero(~np.isnan(value))
            meaning = Measurement(sensor, quantity, "", unit)
            yield _Found(meaning, start[there], value[there], bins.line[there])
        line, at_ms, feet = np.array(list(lengths_of(stretch)), np.int64).reshape(-1, 3).T
        meaning = Measurement(sensor, "vehicle_length", "", "ft")
        yield _Found(meaning, day_us + at_ms * 1000, feet.astype(np.float64), line)


def _put(said: ArchiveRows, found: Sequence[_Found], times: Clock) -> None:
    """Give readings their instants, and put them in order of these."""
    found = [one for one in found if len(one.value)]
    if not found:
        return
    said.meanings = list(dict.fromkeys(one.meaning for one in found))
    number = {meaning: place for place, meaning in enumerate(said.meanings)}
    meaning = np.concatenate([np.full(len(one.value), number[one.meaning]) for one in found])
    wall_us, value, line = (
        np.concatenate([getattr(one, name) for one in found])
        for name in ("wall_us", "value", "line")
    )
    instants, status = times.place(wall_us, np.zeros(len(wall_us), np.bool_), meaning)
    refused = np.flatnonzero(status != READ)
    said.refused += [_refusal(said, meaning, line, status, row) for row in refused.tolist()]
    kept = np.flatnonzero(status == READ)
    kept = kept[np.lexsort((meaning[kept], instants[kept]))]
    said.meaning, said.time = meaning[kept], instants[kept]
    said.value, said.line = value[kept], line[kept]


def _refusal(
    said: ArchiveRows,
    meaning: npt.NDArray[np.int64],
    line: npt.NDArray[np.int64],
    status: npt.NDArray[np.uint8],
    row: int,
) -> RefusedRow:
    one = said.meanings[int(meaning[row])]
    problem = PROBLEMS[int(status[row])]
    return int(line[row]), "time_implausible", problem, f"{one.sensor} {one.quantity}"
