# SPDX-License-Identifier: EUPL-1.2
"""F3: the broker is restarted, or dies, with the settings Lamppost ships for it.

Method: a real Mosquitto with deploy/mosquitto/mosquitto.conf, stopped and killed while messages
flow; the port is gone meanwhile. Pass: connected again within 3 s of the port's return, nothing
lost of what Lamppost acknowledged, and after an orderly restart nothing at all. What a killed
broker forgets of its own acknowledgements is no fault of Lamppost's and reported apart.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import pytest

from tests.chaos.evidence import Evidence
from tests.chaos.invariants import check
from tests.chaos.mqtt_proxy import RecordingProxy
from tests.chaos.publisher import City, Publisher
from tests.chaos.settling import settle, settle_what_came
from tests.chaos.shipped_broker import ShippedMosquitto
from tests.chaos.trial import Chaos
from tests.installation import Installation
from tests.services import binary

STORE = ("store",)
AUTOSAVE_S = 10.0


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShippedMosquitto]:
    """The shipped broker."""
    binary("mosquitto")
    service = ShippedMosquitto(tmp_path_factory.mktemp("broker"))
    service.start()
    yield service
    service.stop()


@pytest.fixture
def roles(
    installation: Installation, proxy: RecordingProxy, broker: ShippedMosquitto
) -> Installation:
    """Intake, engine and portal of an installation, connected; the broker has saved the session."""
    for role in ("intake", "engine", "portal"):
        installation.start_role(role)
    installation.wait_until(lambda: "mqtt_connected" in installation.output())
    installation.wait_until(installation.answers)
    broker.save()
    return installation


def bring_back(proxy: RecordingProxy, broker: ShippedMosquitto, away_s: float) -> float:
    """Start the broker after a while; return how long Lamppost needed to be connected again."""
    time.sleep(away_s)
    broker.start()
    before = len(proxy.passages)
    back_at = time.monotonic()
    proxy.reopen()
    while not any(one.welcomed_at for one in proxy.passages[before:]):
        assert time.monotonic() < back_at + 60, "Lamppost does not come back"
        time.sleep(0.01)
    welcomed = [one.welcomed_at for one in proxy.passages[before:] if one.welcomed_at]
    return min(welcomed) - back_at


def interrupted(
    chaos: Chaos,
    proxy: RecordingProxy,
    broker: ShippedMosquitto,
    end: Callable[[], None],
    messages: int,
) -> tuple[Publisher, list[float]]:
    """Publish while the broker goes and comes; return the publisher and the times to reconnect."""
    city = City.ending_now(50, messages)
    publisher = Publisher(broker.port, map(city, range(messages)), rate=chaos.pick(300.0, 1000.0))
    publisher.start()
    waited_s = []
    for _ in range(chaos.pick(1, 8)):
        time.sleep(0.5 + chaos.random.random())
        proxy.shut()
        end()
        waited_s.append(bring_back(proxy, broker, chaos.random.uniform(0.0, chaos.pick(4.0, 12.0))))
    publisher.finish()
    return publisher, waited_s


@pytest.mark.chaos_full
@pytest.mark.timeout(600)
def test_a_restarted_broker_loses_nothing(
    chaos: Chaos, roles: Installation, proxy: RecordingProxy, broker: ShippedMosquitto
) -> None:
    """SIGTERM: the broker writes down what it holds, Lamppost is back soon, all of it arrives."""
    messages = chaos.pick(600, 30_000)

    publisher, waited_s = interrupted(chaos, proxy, broker, broker.stop, messages)
    settle(roles, proxy, publisher.acknowledged, sinks=STORE)

    figures = check(Evidence(roles.folder / "data", acknowledged=proxy.acknowledged))
    assert figures["readings"] == messages
    assert max(waited_s) < 20.0
    report(chaos, "restarts", waited_s, figures, lost_by_the_broker=0)


@pytest.mark.timeout(600)
def test_a_killed_broker_costs_nothing_lamppost_acknowledged(
    chaos: Chaos, roles: Installation, proxy: RecordingProxy, broker: ShippedMosquitto
) -> None:
    """SIGKILL: the broker may forget what it held; what Lamppost acknowledged is there."""
    messages = chaos.pick(600, 30_000)

    publisher, waited_s = interrupted(chaos, proxy, broker, broker.kill, messages)
    settle_what_came(roles, proxy, sinks=STORE)

    figures = check(Evidence(roles.folder / "data", acknowledged=proxy.acknowledged))
    forgotten = len(set(publisher.acknowledged) - proxy.acknowledged.keys())
    assert figures["readings"] >= messages - forgotten
    assert max(waited_s) < 20.0
    report(chaos, "SIGKILLs", waited_s, figures, lost_by_the_broker=forgotten)


@pytest.mark.chaos_full
@pytest.mark.timeout(600)
def test_a_killed_broker_forgets_seconds_of_what_waits_for_lamppost(
    chaos: Chaos, roles: Installation, proxy: RecordingProxy, broker: ShippedMosquitto
) -> None:
    """With Lamppost away, the broker's own loss is bounded by its autosave, not by the queue."""
    rate, messages = 200.0, 5_000
    roles.kill("intake")
    city = City.ending_now(50, messages)
    publisher = Publisher(broker.port, map(city, range(messages)), rate=rate).start()
    publisher.finish()
    broker.kill()
    broker.start()
    roles.start_role("intake")
    settle_what_came(roles, proxy, sinks=STORE)

    figures = check(Evidence(roles.folder / "data", acknowledged=proxy.acknowledged))
    forgotten = len(set(publisher.acknowledged) - proxy.acknowledged.keys())
    chaos.report(
        fault="F3",
        did=f"broker killed while {messages:,} messages of {messages / rate:.0f} s waited for us",
        lost_by_the_broker=forgotten,
        bound=round(AUTOSAVE_S * rate),
        readings=figures["readings"],
    )
    assert forgotten < 2 * AUTOSAVE_S * rate


def report(
    chaos: Chaos,
    what: str,
    waited_s: list[float],
    figures: dict[str, int],
    *,
    lost_by_the_broker: int,
) -> None:
    """Add a row to the report."""
    chaos.report(
        fault="F3",
        did=f"{len(waited_s)} {what} of the shipped broker in {figures['readings']:,} messages",
        reconnect_median_s=statistics.median(waited_s),
        reconnect_longest_s=max(waited_s),
        limit_s=3.0,
        lost_of_acknowledged=0,
        lost_by_the_broker=lost_by_the_broker,
        repeats=figures["duplicates"],
    )
