# SPDX-License-Identifier: EUPL-1.2
"""The open-data files, as a page and as files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from lamppost.times import SECOND_NS

from .context import context_of
from .rendering import render

router = APIRouter(include_in_schema=False)

_MOST_FILES: Final = 500


@dataclass(frozen=True, slots=True)
class Download:
    """One file of the open-data folder."""

    name: str
    url: str
    size: int
    changed_at: int
    sha256: str


@router.get("/downloads", response_class=HTMLResponse)
def downloads(request: Request) -> HTMLResponse:
    """List the files."""
    context = context_of(request)
    files = files_below(context.settings.open_data_path)
    return render(request, "downloads.html", files=files, most=_MOST_FILES)


def files_below(folder: Path) -> list[Download]:
    """Return the files of the open-data folder, the newest first; half-written ones are hidden."""
    paths = [
        path
        for path in folder.rglob("*")
        if path.is_file() and not _is_hidden(path.relative_to(folder))
    ]
    found = [item for path in paths if (item := _download(path, folder)) is not None]
    return sorted(found, key=lambda item: (-item.changed_at, item.name))[:_MOST_FILES]


class OpenDataFiles(StaticFiles):
    """Serves the files with ETag and ranges; names with a leading dot do not exist."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file as a whole, in part, or 304."""
        if _is_hidden(Path(path)):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        response = await super().get_response(path, scope)
        response.headers.setdefault("Cache-Control", "no-cache")
        return response


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part.endswith(".tmp") for part in path.parts)


def _download(path: Path, folder: Path) -> Download | None:
    try:
        facts = path.stat()
        digest = _sha256(path, facts.st_mtime_ns, facts.st_size)
    except OSError:
        return None  # replaced by the exporter at this very moment; the next look finds it
    name = path.relative_to(folder).as_posix()
    changed_at = facts.st_mtime_ns // SECOND_NS * SECOND_NS
    return Download(name, f"/downloads/files/{quote(name)}", facts.st_size, changed_at, digest)


@lru_cache(maxsize=4096)
def _sha256(path: Path, changed_at: int, size: int) -> str:
    """Return the digest of a file; instant and size make a changed file a new question."""
    del changed_at, size
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
