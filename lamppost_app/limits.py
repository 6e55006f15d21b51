# SPDX-License-Identifier: EUPL-1.2
"""The limits of a door, built from the settings."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.limits import Limiter, Limits

from .settings import LimitsSettings


def limiter_of(settings: LimitsSettings, source: str, topics: Sequence[str] = ()) -> Limiter | None:
    """Return the limits of a door, None where they are switched off."""
    if not settings.enabled:
        return None
    limits = Limits(
        **settings.model_dump(exclude={"enabled", "kept_mb_per_h"}),
        kept_bytes_per_h=round(settings.kept_mb_per_h * 1_000_000),
    )
    return Limiter(limits, source, topics)
