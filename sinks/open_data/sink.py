# SPDX-License-Identifier: EUPL-1.2
"""Outbox to a folder of open data that is current, whole and self-describing at every moment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from pydantic import Field

from lamppost.component import Settings, register
from lamppost.errors import ConfigError, NotConnected
from lamppost.log import AGGREGATES, INDICES, RULES, SERIES, STATIONS, Entry
from lamppost.periods import resolution_name, resolutions
from lamppost.policy import Publication
from lamppost.times import SECOND_NS
from sinks.instant_texts import offsets_s
from sinks.series_names import NamedSink

from . import fields
from .files import replace_file, replace_if_changed
from .former import brought_up
from .handed_over import HandedOver
from .package import Package, json_bytes
from .partitions import by_folder, depth_of, in_force, merged
from .readme import dictionary, readme
from .schema import LAYOUT, Table
from .station_indices import station_index_rows
from .tables import aggregate_rows, index_rows, station_rows
from .text import csv_bytes, parquet_bytes

WINDOWS: Final = ("15min", "1h", "8h", "24h", "day", "month", "year")
"""What is published unless somebody says otherwise: minutes would be as much as all of it."""

_CURSOR: Final = ".cursor.json"
_WINDOW: Final = "window="
# Typed loosely: the Parquet module has incomplete types.
_parquet: Any = pyarrow.parquet


class OpenDataSettings(Settings):
    """Where to publish, and what.

    Attributes:
        dir: the folder; made when missing.
        windows: resolutions of the aggregates to publish.
        handed_over: folder in which other processes leave tables for the release, if any.
    """

    dir: Path = Path("open-data")
    windows: tuple[str, ...] = Field(default=WINDOWS, min_length=1)
    handed_over: Path | None = None


@register("sink")
class OpenDataSink(NamedSink):
    """Keeps a folder of CSV and Parquet files with aggregates, health indices and stations.

    The folder holds its own position in the outbox, written last: after a crash the entries since
    then are merged again, which changes nothing. A folder of an earlier layout, or of fewer windows
    than are wanted now, is gone through again from the first entry there still is; days of which
    there is none any more keep their files as they are.
    """

    name: ClassVar[str] = "open_data"
    wants: ClassVar[tuple[str, ...]] = (SERIES, STATIONS, RULES, AGGREGATES, INDICES)
    Settings: ClassVar[type[OpenDataSettings]] = OpenDataSettings

    def __init__(self, settings: OpenDataSettings) -> None:
        """Make the folder.

        Raises:
            ConfigError: it cannot be made.
        """
        super().__init__()
        self._folder = settings.dir
        self._windows = frozenset(settings.windows)
        self._package: Package | None = None
        self._handed_over = HandedOver(settings.handed_over)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = f"cannot make the open-data folder: {error.strerror}"
            raise ConfigError(problem, where=str(self._folder)) from error

    def cursor(self) -> int | None:
        """Return the position the folder has reached, 0 when it is new or lacks what is wanted."""
        try:
            said = json.loads((self._folder / _CURSOR).read_bytes())
            wanting = said["layout"] < LAYOUT or not self._windows.issubset(said["windows"])
            return 0 if wanting else int(said["cursor"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def write(self, entries: Sequence[Entry], cursor: int) -> None:
        """Merge entries into the folder and move its position to ``cursor``.

        Raises:
            NotConnected: the folder cannot be written, or a file in it cannot be read; the
                position stays.
        """
        try:
            self._write(entries)
            said = {"cursor": cursor, "layout": LAYOUT, "windows": sorted(self._windows)}
            replace_file(self._folder / _CURSOR, json_bytes(said))
        except OSError as error:
            # What was noted about files may not have reached the disk: look again next time.
            self._package = None
            self._handed_over.forget()
            raise NotConnected(f"cannot write open data to {self._folder}: {error}") from error

    def _write(self, entries: Sequence[Entry]) -> None:
        if self._package is None:
            self._package = Package(self._folder)
        package = self._package
        files = self._collect(entries, package)
        for folder, (table, parts) in sorted(files.items()):
            self._merge(package, folder, table, parts)
        for relative, data in self._handed_over.changed():
            self._publish(package, relative, data)
        stations = csv_bytes(station_rows(self.names.stations.values()))
        self._publish(package, f"{fields.STATIONS.name}.csv", stations)
        publication = self._publication()
        owners = (found.owner for found in self.names.stations.values())
        package.write(publication, owners, self.names.zone())
        text = readme(publication, self.names.policy(), self.names.zone())
        replace_if_changed(self._folder / "README.md", text.encode())
        replace_if_changed(self._folder / "data-dictionary.json", json_bytes(dictionary()))

    def _collect(
        self, entries: Sequence[Entry], package: Package
    ) -> dict[str, tuple[Table, list[pa.Table]]]:
        """Return the new rows by the folder of their file."""
        files: dict[str, tuple[Table, list[pa.Table]]] = {}
        for entry in entries:
            self.names.learn(entry)
            found: dict[str, pa.Table] = {}
            table = fields.INDICES if entry.kind == INDICES else fields.AGGREGATES
            if entry.kind == AGGREGATES:
                found = self._aggregates(entry.body, package)
            elif entry.kind == INDICES:
                found = self._indices(entry.body, package)
            for folder, rows in found.items():
                files.setdefault(folder, (table, []))[1].append(rows)
        return files

    def _aggregates(self, body: bytes, package: Package) -> dict[str, pa.Table]:
        batch, rows = aggregate_rows(body, self.names)
        found: dict[str, pa.Table] = {}
        resolution = resolutions(batch.length, batch.calendar)
        for number in np.unique(resolution):
            window = resolution_name(int(number))
            if window not in self._windows:
                continue
            chosen = np.flatnonzero(resolution == number)
            package.saw([int((batch.start + batch.length)[chosen].max())])
            instant = batch.start[chosen]
            if number < 0:  # a calendar's window has a date of the city
                # The middle has that date also where the city has changed its time zone since.
                instant = instant + batch.length[chosen] // 2
                instant = instant + offsets_s(instant, self.names.zone()) * SECOND_NS
            parts = by_folder(rows.take(chosen), instant, depth_of(int(number)))
            for folder, part in parts:
                found[f"aggregates/{_WINDOW}{window}/{folder}"] = part
        return found

    def _indices(self, body: bytes, package: Package) -> dict[str, pa.Table]:
        batch, rows = index_rows(body, self.names)
        if len(batch):
            package.saw([int(batch.end.max())])
        # A period that ends at midnight is about the day before.
        return {f"indices/{folder}": part for folder, part in by_folder(rows, batch.end - 1)}

    def _merge(self, package: Package, folder: str, table: Table, parts: list[pa.Table]) -> None:
        stored = f"{folder}/{table.name}.parquet"
        rows = merged(table, [*self._existing(stored, table), *parts])
        if table is fields.AGGREGATES:
            rows = in_force(rows)
        self._publish(package, f"{folder}/{table.name}.csv", csv_bytes(rows))
        if table is fields.INDICES:
            self._publish_stations(package, f"station_{folder}", rows)
        # Last: the Parquet file is what later rows are merged with.
        self._publish(package, stored, parquet_bytes(rows))

    def _publish_stations(self, package: Package, folder: str, rows: pa.Table) -> None:
        """Put the pollutants of a day together; a correction of one is in both files."""
        whole = station_index_rows(rows)
        name = f"{folder}/{fields.STATION_INDICES.name}"
        self._publish(package, f"{name}.csv", csv_bytes(whole))
        self._publish(package, f"{name}.parquet", parquet_bytes(whole))

    def _existing(self, relative: str, table: Table) -> list[pa.Table]:
        path = self._folder / relative
        if not path.is_file():
            return []
        folder = next((part for part in relative.split("/") if part.startswith(_WINDOW)), _WINDOW)
        window, zone = folder.removeprefix(_WINDOW), self.names.zone()
        try:
            with _parquet.ParquetFile(path) as file:
                return [brought_up(table, file.read(), window=window, zone=zone)]
        except (pa.ArrowInvalid, ValueError) as error:
            hint = "restore the file, or remove it together with .cursor.json to publish anew"
            raise NotConnected(f"{path} is not a file of ours: {error} ({hint})") from error

    def _publish(self, package: Package, relative: str, data: bytes) -> None:
        path = self._folder / relative
        if package.unchanged(relative, data) and path.is_file():
            return
        replace_file(path, data)
        package.describe(relative, data)

    def _publication(self) -> Publication:
        content = self.names.rules.get("content", {})
        return Publication.model_validate(content.get("publication", {}))
