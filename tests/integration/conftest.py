# SPDX-License-Identifier: EUPL-1.2
"""The services integration tests talk to; see tests/services.py."""

from __future__ import annotations

from tests.services import influxdb, mosquitto, victoria_metrics

__all__ = ["influxdb", "mosquitto", "victoria_metrics"]
