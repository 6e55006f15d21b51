# SPDX-License-Identifier: EUPL-1.2
"""``lamppost backup``: a copy of everything, made while Lamppost runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lamppost_app.backup import back_up

from .options import ConfigOption, config_path, load_settings

_STEP = 10


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="backup")(backup)


def backup(
    target: Annotated[Path, typer.Argument(help="A new folder for the copy.")],
    config: ConfigOption = None,
) -> None:
    """Copy store, logs, cursors, open data, settings and policy to a new folder.

    Lamppost may be running. Every copy is checked before the folder gets its name.
    """
    told: dict[str, int] = {}

    def tell(what: str, done: int, total: int) -> None:
        tenth = _STEP * done // max(total, 1)
        if tenth > told.get(what, -1):
            told[what] = tenth
            typer.echo(f"{what}: {tenth * 100 // _STEP} %", err=True)

    manifest = back_up(load_settings(config), target, tell, config_path(config))
    size = sum((target / name).stat().st_size for name in manifest.files)
    typer.echo(f"{target}: {len(manifest.files)} files, {size / 1e6:.1f} MB, all checked")
