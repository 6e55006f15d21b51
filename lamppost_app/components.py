# SPDX-License-Identifier: EUPL-1.2
"""Finds every component there is, built in or brought by a plugin."""

from __future__ import annotations

import functools

import ingest.formats
import processors
import sinks
from lamppost.component import discover, discover_plugins


@functools.cache
def discover_all() -> None:
    """Import every component module once."""
    for package in (ingest.formats, processors, sinks):
        discover(package)
    discover_plugins()
