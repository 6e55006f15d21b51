# SPDX-License-Identifier: EUPL-1.2
"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamppost.errors import ConfigError
from lamppost.times import asked_instant
from lamppost_app import settings

if TYPE_CHECKING:
    from rich.console import Console

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file; default: ./lamppost.toml if it is there."),
]
PolicyOption = Annotated[
    Path | None, typer.Option("--policy", help="Policy folder; default: the one of the settings.")
]


def load_settings(config: Path | None) -> settings.Settings:
    """Read the settings file that was named, or the one in this folder, or none."""
    return settings.load(config_path(config))


def settings_with_outbox(config: Path | None) -> settings.Settings:
    """Read the settings of an installation that has run.

    Raises:
        ConfigError: it has not: there is no outbox.
    """
    found = load_settings(config)
    if not found.outbox_path.is_file():
        hint = "run lamppost first, or name its settings with --config"
        raise ConfigError("there is no outbox", where=str(found.outbox_path), hint=hint)
    return found


def config_path(config: Path | None) -> Path | None:
    """Return the settings file in use."""
    beside = Path("lamppost.toml")
    return beside if config is None and beside.is_file() else config


def instant_of(text: str, option: str) -> int:
    """Return the instant that was given to an option, ns UTC.

    Raises:
        ConfigError: it is none.
    """
    try:
        return asked_instant(text)
    except ValueError as error:
        raise ConfigError(str(error), where=option) from None


def printable(text: str) -> str:
    """Take out what would steer the terminal: devices choose names and topics."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def wide_console() -> Console:
    """Return where tables go: as wide as the terminal, or as they need to be in a file."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=200)
