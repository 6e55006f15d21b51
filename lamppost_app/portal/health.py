# SPDX-License-Identifier: EUPL-1.2
"""The state of the pipeline: for the health strip, for supervisors and for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final, Literal

import duckdb
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel

from ingest.broker_findings import Severity
from lamppost.system_rules import POLICY_RULE_ID
from lamppost.times import SECOND_NS
from lamppost_app.intake_status import IntakeStatus, read_status
from lamppost_app.reload import read_state
from lamppost_app.settings import sinks_in_use

from . import queries_health as queries
from .context import PortalContext, context_of
from .queries_alerts import open_sentence

# Intake writes a tick every second; ten that are missing are no hiccup.
_TICK_TOO_OLD_S: Final = 10.0
_CERTIFICATE_DAYS: Final = 30.0

router = APIRouter(include_in_schema=False)


class Health(BaseModel):
    """What the health strip shows.

    Attributes:
        last_reading_at: receipt of the newest reading, ns UTC.
        last_reading_age_s: how long ago that was.
        backlog: entries that wait, before the engine and before the store.
        quarantined_percent: part of what arrived in the last day that could not be used.
        received: messages of the last day.
        damaged: what of our own logs and of the store could not be read, as sentences.
        certificate_days: days the broker's certificate has left, once they are few.
    """

    last_reading_at: int | None
    last_reading_age_s: float | None
    backlog: int
    quarantined_percent: float
    received: int
    damaged: list[str]
    certificate_days: float | None = None


class Liveness(BaseModel):
    """The answer to supervisors.

    Attributes:
        status: "ok"; "degraded" when this process works but the newest inbox entry is more than
            10 s old, so that intake seems to stand still, or the engine is more than 10 s behind;
            "down" when this process cannot work.
        store_readable: whether the store answers.
        feed_alive: whether the store is still fed from the outbox.
        feed_lag_entries: outbox entries the store does not have yet.
        last_tick_age_s: age of the newest inbox entry; there is a tick every second.
        engine_behind_s: age of the oldest inbox entry the engine has not taken in; 0 without one.
        configuration_problem: why a changed configuration was refused, or its policy set aside by
            the engine; empty when what was read last is in force.
    """

    status: Literal["ok", "degraded", "down"]
    store_readable: bool
    feed_alive: bool
    feed_lag_entries: int | None
    last_tick_age_s: float | None
    engine_behind_s: float | None
    configuration_problem: str


def configuration_problem(context: PortalContext) -> str:
    """Return why the configuration that was read last is not in force, empty when it is.

    It was refused, or the engine failed under its policy and has set that aside.
    """
    state = read_state(context.settings.data.dir)
    if state is not None and state.problem:
        return state.problem
    try:
        return open_sentence(context.reader, POLICY_RULE_ID)
    except duckdb.Error:  # that the store cannot be read is said elsewhere
        return ""


def pipeline_health(context: PortalContext) -> Health:
    """Return the figures of the health strip."""
    now = context.clock.now_ns()
    received_at = queries.last_received(context.reader)
    ledger = queries.ledger_last_day(context.reader, now)
    unusable = ledger["quarantined"] + ledger["refused"]
    return Health(
        last_reading_at=received_at,
        last_reading_age_s=None if received_at is None else (now - received_at) / SECOND_NS,
        backlog=backlog(context),
        quarantined_percent=100 * unusable / max(1, ledger["received"]),
        received=ledger["received"],
        damaged=_damaged(context),
        certificate_days=certificate_days(context),
    )


def _damaged(context: PortalContext) -> list[str]:
    entries = [] if context.cursors is None else context.cursors.damages()
    return [*map(str, entries), *(f"store.duckdb: {one}" for one in context.store_damages())]


def backlog(context: PortalContext) -> int:
    """Return how many entries wait before the engine and before the store."""
    waiting = feed_lag(context)
    position = context.engine_position()
    if position is not None:
        waiting += max(0, context.inbox.last() - position)
    return waiting


def feed_lag(context: PortalContext) -> int:
    """Return how many outbox entries the store does not have yet."""
    return max(0, context.outbox.last() - context.store.cursor())


def last_tick_age_s(context: PortalContext) -> float | None:
    """Return the age of the newest inbox entry, and there is a tick every second or so."""
    newest = context.inbox.read(context.inbox.last() - 1, 1)
    if not newest:
        return None
    return (context.clock.now_ns() - newest[0].at) / SECOND_NS


def engine_behind_s(context: PortalContext) -> float | None:
    """Return how old the oldest entry is that the engine has not taken in; None if not known."""
    position = context.engine_position()
    if position is None:
        return None
    waiting = context.inbox.read(position, 1)
    return max(0.0, (context.clock.now_ns() - waiting[0].at) / SECOND_NS) if waiting else 0.0


def liveness(context: PortalContext) -> Liveness:
    """Return whether the portal can do its work, and whether the rest seems to do theirs."""
    try:
        context.reader.number("SELECT 1")
        readable = True
    except duckdb.Error:
        readable = False
    try:
        lag: int | None = feed_lag(context)
        tick_age, behind = last_tick_age_s(context), engine_behind_s(context)
    except OSError:
        lag, tick_age, behind = None, None, None
    works = readable and context.feed_alive() and lag is not None
    fresh = tick_age is not None and max(tick_age, behind or 0.0) < _TICK_TOO_OLD_S
    return Liveness(
        status="down" if not works else "ok" if fresh else "degraded",
        store_readable=readable,
        feed_alive=context.feed_alive(),
        feed_lag_entries=lag,
        last_tick_age_s=tick_age,
        engine_behind_s=behind,
        configuration_problem=configuration_problem(context),
    )


@router.get("/healthz")
def healthz(request: Request) -> JSONResponse:
    """Answer a supervisor: 503 when this process cannot do its work."""
    found = liveness(context_of(request))
    status = HTTPStatus.SERVICE_UNAVAILABLE if found.status == "down" else HTTPStatus.OK
    headers = {"Cache-Control": "no-store"}
    return JSONResponse(found.model_dump(), status_code=status, headers=headers)


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Answer Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Figures(context_of(request)))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def broker_status(context: PortalContext) -> IntakeStatus | None:
    """Return what the intake knows of its broker, None where there is no MQTT."""
    if not context.settings.mqtt.enabled:
        return None
    return read_status(context.settings.intake_status_path)


def certificate_days(context: PortalContext) -> float | None:
    """Return how many days the broker's certificate has left when it is time to say so."""
    status = broker_status(context)
    days = None if status is None else status.certificate_days(context.clock.now_ns())
    return days if days is not None and days <= _CERTIFICATE_DAYS else None


