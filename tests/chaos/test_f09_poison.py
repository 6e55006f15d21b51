# SPDX-License-Identifier: EUPL-1.2
"""F9: messages made to break what reads them.

Method: thousands of payloads drawn by hypothesis and a list of known poisons, each on a topic of
its own, through a real Mosquitto into a whole installation. Pass: no process ends, nothing stays
unacknowledged, each message has the quarantine records it would have alone, or is accepted, and the
ledger balances.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from lamppost.frames import Deliveries
from lamppost.policy import load_policy
from lamppost.series import SeriesTable
from lamppost_app.commands.decode import make_decoder
from tests.chaos.evidence import Evidence, Said
from tests.chaos.invariants import check
from tests.chaos.mqtt_proxy import RecordingProxy
from tests.chaos.publisher import Publisher
from tests.chaos.settling import settle
from tests.chaos.trial import Chaos
from tests.conformance.test_every_format import HOSTILE, payloads
from tests.installation import POLICY, Installation

MAX_PAYLOAD_BYTES = 65_536
RULES = load_policy(POLICY)
POISONS: tuple[bytes, ...] = (
    *HOSTILE,
    b'{"sensor":"deep","values":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    b"{" + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"sensor":"twice","sensor":"twice","values":{"no2":1}}',
    b'{"sensor":"twice","values":{"no2":1,"no2":2}}',
    b'{"sensor":"digits","values":{"no2":' + b"1" * 5_000 + b"}}",
    b'{"sensor":"digits","values":{"no2":0.5' + b"0" * 5_000 + b"}}",
    b'{"sensor":"large","values":{"no2":1e999}}',
    b'{"sensor":"small","values":{"no2":-1e999}}',
    b'{"sensor":"nan","values":{"no2":NaN}}',
    b'{"sensor":"\\ud83d","values":{"no2":1}}',
    b'{"sensor":"\xed\xa0\x80","values":{"no2":1}}',
    b'{"sensor":"names","values":{' + b",".join(b'"n%d":1' % one for one in range(300)) + b"}}",
    b'{"sensor":"many","time":[%b1],"values":{"no2":[%b1]}}' % (b"1," * 15_000, b"1," * 15_000),
)


def drawn(count: int, chaos_seed: int) -> list[bytes]:
    """Return payloads hypothesis has thought of."""
    found: list[bytes] = []

    @seed(chaos_seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(payloads())
    def collect(payload: bytes) -> None:
        found.append(payload)

    collect()
    return found


def codes_alone(payload: bytes) -> set[str]:
    """Return why a message is refused that comes alone, nothing where it is accepted."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return {"too_large"}
    deliveries = Deliveries()
    deliveries.add("v1/alone/readings", payload, 1_795_294_800_000_000_000, source="mqtt")
    frame = make_decoder(RULES, SeriesTable()).decode(deliveries)
    assert len(frame.readings) or frame.refused
    return {refusal.code for refusal in frame.refused}


@pytest.mark.timeout(1500)
def test_poison_costs_nobody_anything(
    chaos: Chaos, installation: Installation, proxy: RecordingProxy
) -> None:
    """Each message becomes what it would have become alone; processes live on."""
    messages = [*POISONS, *drawn(chaos.pick(300, 10_000), chaos.seed)]
    chaos.random.shuffle(messages)
    installation.start()
    processes = installation.pids()

    numbered = [(f"v1/poison-{number}/readings", one) for number, one in enumerate(messages)]
    published = Publisher(proxy.broker_port, numbered).start().finish()
    assert installation.pids() == processes, installation.output()
    settle(installation, proxy, published)

    assert "engine_failed" not in installation.output()
    for passage in proxy.passages:
        assert passage.acknowledged == passage.published == len(messages)
    found: dict[str, set[str]] = {topic: set() for topic, _ in numbered}
    for row in Said(installation.folder / "data" / "outbox.db").quarantine.to_pylist():
        found[row["route"]].add(row["code"])
    # Whether a reading is too old depends on the others of its sensor.
    differing = {
        payload: (codes, alone)
        for (topic, payload) in numbered
        if (codes := found[topic] - {"beyond_horizon"}) != (alone := codes_alone(payload))
    }
    assert differing == {}
    figures = check(Evidence(installation.folder / "data", acknowledged=_stored_whole(published)))
    chaos.report(
        fault="F9",
        did=f"{len(messages):,} poisonous messages through a real broker",
        crashes=0,
        unacknowledged=0,
        quarantine_records=figures["quarantined"],
        readings_accepted=figures["readings"],
    )


def _stored_whole(published: list[bytes]) -> list[bytes]:
    return [payload for payload in published if len(payload) <= MAX_PAYLOAD_BYTES]
