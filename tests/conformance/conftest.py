# SPDX-License-Identifier: EUPL-1.2
"""The services conformance tests talk to; see tests/services.py."""

from __future__ import annotations

from tests.services import mosquitto

__all__ = ["mosquitto"]
