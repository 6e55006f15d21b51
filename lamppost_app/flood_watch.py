# SPDX-License-Identifier: EUPL-1.2
"""Remembers which devices are over their limit, so that an alert names them until they are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from lamppost.alerts import Signal
from lamppost.flooding import Excess, flooding_signal
from lamppost.times import SECOND_NS

_CALM_NS: Final = 60 * SECOND_NS
_MOST: Final = 1_000
"""Devices watched at once. More than that are no longer single devices, and are only counted."""


@dataclass(slots=True)
class _Flood:
    last: int
    fresh: int = 0
    rate: float = 0.0
    kept: int = 0
    refused: int = 0
    per_s: float = 0.0
    burst: int = 0


class FloodWatch:
    """Turns what the doors say into signals, once per tick."""

    def __init__(self) -> None:
        """Start with no device over its limit."""
        self._floods: dict[tuple[str, str], _Flood] = {}
        self._ticked_at = 0

    def add(self, excesses: Iterable[Excess], now: int) -> None:
        """Take in what a door did, at engine time ``now``."""
        for excess in excesses:
            key = (excess.source, excess.device)
            if key not in self._floods and len(self._floods) >= _MOST:
                continue
            flood = self._floods.setdefault(key, _Flood(now))
            flood.last = now
            flood.fresh += excess.messages
            flood.kept += excess.kept
            flood.refused += excess.refused
            flood.per_s, flood.burst = excess.per_s, excess.burst

    def tick(self, now: int) -> list[Signal]:
        """Return who is over the limit, and who no longer is."""
        elapsed_s = max(now - self._ticked_at, SECOND_NS) / SECOND_NS
        self._ticked_at = now
        signals = []
        for key, flood in sorted(self._floods.items()):
            calm = now - flood.last >= _CALM_NS
            if flood.fresh:
                flood.rate = flood.fresh / elapsed_s
                flood.fresh = 0
            elif not calm:
                continue
            signals.append(_signal(key, flood, now, active=not calm))
            if calm:
                del self._floods[key]
        return signals

    def facts(self) -> dict[str, Any]:
        """Return the whole state as a JSON-able document."""
        floods = [[*key, asdict(flood)] for key, flood in self._floods.items()]
        return {"floods": floods, "ticked_at": self._ticked_at}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take over such a document."""
        self._floods = {(row[0], row[1]): _Flood(**row[2]) for row in facts["floods"]}
        self._ticked_at = facts["ticked_at"]


def _signal(key: tuple[str, str], flood: _Flood, now: int, *, active: bool) -> Signal:
    source, device = key
    who = device or "devices that do not say who they are"
    became = f"{flood.kept} went to quarantine, {flood.refused} were refused"
    sentence = f"{who} stayed within the limit for a minute; before, {became}"
    if active:
        sentence = (
            f"{who} sends {flood.rate:.0f} messages a second through {source}; {flood.per_s:g} are"
            f" allowed, {flood.burst} at once; so far {became}"
        )
    return flooding_signal(
        device,
        source,
        active=active,
        at=now,
        rate=flood.rate if active else 0.0,
        limit=flood.per_s,
        sentence=sentence,
    )
