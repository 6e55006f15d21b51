# SPDX-License-Identifier: EUPL-1.2
"""``lamppost restore``: puts a back-up in place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lamppost_app.backup import restore

from .options import ConfigOption, load_settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="restore")(restore_backup)


def restore_backup(
    source: Annotated[Path, typer.Argument(help="A folder that lamppost backup has made.")],
    config: ConfigOption = None,
    *,
    store: Annotated[
        bool, typer.Option("--store", help="Only the store: the logs stay as they are.")
    ] = False,
) -> None:
    """Put a back-up in the place of the data; Lamppost must not be running.

    What was there is moved aside. Settings and policy in the back-up are left for you to compare.
    """
    for sentence in restore(load_settings(config), source, store_only=store):
        typer.echo(sentence)
