# SPDX-License-Identifier: EUPL-1.2
"""A role that starts again after a crash is waited for, so it imports only what it runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lamppost_app.cli import COMMANDS, app, command_line

SLOW = ("duckdb", "fastapi", "influxdb_client", "jinja2", "sensor_sim", "uvicorn")
IMPORTS = """
import sys
import {module}
from lamppost_app.cli import command_line
from lamppost_app.components import discover_processing
command_line(["run"])
discover_processing()
print(*sorted(set({slow}) & set(sys.modules)))
"""


@pytest.mark.parametrize("module", ["lamppost_app.intake", "lamppost_app.engine_role"])
def test_intake_and_engine_start_without_the_libraries_of_others(module: str) -> None:
    """Destinations, portal and simulator take longer to import than these two roles."""
    program = IMPORTS.format(module=module, slow=SLOW)

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout.decode().split() == []


def test_every_command_is_a_module_of_its_name() -> None:
    """The whole command line has them all; a part of it has what was asked for."""
    whole = {command.name for command in app.registered_commands}
    whole |= {group.name for group in app.registered_groups}

    assert whole >= set(COMMANDS)
    assert [one.name for one in command_line(["ledger"]).registered_commands] == ["ledger"]
