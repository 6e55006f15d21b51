# SPDX-License-Identifier: EUPL-1.2
"""What describes the folder: ``datapackage.json`` (Data Package version 2) and its schemas."""

from __future__ import annotations

import hashlib
import io
import json
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

from lamppost.policy import Publication
from lamppost.times import format_instant, parse_instant

from .fields import TABLES
from .files import columns_of, fingerprint, replace_if_changed
from .schema import LAYOUT, Table
from .web_tables import METADATA, schema_path, web_schema, web_tables

DESCRIPTOR: Final = "datapackage.json"
_PROFILE: Final = "https://datapackage.org/profiles/2.0/datapackage.json"
_FORMATS: Final = {
    ".csv": {
        "type": "table",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
    },
    # Not "table": validators read Parquet through libraries that turn nulls into NaN. The file
    # carries its own schema, and size and hash are checked all the same.
    ".parquet": {
        "type": "file",
        "format": "parquet",
        "mediatype": "application/vnd.apache.parquet",
    },
}
_TABLES_BY_NAME: Final = {table.name: table for table in TABLES}


class Package:
    """The list of published files with their sizes and hashes."""

    def __init__(self, folder: Path) -> None:
        """Take over what an earlier run described, and describe what it did not."""
        self._folder = folder
        former = _former(folder / DESCRIPTOR)
        self._newest = parse_instant(str(former.get("created", "")))
        listed = {resource["path"]: resource for resource in former.get("resources", [])}
        # A layout ago, the schema of today's columns was that of the columns of then.
        told = former.get("layout") == LAYOUT
        self._resources: dict[str, dict[str, Any]] = {}
        for path in _data_files(folder):
            relative = path.relative_to(folder).as_posix()
            known = listed.get(relative)
            if known is not None and known["bytes"] == path.stat().st_size:
                schema = known["schema"] if told else _schema_path(path, path)
                self._resources[relative] = {**known, "schema": schema}
            else:
                self.describe(relative, path.read_bytes())

    def unchanged(self, relative: str, data: bytes) -> bool:
        """Whether a file is already there with these bytes."""
        known = self._resources.get(relative)
        return known is not None and known["hash"] == fingerprint(data)

    def describe(self, relative: str, data: bytes) -> None:
        """Note a file's size and hash."""
        path = PurePosixPath(relative)
        table = _TABLES_BY_NAME[path.stem]
        parts = [part.split("=")[-1] for part in path.parts[:-1]]
        self._resources[relative] = {
            "name": "-".join([*(parts or [path.stem]), path.suffix[1:]]),
            "path": relative,
            "title": table.title,
            "description": table.description,
            **_FORMATS[path.suffix],
            "bytes": len(data),
            "hash": fingerprint(data),
            "schema": _schema_path(path, io.BytesIO(data)),
        }

    def saw(self, instants: Iterable[int]) -> None:
        """Remember the newest instant the data reach, which dates the package."""
        self._newest = max(self._newest, *instants)

    def write(self, publication: Publication, owners: Iterable[str], zone: str) -> None:
        """Bring the descriptor and the schemas up to date."""
        used = {resource["schema"] for resource in self._resources.values()}
        for table in TABLES:
            for layout in range(1, LAYOUT + 1):
                path = _schema_name(table, layout)
                if layout == LAYOUT or path in used:
                    self._say(path, table.table_schema(layout))
                    self._say(schema_path(path), web_schema(table, layout))
        self._say(METADATA, web_tables(publication, self._listed()))
        descriptor = self._descriptor(publication, sorted(filter(None, set(owners))), zone)
        self._say(DESCRIPTOR, descriptor)

    def _say(self, path: str, document: Mapping[str, Any]) -> None:
        replace_if_changed(self._folder / path, json_bytes(document))

    def _listed(self) -> list[dict[str, Any]]:
        return [self._resources[path] for path in sorted(self._resources)]

    def _descriptor(self, publication: Publication, owners: list[str], zone: str) -> dict[str, Any]:
        resources = self._listed()
        name = f"{publication.publisher}/{publication.title}"
        created = format_instant(max(self._newest, 0))
        content = hashlib.sha256("".join(found["hash"] for found in resources).encode())
        year, month, day = (int(part) for part in created[:10].split("-"))
        return {
            "$schema": _PROFILE,
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "name": "lamppost-open-data",
            "title": publication.title,
            "description": (
                "Judged and aggregated measurements of a city's sensors, with coverage, quality "
                "and revision of every number. README.md explains the columns."
            ),
            "version": f"{year}.{month}.{day}+{content.hexdigest()[:12]}",
            "created": created,
            "layout": LAYOUT,
            "timeZone": zone,
            "licenses": [{"name": publication.licence, "path": publication.licence_url}],
            "contributors": [{"title": publication.publisher, "roles": ["publisher"]}],
            "sources": [{"title": owner} for owner in owners]
            or [{"title": f"Sensors published by {publication.publisher}"}],
            "resources": resources,
        }


def _schema_name(table: Table, layout: int) -> str:
    """Return where the schema of a table's files of a layout is."""
    if table.layout_of([column.name for column in table.of(layout)]) == LAYOUT:
        return f"schemas/{table.name}.json"
    return f"schemas/{table.name}-{layout}.json"


def _schema_path(path: PurePosixPath | Path, content: Path | BinaryIO) -> str:
    """Return where the schema of a file is, by its columns; a stranger's has today's."""
    table = _TABLES_BY_NAME[path.stem]
    return _schema_name(table, table.layout_of(columns_of(path.suffix, content)) or LAYOUT)


def json_bytes(value: object) -> bytes:
    """Return a value as the JSON these files use: readable, and the same every time."""
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _former(path: Path) -> dict[str, Any]:
    try:
        former: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return former


def _data_files(folder: Path) -> list[Path]:
    found = [path for suffix in _FORMATS for path in folder.rglob(f"*{suffix}")]
    return sorted(path for path in found if path.stem in _TABLES_BY_NAME)
