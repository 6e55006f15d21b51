# SPDX-License-Identifier: EUPL-1.2
"""Every command the inbox can hold."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from .alerts import AcknowledgeCommand
from .balance import BalanceCommand
from .quarantine import DropCommand

Command = Annotated[
    AcknowledgeCommand | DropCommand | BalanceCommand, Field(discriminator="command")
]

COMMAND_TYPES: Final[TypeAdapter[AcknowledgeCommand | DropCommand | BalanceCommand]] = TypeAdapter(
    Command
)
