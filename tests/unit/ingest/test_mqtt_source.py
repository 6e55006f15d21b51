# SPDX-License-Identifier: EUPL-1.2
"""How long the MQTT door waits before it asks again."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest

from benchmarks.services import free_port
from ingest import mqtt_source
from ingest.mqtt import MqttOptions
from ingest.mqtt_source import MqttSource
from lamppost.clock import SystemClock


@pytest.mark.parametrize(
    ("host", "longest_s"), [("127.0.0.1", 2.0), ("nobody.invalid", 30.0)], ids=["port", "name"]
)
def test_a_port_nobody_listens_on_is_asked_again_soon(
    host: str,
    longest_s: float,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A restarting broker is found within seconds; other failures are left more time.

    What goes on failing in the same way is told once. Each wait is drawn at random up to a
    bound; here chance always draws the bound.
    """
    waits: list[float] = []

    async def note(stop: asyncio.Event, seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            stop.set()

    async def run() -> None:
        stop = asyncio.Event()
        await MqttSource(options, SystemClock(), lambda _: None).run(stop)

    options = MqttOptions(host=host, port=free_port(), topics=("a",), client_id="waits")
    monkeypatch.setattr(mqtt_source, "_wait", note)
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    with caplog.at_level(logging.WARNING, "lamppost"):
        asyncio.run(run())

    assert waits == sorted(waits)
    assert waits[-1] == longest_s
    assert len(caplog.records) == 1
