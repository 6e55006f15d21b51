# SPDX-License-Identifier: EUPL-1.2
"""Refuses to run when another distribution owns one of our import names."""

from __future__ import annotations

from importlib.metadata import packages_distributions
from typing import Final

from lamppost.errors import ConfigError

OUR_NAMES: Final = ("lamppost", "lamppost_app", "ingest", "processors", "sinks", "sensor_sim")
_OURS: Final = "lamppost"


def strangers() -> dict[str, list[str]]:
    """Return the other distributions that claim one of our import names."""
    owners = packages_distributions()
    claimed = {name: sorted(set(owners.get(name, ())) - {_OURS}) for name in OUR_NAMES}
    return {name: others for name, others in claimed.items() if others}


def refuse_strangers() -> None:
    """Stop when an import name of ours is shared: a stranger's code might run in its place.

    Raises:
        ConfigError: naming the other distribution and what to do.
    """
    for name, others in strangers().items():
        hint = "install Lamppost in an environment of its own: uv tool install, pipx or a container"
        raise ConfigError(f"the package {name!r} also belongs to {', '.join(others)}", hint=hint)
