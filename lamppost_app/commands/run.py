# SPDX-License-Identifier: EUPL-1.2
"""``lamppost run``: the pipeline."""

from __future__ import annotations

import contextlib
import os
from typing import Annotated

import typer

from lamppost import events
from lamppost.clock import SystemClock
from lamppost.errors import ConfigError
from lamppost_app.bootstrap import announce, check_configuration
from lamppost_app.ownership import refuse_strangers
from lamppost_app.reload import note_start, reload_while_running
from lamppost_app.roles import ROLES, SETTINGS_VARIABLE, run_role, sole
from lamppost_app.settings import Settings, handed_over, taken_over
from lamppost_app.sqlite_log import ENGINE, SqliteLog
from lamppost_app.supervisor import Supervisor, role_command

from .options import ConfigOption, config_path, load_settings

RoleOption = Annotated[
    str | None,
    typer.Option(help=f"Run one role only, in this process: {', '.join(ROLES)}."),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="run")(run)


def run(config: ConfigOption = None, role: RoleOption = None) -> None:
    """Run the pipeline: intake, engine, delivery and portal, each a process of its own."""
    given = os.environ.get(SETTINGS_VARIABLE) if role is not None else None
    settings = load_settings(config) if given is None else taken_over(given)
    if role is not None:
        _one_role(role, settings)
        return
    events.configure(settings.log_level, "supervisor")
    path = config_path(config)
    roles = [name for name in ROLES if name != "portal" or settings.http.enabled]
    commands = {name: role_command(name, None if path is None else str(path)) for name in roles}
    folder = settings.data.dir
    # Else our policy would enter the inbox of a Lamppost that runs with another.
    with sole("supervisor", folder):
        prepare(settings)
        # A role that is started again must not depend on a file that is being edited.
        os.environ[SETTINGS_VARIABLE] = handed_over(settings)
        code = Supervisor(commands, lambda: reload_while_running(path, folder)).run()
    raise typer.Exit(code)


def prepare(settings: Settings) -> None:
    """Check everything, and enter policy and stations in the inbox.

    Raises:
        ConfigError: something is wrong; nothing was started.
    """
    refuse_strangers()
    configuration = check_configuration(settings)
    with contextlib.closing(SqliteLog(settings.inbox_path)) as inbox:
        if settings.outbox_path.is_file():
            # The engine would take no notice of entries with numbers it has passed already.
            with contextlib.closing(SqliteLog(settings.outbox_path)) as outbox:
                inbox.reserve(outbox.position(ENGINE))
        announce(configuration, inbox, SystemClock())
    note_start(settings, configuration.policy.version, SystemClock())


def _one_role(role: str, settings: Settings) -> None:
    if role not in ROLES:
        known = ", ".join(ROLES)
        raise ConfigError(f"there is no role {role!r}", where="--role", hint=f"known: {known}")
    if role == "intake" and SETTINGS_VARIABLE not in os.environ:
        prepare(settings)
    run_role(role, settings)
