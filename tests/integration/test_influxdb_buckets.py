# SPDX-License-Identifier: EUPL-1.2
"""Buckets are there before the first write, or somebody is told why not and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from lamppost.errors import NotConnected
from lamppost.series import SeriesKey
from lamppost_app import settings as application
from lamppost_app.commands.doctor import examine
from sinks.influx_settings import InfluxSettings
from sinks.influxdb import InfluxdbSink
from tests.influx_front import ALL_RIGHTS, ORG_ID, InfluxFront
from tests.outbox_entries import readings_entry, rules_entry, series_entry
from tests.services import VictoriaMetrics
from tests.write_server import Answer, WriteServer

DAY_S = 86_400
Start = Callable[..., None]


@pytest.fixture
def start() -> Iterator[Start]:
    """Write one reading with a sink that has just started."""
    made: list[InfluxdbSink] = []

    def write(url: str, **given: Any) -> None:
        sink = InfluxdbSink(InfluxSettings(url=url, **{"token": "secret", **given}))
        made.append(sink)
        sink.prime([series_entry(1, [SeriesKey("aq-017", "pm2_5")]), rules_entry(2)])
        sink.write([readings_entry(3)], 3)

    yield write
    for sink in made:
        sink.close()


def test_a_bucket_that_is_not_there_is_created(start: Start) -> None:
    """With the retention of the settings, before the first line."""
    with InfluxFront() as front:
        start(front.url, bucket="new", retention_days=365)
        assert front.retention_s == {"new": 365 * DAY_S}
        assert [bucket for bucket, _ in front.lines] == ["new"]


def test_without_a_word_about_retention_a_new_bucket_keeps_everything(start: Start) -> None:
    """Nothing is thrown away by default."""
    with InfluxFront() as front:
        start(front.url, bucket="new")
        assert front.retention_s == {"new": 0}


def test_an_organization_can_be_named_by_its_identity(start: Start) -> None:
    """Where the token may not see organizations, too."""
    with InfluxFront(rights={"secret": frozenset({"create", "write"})}) as front:
        start(front.url, bucket="new", org=ORG_ID)
        assert front.retention_s == {"new": 0}
        assert len(front.lines) == 1


def test_a_bucket_that_is_there_is_left_alone(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Another retention is said, and not changed: that might delete what somebody wants to keep."""
    with InfluxFront(retention_s={"old": 7 * DAY_S}) as front:
        start(front.url, bucket="old", retention_days=365)
        assert front.retention_s == {"old": 7 * DAY_S}
    assert "keeps points for 7 days, the settings say 365 days" in caplog.text
    assert "WARNING" in caplog.text


