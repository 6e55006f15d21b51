# SPDX-License-Identifier: EUPL-1.2
"""Two installations with one client identifier are noticed, a bad evening of a broker is not."""

from __future__ import annotations

import logging

import pytest

from ingest.mqtt_takeover import TakeoverWatch


def test_a_broker_that_tells_is_believed(caplog: pytest.LogCaptureFixture) -> None:
    """The third takeover in two minutes is said once, with what to do."""
    watch = TakeoverWatch("city:1883", "lamppost-intake")
    with caplog.at_level(logging.ERROR, "lamppost"):
        for at_s in (0, 10, 20, 30, 40):
            watch.lost(at_s, 5.0, told=True)

    assert watch.noticed
    assert caplog.text.count("mqtt_client_id_shared") == 1
    assert "another client uses the client_id lamppost-intake" in caplog.text
    assert "certain=True" in caplog.text


def test_short_connections_are_a_suspicion(caplog: pytest.LogCaptureFixture) -> None:
    """MQTT 3.1.1 gives no reason, so the sentence is careful."""
    watch = TakeoverWatch("city:1883", "lamppost-intake")
    with caplog.at_level(logging.ERROR, "lamppost"):
        for at_s in (0, 10, 20):
            watch.lost(at_s, 5.0, told=False)

    assert "probably another client" in caplog.text


def test_losses_far_apart_are_none(caplog: pytest.LogCaptureFixture) -> None:
    """An operator who moves an installation takes the session over once or twice."""
    watch = TakeoverWatch("city:1883", "lamppost-intake")
    for at_s in (0, 100, 200, 300):
        watch.lost(at_s, 5.0, told=True)

    assert not watch.noticed
    assert caplog.text == ""


def test_it_is_over_when_a_connection_holds(caplog: pytest.LogCaptureFixture) -> None:
    """Then the next loop is said again."""
    watch = TakeoverWatch("city:1883", "lamppost-intake")
    with caplog.at_level(logging.ERROR, "lamppost"):
        for at_s in (0, 1, 2):
            watch.lost(at_s, 1.0, told=True)
        watch.lost(600, 500.0, told=False)
        assert not watch.noticed
        for at_s in (601, 602, 603):
            watch.lost(at_s, 1.0, told=True)

    assert caplog.text.count("mqtt_client_id_shared") == 2
