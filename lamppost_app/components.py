# SPDX-License-Identifier: EUPL-1.2
"""Finds every component there is, built in or brought by a plugin."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import ingest.formats
import processors
import sinks
from lamppost.component import Component, Settings, discover, discover_plugins, find

RENAMED: Final = {"tumbling": "event_time"}
"""Names that policies of an earlier version use; they may still stand in an inbox."""


@functools.cache
def discover_processing() -> None:
    """Import what the engine runs once: formats and processors, and all that plugins bring.

    Sinks stay out: the libraries of their destinations take longer to import than all the rest, and
    intake and engine do without.
    """
    for package in (ingest.formats, processors):
        discover(package)
    discover_plugins()


@functools.cache
def discover_all() -> None:
    """Import every component module once."""
    discover_processing()
    discover(sinks)


def sink_settings(name: str, raw: Mapping[str, Any], where: str) -> tuple[Component, Settings]:
    """Return a sink and its own table of the settings.

    Raises:
        ConfigError: there is no such sink, or a wrong setting.
    """
    discover_all()
    component = find("sink", name, where)
    own = {key: value for key, value in raw.items() if key != "every_s"}
    return component, component.parse(own, where)
