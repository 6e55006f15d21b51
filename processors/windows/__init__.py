# SPDX-License-Identifier: EUPL-1.2
"""Statistics of event-time windows."""

from __future__ import annotations

from typing import Final

METHOD: Final = "2"
"""Version of the formulas behind published statistics: one more whenever a formula changes."""