def test_nothing_is_created_where_that_is_not_wanted(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Then the write is refused, and the log says how to create the bucket by hand."""
    with InfluxFront() as front:
        with pytest.raises(NotConnected, match="404"):
            start(front.url, bucket="new", create_buckets=False, retention_days=30)
        assert front.retention_s == {}
    assert "influx bucket create --org city --name new --retention 720h" in caplog.text


def test_a_token_that_may_not_create_is_named(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """With what the server says, and what to do."""
    rights = {"secret": ALL_RIGHTS - {"create"}}
    with InfluxFront(rights=rights) as front, pytest.raises(NotConnected, match="404"):
        start(front.url, bucket="new")
    assert "influx bucket create --org city --name new" in caplog.text
    assert "the token may not create it" in caplog.text
    assert "unauthorized" in caplog.text


def test_a_token_that_may_only_write_writes(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """It sees no buckets, and needs to see none: nobody is warned of anything."""
    rights = {"secret": frozenset({"write"})}
    with InfluxFront(rights=rights, retention_s={"hidden": 0}) as front:
        start(front.url, bucket="hidden")
        assert len(front.lines) == 1
    assert "WARNING" not in caplog.text


def test_a_retention_the_server_will_not_have_is_told(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """InfluxDB keeps points for an hour at least."""
    with InfluxFront() as front, pytest.raises(NotConnected):
        start(front.url, bucket="new", retention_days=0.01)
    assert "greater than or equal to one hour" in caplog.text


@pytest.mark.integration
def test_victoria_metrics_is_told_from_influxdb(
    victoria_metrics: VictoriaMetrics, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """It has no buckets; that is no reason to fail, and no warning."""
    caplog.set_level("INFO")
    start(victoria_metrics.url, bucket="new", retention_days=30)
    assert "this server has no buckets" in caplog.text
    assert "WARNING" not in caplog.text


# ---------------------------------------------------------------- lamppost doctor


def doctor(url: str, folder: Path, **given: Any) -> dict[str, tuple[bool, str]]:
    """Return what the self-check finds about InfluxDB."""
    token = SecretStr(given.pop("token", "secret"))
    chosen = application.InfluxDbSettings(enabled=True, url=url, token=token, **given)
    settings = application.Settings(
        influxdb=chosen,
        mqtt=application.MqttSettings(enabled=False),
        http=application.HttpSettings(enabled=False),
        data=application.DataSettings(dir=folder),
    )
    found = examine(settings)
    known = ("InfluxDB", "bucket")
    return {one.what: (one.right, one.detail) for one in found if one.what.startswith(known)}


def test_the_self_check_finds_everything_in_order(tmp_path: Path) -> None:
    """Server, clock, token and buckets."""
    with InfluxFront(retention_s={"lamppost": 0, "raw": 7 * DAY_S}) as front:
        found = doctor(front.url, tmp_path, readings_bucket="raw", readings_days=7)
    assert [what for what, (right, _) in found.items() if not right] == []
    assert list(found) == [
        "InfluxDB",
        "InfluxDB clock",
        "InfluxDB token",
        "bucket lamppost",
        "bucket raw",
    ]
    assert "InfluxDB v2.7.12" in found["InfluxDB"][1]
    assert found["bucket raw"][1] == "it is there and keeps points for 7 days"


def test_the_self_check_is_content_with_a_token_that_may_only_write(tmp_path: Path) -> None:
    """That is the token to give it where the buckets were made by hand."""
    rights = {"secret": frozenset({"write"})}
    with InfluxFront(rights=rights, retention_s={"lamppost": 0}) as front:
        found = doctor(front.url, tmp_path, retention_days=30)
    assert all(right for right, _ in found.values())
    assert "its retention is not known here" in found["bucket lamppost"][1]
    assert "may write and see no more" in found["InfluxDB token"][1]


def test_a_token_that_may_only_see_is_not_enough(tmp_path: Path) -> None:
    """The server's own refusal is what a write would meet."""
    with InfluxFront(rights={"secret": frozenset()}, retention_s={"lamppost": 0}) as front:
        right, _ = doctor(front.url, tmp_path)["bucket lamppost"]
    assert not right


def test_the_self_check_changes_nothing(tmp_path: Path) -> None:
    """A missing bucket is wrong, with the command that creates it."""
    with InfluxFront() as front:
        right, detail = doctor(front.url, tmp_path)["bucket lamppost"]
        assert front.retention_s == {}
    assert not right
    assert "influx bucket create --org city --name lamppost" in detail


@pytest.mark.parametrize(
    ("given", "what", "says"),
    [
        ({"token": "guess"}, "InfluxDB token", "the token is not known there"),
        ({"org": "village"}, "InfluxDB organization", "village does not exist"),
        ({"retention_days": 30}, "bucket lamppost", "the settings say 30 days"),
    ],
)
def test_the_self_check_names_what_is_wrong(
    given: dict[str, Any], what: str, says: str, tmp_path: Path
) -> None:
    """Each with what to do about it."""
    with InfluxFront(retention_s={"lamppost": 0}) as front:
        right, detail = doctor(front.url, tmp_path, **given)[what]
    assert not right
    assert says in detail


@pytest.mark.parametrize(("skew_s", "word"), [(3600.0, "ahead"), (-3600.0, "behind")])
def test_a_clock_that_is_wrong_is_noticed(skew_s: float, word: str, tmp_path: Path) -> None:
    """Retention goes by the clock of the server."""
    with InfluxFront(retention_s={"lamppost": 0}, skew_s=skew_s) as front:
        right, detail = doctor(front.url, tmp_path)["InfluxDB clock"]
    assert not right
    assert re.search(rf"(3599|3600|3601) s {word}", detail)


@pytest.mark.integration
def test_the_self_check_says_what_victoria_metrics_is(
    victoria_metrics: VictoriaMetrics, tmp_path: Path
) -> None:
    """Not InfluxDB, and right nevertheless."""
    found = doctor(victoria_metrics.url, tmp_path)
    assert all(right for right, _ in found.values())
    assert "is not InfluxDB 2: only writing is used" in found["InfluxDB"][1]
    assert "this server has no buckets" in found["bucket lamppost"][1]


def test_no_server_is_one_finding(tmp_path: Path) -> None:
    """What cannot be asked is not guessed at."""
    (found,) = doctor("http://127.0.0.1:1", tmp_path).values()
    assert not found[0]
    assert "cannot be reached" in found[1]


def test_another_program_at_the_address_is_wrong(tmp_path: Path) -> None:
    """Something answers, but no database."""
    with WriteServer(lambda _: Answer()) as server:
        right, detail = doctor(server.url, tmp_path)["InfluxDB"]
    assert not right
    assert "is influxdb.url right?" in detail
