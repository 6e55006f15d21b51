# SPDX-License-Identifier: EUPL-1.2
"""The end of a trial with a whole installation: everything has arrived everywhere."""

from __future__ import annotations

import time
from collections.abc import Collection

from tests.chaos.evidence import Evidence
from tests.chaos.mqtt_proxy import RecordingProxy
from tests.installation import Installation

_QUIET_S = 3.0
SINKS = ("influxdb", "open_data", "store")


def settle(
    installation: Installation,
    proxy: RecordingProxy,
    published: Collection[bytes],
    *,
    sinks: tuple[str, ...] = SINKS,
    seconds: float = 300.0,
) -> Evidence:
    """Wait until Lamppost has acknowledged all that was published and every sink has it; stop it.

    Returns what the proxy saw of it. A day passes at the end, so that every window is closed and
    the ledger complete: the checker then demands all of it.
    """
    wanted = set(published)
    until = time.monotonic() + seconds
    while proxy.acknowledgements < len(published) or not wanted <= proxy.acknowledged.keys():
        assert time.monotonic() < until, (
            f"{len(proxy.acknowledged)} of {len(wanted)} messages and {proxy.acknowledgements} of"
            f" {len(published)} deliveries acknowledged; the last connection: {_state(proxy)}"
        )
        time.sleep(0.05)
    installation.wait_until(lambda: not proxy.passages[-1].under_way, seconds)
    _finish(installation, sinks, seconds)
    data = installation.folder / "data"
    return Evidence(data, acknowledged=proxy.acknowledged, sent=list(proxy.sent))


def _state(proxy: RecordingProxy) -> str:
    last = proxy.passages[-1]
    return (
        f"{last.published} in, {last.acknowledged} acknowledged, {len(last.under_way)} under way,"
        f" {len(last.stray)} stray"
    )


def settle_what_came(
    installation: Installation,
    proxy: RecordingProxy,
    *,
    sinks: tuple[str, ...] = SINKS,
    seconds: float = 300.0,
) -> None:
    """Do the same where the broker may have lost something: wait until nothing comes any more."""
    known, since = -1, time.monotonic()
    until = since + seconds
    while time.monotonic() < min(since + _QUIET_S, until):
        if len(proxy.acknowledged) != known:
            known, since = len(proxy.acknowledged), time.monotonic()
        time.sleep(0.1)
    _finish(installation, sinks, seconds)


def _finish(installation: Installation, sinks: tuple[str, ...], seconds: float) -> None:
    installation.let_a_day_pass()
    installation.wait_until_delivered(*sinks, seconds=seconds)
    assert installation.stop() == 0, installation.output()