def _broker_gauges(context: PortalContext) -> dict[str, tuple[str, float]]:
    status = broker_status(context)
    if status is None:
        return {}
    losing = sum(one.severity == Severity.LOSES_DATA.value for one in status.findings)
    gauges: dict[str, tuple[str, float]] = {
        "lamppost_broker_connected": ("Whether the MQTT broker has us.", float(status.connected)),
        "lamppost_broker_losing_findings": ("Findings of the self-check that lose data.", losing),
    }
    if status.certificate_expires_at is not None:
        gauges["lamppost_broker_certificate_expiry_timestamp_seconds"] = (
            "When the broker's certificate expires, seconds since 1970.",
            status.certificate_expires_at,
        )
    return gauges


class _Figures(Collector):
    """The figures of the pipeline; labels are bounded, a sensor is never one."""

    def __init__(self, context: PortalContext) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        health = pipeline_health(self._context)
        reader = self._context.reader
        yield self._messages(queries.ledger_by_source(reader))
        yield CounterMetricFamily(
            "lamppost_store_entries", "Outbox entries stored.", value=self._context.store.cursor()
        )
        yield self._quarantined(queries.quarantined_by_code(reader))
        rows = GaugeMetricFamily("lamppost_store_rows", "Rows of the store.", labels=["table"])
        for name, count in queries.table_sizes(reader).items():
            rows.add_metric([name], count)
        yield rows
        alerts = GaugeMetricFamily("lamppost_alerts_open", "Open alerts.", labels=["severity"])
        for severity, count in queries.open_alerts_by_severity(reader).items():
            alerts.add_metric([severity], count)
        yield alerts
        cut = CounterMetricFamily(
            "lamppost_connections_cut", "Connections cut, by cause.", labels=["cause"]
        )
        for cause, count in self._context.doorkeeper.cut.items():
            cut.add_metric([cause], count)
        yield cut
        yield self._sink_lag()
        yield from self._configuration()
        yield self._damaged()
        gauges = {
            "lamppost_backlog_entries": ("Entries that wait.", health.backlog),
            "lamppost_last_reading_age_seconds": (
                "Age of the newest reading.",
                float("nan") if health.last_reading_age_s is None else health.last_reading_age_s,
            ),
            **_broker_gauges(self._context),
            "lamppost_live_listeners": ("Pages on the live channel.", self._context.live.listeners),
        }
        for name, (documentation, value) in gauges.items():
            yield GaugeMetricFamily(name, documentation, value=value)

    def _configuration(self) -> Iterator[Metric]:
        state = read_state(self._context.settings.data.dir)
        if state is not None:
            yield GaugeMetricFamily(
                "lamppost_configuration_accepted",
                "Whether the configuration read last was taken.",
                value=int(state.accepted),
            )
            yield GaugeMetricFamily(
                "lamppost_configuration_read_seconds",
                "When the configuration was last read, since 1970.",
                value=state.at / SECOND_NS,
            )
            yield GaugeMetricFamily(
                "lamppost_settings_need_restart",
                "Settings that differ from those in use.",
                value=len(state.restart),
            )

    def _sink_lag(self) -> Metric:
        lag = GaugeMetricFamily(
            "lamppost_sink_lag_entries", "Outbox entries a sink does not have yet.", labels=["sink"]
        )
        last = self._context.outbox.last()
        positions = {} if self._context.cursors is None else self._context.cursors.positions()
        for sink in sinks_in_use(self._context.settings):
            lag.add_metric([sink], max(0, last - positions.get(sink, 0)))
        return lag

    def _damaged(self) -> Metric:
        family = GaugeMetricFamily(
            "lamppost_damaged_entries", "Entries of our logs that cannot be read.", labels=["log"]
        )
        cursors = self._context.cursors
        sums: dict[str, int] = {}
        for damage in () if cursors is None else cursors.damages():
            sums[damage.log] = sums.get(damage.log, 0) + damage.entries
        for name in ("inbox.db", "outbox.db"):
            family.add_metric([name], sums.get(name, 0))
        return family

    @staticmethod
    def _messages(ledger: list[dict[str, Any]]) -> Metric:
        family = CounterMetricFamily(
            "lamppost_ledger_items",
            "Readings and unreadable payloads, by door and by what became of them.",
            labels=["source", "outcome"],
        )
        for row in ledger:
            for outcome in ("accepted", "duplicate", "quarantined", "refused"):
                family.add_metric([row["source"], outcome], row[outcome])
        return family

    @staticmethod
    def _quarantined(counts: dict[str, int]) -> Metric:
        family = GaugeMetricFamily(
            "lamppost_quarantine_messages",
            "Messages in quarantine by code; rate_limited are those of devices over their limit.",
            labels=["code"],
        )
        for code, count in counts.items():
            family.add_metric([code], count)
        return family
