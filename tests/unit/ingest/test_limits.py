# SPDX-License-Identifier: EUPL-1.2
"""A bucket per device: what it lets through, what is kept apart, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.limits import Fate, Limiter, Limits, records, retry_after_s
from lamppost import log
from lamppost.flooding import EXCESSES, read_throttled
from lamppost.frames import Deliveries
from lamppost.times import HOUR_NS, SECOND_NS

NOW = 1_795_294_800 * SECOND_NS
TOPIC = "v1/aq-1/readings"


def limiter(**limits: float) -> Limiter:
    """Return the buckets of an MQTT door."""
    return Limiter(Limits(**limits), "mqtt", ["v1/+/readings", "$share/g/city/+/+"])  # type: ignore[arg-type] # whole numbers are written as such


def fates(door: Limiter, count: int, now: int = NOW, topic: str = TOPIC, size: int = 9) -> str:
    """Return the fate of messages of one device, a letter each."""
    judgement = door.judge([topic] * count, [size] * count, now)
    if judgement is None:
        return "a" * count
    return "".join(fate.value[0] for fate in judgement.fates)


def test_a_burst_passes_and_then_the_rate() -> None:
    """Ten at once, then one a second, however long it goes on."""
    door = limiter(messages_per_s=1, burst_messages=10, kept_messages_per_h=3)

    assert fates(door, 15) == "aaaaaaaaaakkkrr"
    assert fates(door, 3, NOW + SECOND_NS) == "arr"
    assert fates(door, 20, NOW + 100 * SECOND_NS) == "a" * 10 + "r" * 10


def test_a_flooding_device_takes_nothing_from_others() -> None:
    """Their messages in the same frame pass."""
    door = limiter(messages_per_s=1, burst_messages=5, kept_messages_per_h=0)
    topics = [TOPIC] * 20 + [f"v1/aq-{number}/readings" for number in range(2, 12)]

    judgement = door.judge(topics, [10] * 30, NOW)

    assert judgement is not None
    assert judgement.rows(Fate.ADMIT) == [*range(5), *range(20, 30)]
    (excess,) = judgement.excesses
    assert (excess.device, excess.messages, excess.kept, excess.refused) == ("aq-1", 20, 0, 15)


def test_all_topics_of_a_device_share_its_bucket() -> None:
    """The level is that of the first "+" of the filter; a topic no filter explains is a device."""
    door = limiter(messages_per_s=1, burst_messages=4)
    city = ["city/a/x", "city/a/y", "city/b/x", "elsewhere"]

    judgement = door.judge(city * 3, [1] * 12, NOW)

    assert judgement is not None
    assert [excess.device for excess in judgement.excesses] == ["a"]
    assert set(judgement.devices) == {"a", "b", "elsewhere"}


def test_a_large_message_counts_once_for_every_kib_begun() -> None:
    """One larger than the whole bucket takes all of it; it would never pass otherwise."""
    door = limiter(messages_per_s=1, burst_messages=10)

    assert fates(door, 6, size=2048) == "aaaaak"
    assert fates(door, 1, NOW + 10 * SECOND_NS, size=1_000_000) == "a"
    assert fates(door, 1, NOW + 10 * SECOND_NS) == "k"


def test_what_is_kept_is_bounded_per_hour_and_altogether() -> None:
    """By messages for each device, by bytes for all."""
    door = limiter(messages_per_s=1, burst_messages=1, kept_messages_per_h=2)
    tight = limiter(messages_per_s=1, burst_messages=1, kept_bytes_per_h=300)
    hour = NOW // HOUR_NS * HOUR_NS

    assert fates(door, 5, hour) == "akkrr"
    assert fates(door, 5, hour + HOUR_NS) == "akkrr"
    assert fates(tight, 2, hour, "v1/a/readings", size=100) == "ak"
    assert fates(tight, 2, hour, "v1/b/readings", size=100) == "ar"


def test_the_table_forgets_buckets_that_are_full_again() -> None:
    """A device that invents names costs memory for as long as they would be limited."""
    door = limiter(messages_per_s=100)
    for number in range(40):
        names = [f"v1/{number}-{item}/readings" for item in range(5_000)]
        assert door.judge(names, [1] * 5_000, NOW + number * SECOND_NS) is None

    assert len(door) <= 65_536


def test_the_table_is_bounded_even_where_no_bucket_is_full() -> None:
    """The fullest go first."""
    door = limiter(messages_per_s=0.001, burst_messages=10)
    for number in range(20):
        names = [f"v1/{number}-{item}/readings" for item in range(5_000)]
        door.judge(names, [1] * 5_000, NOW)

    assert len(door) <= 65_536


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), max_size=30))
def test_no_more_than_burst_and_rate_ever_pass(steps: list[tuple[int, int]]) -> None:
    """Over any time, at most the burst and what the rate adds; cut into frames in any way."""
    door, passed, now = limiter(messages_per_s=2, burst_messages=20), 0, NOW
    for seconds, count in steps:
        now += seconds * SECOND_NS
        passed += fates(door, count, now).count("a")
        # The last bit of a rounded instant may be a message more.
        assert passed <= 20 + 2 * (now - NOW) // SECOND_NS + 1


@given(st.lists(st.integers(1, 40), min_size=1, max_size=10))
def test_where_frames_are_cut_does_not_matter(sizes: list[int]) -> None:
    """The same messages at the same instant have the same fates in one frame or in many."""
    whole, cut = (limiter(messages_per_s=2, burst_messages=50) for _ in range(2))

    assert fates(whole, sum(sizes)) == "".join(fates(cut, size) for size in sizes)


def test_records_are_a_frame_what_is_kept_and_the_counts() -> None:
    """Messages stay as they came; who sent those kept apart is written beside them."""
    door = limiter(messages_per_s=1, burst_messages=1, kept_messages_per_h=1)
    deliveries = Deliveries()
    for number in range(3):
        deliveries.add(TOPIC, b"%d" % number, NOW + number, source="mqtt", headers='{"a":1}')

    judgement = door.judge(deliveries.routes, [1, 1, 1], NOW)
    made = records(deliveries, judgement, NOW)

    assert [record.kind for record in made] == [log.FRAME, log.THROTTLED, log.EXCESS]
    assert Deliveries.from_bytes(made[0].body).payloads == [b"0"]
    kept, devices = read_throttled(made[1].body)
    assert (kept.payloads, kept.received_at, kept.headers) == ([b"1"], [NOW + 1], ['{"a":1}'])
    assert devices == ["aq-1"]
    assert EXCESSES.validate_json(made[2].body)[0].refused == 1


def test_records_of_nothing_are_none() -> None:
    """No empty frames."""
    assert records(Deliveries(), None, NOW) == []


@pytest.mark.parametrize(("wait_s", "told"), [(0.0, 1), (1.2, 2), (1e9, 3600)])
def test_a_device_is_told_a_sensible_time_to_wait(wait_s: float, told: int) -> None:
    """At least a second, at most an hour."""
    assert retry_after_s(wait_s) == told
