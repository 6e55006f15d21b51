# SPDX-License-Identifier: EUPL-1.2
"""The end of a trial with a whole installation: everything has arrived everywhere."""

from __future__ import annotations

from collections.abc import Collection

from tests.chaos.mqtt_proxy import RecordingProxy
from tests.installation import Installation

SINKS = ("influxdb", "open_data", "store")


def settle(
    installation: Installation,
    proxy: RecordingProxy,
    published: Collection[bytes],
    *,
    sinks: tuple[str, ...] = SINKS,
    seconds: float = 300.0,
) -> None:
    """Wait until Lamppost has acknowledged all that was published and every sink has it; stop it.

    A day passes at the end, so that every window is closed and the ledger complete: the checker
    then demands all of it.
    """
    wanted = set(published)
    installation.wait_until(lambda: wanted <= proxy.acknowledged.keys(), seconds)
    installation.let_a_day_pass()
    installation.wait_until_delivered(*sinks, seconds=seconds)
    assert installation.stop() == 0, installation.output()
