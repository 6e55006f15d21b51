# SPDX-License-Identifier: EUPL-1.2
"""``lamppost reload``: take changed policy and stations into a running installation."""

from __future__ import annotations

import typer

from lamppost_app.reload import read_state, reload

from .options import ConfigOption, config_path, load_settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="reload")(reload_configuration)


def reload_configuration(config: ConfigOption = None) -> None:
    """Check settings, policy and stations, and take what has changed while Lamppost runs.

    Anything wrong leaves everything as it was. The same happens on SIGHUP to ``lamppost run``.
    """
    entered = reload(config_path(config))
    state = read_state(load_settings(config).data.dir)
    typer.echo(f"entered: {', '.join(entered)}" if entered else "nothing has changed")
    if state is not None:
        typer.echo(f"policy {state.policy}")
        for key in state.restart:
            typer.echo(f"needs a restart: {key}")
