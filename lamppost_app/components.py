# SPDX-License-Identifier: EUPL-1.2
"""Finds every component there is, built in or brought by a plugin."""

from __future__ import annotations

import functools

import ingest.formats
import processors
import sinks
from lamppost.component import discover, discover_plugins


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
