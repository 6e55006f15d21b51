# SPDX-License-Identifier: EUPL-1.2
"""``lamppost reload``: take changed policy and stations into a running installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from lamppost.log import POLICY
from lamppost_app.reload import awaited, read_state, reload

from .options import ConfigOption, config_path, load_settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="reload")(reload_configuration)


_PATIENCE_S: Final = 8.0
"""The engine takes a policy at once, tries it at the next tick, and starts anew within seconds."""

WaitOption = Annotated[
    float,
    typer.Option(min=0, help="Seconds to wait for the engine to try a changed policy."),
]


def reload_configuration(config: ConfigOption = None, wait: WaitOption = _PATIENCE_S) -> None:
    """Check settings, policy and stations, and take what has changed while Lamppost runs.

    Anything wrong leaves everything as it was. The same happens on SIGHUP to ``lamppost run``.
    A policy under which the engine fails gives way to the one before: that is said, with exit
    code 1.
    """
    entered = reload(config_path(config))
    folder = load_settings(config).data.dir
    state = read_state(folder)
    typer.echo(f"entered: {', '.join(entered)}" if entered else "nothing has changed")
    if state is not None:
        typer.echo(f"policy {state.policy}")
        for key in state.restart:
            typer.echo(f"needs a restart: {key}")
        if POLICY in entered:
            _tell_standing(folder, state.policy, wait)


def _tell_standing(folder: Path, version: str, wait_s: float) -> None:
    """Say what the engine makes of a policy that was entered just now.

    Raises:
        Exit: it has set the policy aside.
    """
    match awaited(folder, version, wait_s):
        case "in force":
            typer.echo("in force")
        case "waiting":
            typer.echo("not tried yet: the engine is not running, or busy (see lamppost doctor)")
        case "set aside":
            typer.echo(
                "set aside: the engine fails under this policy, and the one before is in force. "
                "The alert policy_set_aside and the log of the engine (engine_failed) say more. "
                "Change the policy and reload",
                err=True,
            )
            raise typer.Exit(1)
