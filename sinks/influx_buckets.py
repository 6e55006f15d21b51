# SPDX-License-Identifier: EUPL-1.2
"""The buckets points go to: looked for at the start, created where the token may, and checked."""

from __future__ import annotations

from typing import Final, NamedTuple

from lamppost import events

from .influx_api import InfluxApi, Reply
from .influx_settings import InfluxSettings

_DAY_S: Final = 86_400
_CLOCK_S: Final = 30.0
_SERVERS_OWN: Final = "this server has no buckets: how long it keeps points is its own setting"
_HIDDEN: Final = "the token may write to it and see no more, so its retention is not known here"


class Finding(NamedTuple):
    """One thing looked at.

    Attributes:
        what: which thing.
        right: whether it is as it should be.
        detail: what was found, and what to do.
    """

    what: str
    right: bool
    detail: str


def wanted_buckets(settings: InfluxSettings) -> dict[str, float | None]:
    """Return the buckets in use, each with the days it is to keep points."""
    wanted = {settings.bucket: settings.retention_days}
    if settings.readings and settings.readings_bucket:
        wanted.setdefault(settings.readings_bucket, settings.readings_days)
    if settings.minutes_bucket:
        wanted.setdefault(settings.minutes_bucket, settings.minutes_days)
    return wanted


def open_api(settings: InfluxSettings) -> InfluxApi:
    """Return what asks the server of the settings."""
    token = settings.token.get_secret_value()
    return InfluxApi(settings.url, settings.org, token, settings.timeout_s)


def prepare(api: InfluxApi, settings: InfluxSettings) -> None:
    """Have every bucket there before the first write, or say what is missing.

    Never an error: a token that may only write cannot see buckets, and its writes succeed.

    Raises:
        NotConnected: there is no server.
    """
    for bucket, days in wanted_buckets(settings).items():
        finding = look(api, settings, bucket, days, create=settings.create_buckets)
        say = events.info if finding.right else events.warning
        say("influxdb_bucket", bucket=bucket, url=settings.url, found=finding.detail)


def look(
    api: InfluxApi, settings: InfluxSettings, bucket: str, days: float | None, *, create: bool
) -> Finding:
    """Look for a bucket, and create it if told to.

    Raises:
        NotConnected: there is no server.
    """
    what = f"bucket {bucket}"
    found = api.bucket(bucket)
    if found.answer == "unsupported":
        return Finding(what, right=True, detail=_SERVERS_OWN)
    if found.answer == "found":
        return _kept(what, found.retention_s, days)
    if api.may_write(bucket):
        return Finding(what, right=True, detail=_HIDDEN)
    if not create:
        return Finding(what, right=False, detail=_missing(settings, bucket, days))
    reply = api.create_bucket(bucket, round((days or 0) * _DAY_S))
    if reply.answer == "found":
        return Finding(
            what, right=True, detail=f"created, it {_keeps(round((days or 0) * _DAY_S))}"
        )
    detail = f"{_missing(settings, bucket, days)} {_why_not(reply)}"
    return Finding(what, right=False, detail=detail)


def examine(settings: InfluxSettings) -> list[Finding]:
    """Look at server, clock, token, organization and buckets; change nothing.

    Raises:
        NotConnected: there is no server.
    """
    api = open_api(settings)
    try:
        health = api.server()
        buckets = [
            look(api, settings, bucket, days, create=False)
            for bucket, days in wanted_buckets(settings).items()
        ]
        found = [_server(settings, health), _clock(api, health)]
        if health.content.get("name") == "influxdb":
            found.append(_credential(api, settings, needed=not all(one.right for one in buckets)))
        return found + buckets
    finally:
        api.close()


def _server(settings: InfluxSettings, health: Reply) -> Finding:
    name, version = (str(health.content.get(key, "")) for key in ("name", "version"))
    if name == "influxdb":
        right = health.content.get("status") == "pass"
        detail = f"{settings.url} is InfluxDB {version or 'of unknown version'}"
        return Finding("InfluxDB", right, detail if right else f"{detail}, not ready")
    detail = f"{settings.url} answers {health.status}, but is not InfluxDB 2"
    if health.status == 200:
        return Finding("InfluxDB", right=True, detail=f"{detail}: only writing is used")
    return Finding("InfluxDB", right=False, detail=f"{detail}: is influxdb.url right?")


def _clock(api: InfluxApi, health: Reply) -> Finding:
    skew_s = api.skew_s(health)
    if skew_s is None:
        return Finding("InfluxDB clock", right=True, detail="it does not say")
    if abs(skew_s) <= _CLOCK_S:
        return Finding("InfluxDB clock", right=True, detail="as ours")
    ahead = "ahead of" if skew_s > 0 else "behind"
    problem = f"{abs(skew_s):.0f} s {ahead} ours: retention goes by it; set one of them by NTP"
    return Finding("InfluxDB clock", right=False, detail=problem)


def _credential(api: InfluxApi, settings: InfluxSettings, *, needed: bool) -> Finding:
    reply = api.ask("/api/v2/buckets", {"limit": "1"})
    if reply.status == 401:
        problem = "the token is not known there: check LAMPPOST_INFLUXDB__TOKEN"
        return Finding("InfluxDB token", right=False, detail=problem)
    if api.organization():
        detail = f"known, sees organization {settings.org}"
        return Finding("InfluxDB token", right=True, detail=detail)
    if not needed:
        return Finding("InfluxDB token", right=True, detail="known, may write and see no more")
    problem = f"organization {settings.org} does not exist, or the token may not see it"
    return Finding("InfluxDB organization", right=False, detail=f"{problem}: set influxdb.org")


def _kept(what: str, retention_s: int | None, days: float | None) -> Finding:
    if retention_s is None:
        return Finding(what, right=True, detail="it is there")
    if days is None or round(days * _DAY_S) == retention_s:
        return Finding(what, right=True, detail=f"it is there and {_keeps(retention_s)}")
    problem = f"it {_keeps(retention_s)}, the settings say {days:g} days (0: for ever); change one"
    return Finding(what, right=False, detail=problem)


def _keeps(retention_s: int) -> str:
    return f"keeps points for {retention_s / _DAY_S:g} days" if retention_s else "keeps points"


def _missing(settings: InfluxSettings, bucket: str, days: float | None) -> str:
    retention = f" --retention {round(days * 24)}h" if days else ""
    command = f"influx bucket create --org {settings.org} --name {bucket}{retention}"
    return f"it does not exist, or the token may not see it; create it: {command}"


def _why_not(reply: Reply) -> str:
    if reply.answer == "refused":
        return f"(the token may not create it: {reply.text})"
    if reply.status == 422:
        return f"(the server refused to create it: {reply.text})"
    return f"(it could not be created: {reply.status} {reply.text})"
