# SPDX-License-Identifier: EUPL-1.2
"""Dashboards and data source agree with the layout of points, with each other and with a server."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from lamppost.periods import CALENDAR_NAMES
from lamppost.series import SeriesKey
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS
from sinks.influxdb import InfluxdbSink, InfluxSettings
from sinks.line_protocol import LAYOUT
from tests.influx_front import InfluxFront
from tests.outbox_entries import (
    aggregates_entry,
    alerts_entry,
    indices_entry,
    readings_entry,
    rules_entry,
    series_entry,
)
from tests.services import InfluxDB, influxdb

__all__ = ["influxdb"]

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
BOARDS = {
    path.name: json.loads(path.read_text("utf-8"))
    for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
WINDOWS = {"1min", "15min", "1h", "8h", "24h", *CALENDAR_NAMES.values()}


class Query(NamedTuple):
    """One question a dashboard asks."""

    board: str
    title: str
    text: str


def _queries() -> list[Query]:
    found = []
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            found += [Query(name, panel["title"], target["query"]) for target in panel["targets"]]
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                found.append(Query(name, variable["name"], variable["query"]["query"]))
    return found


QUERIES = _queries()


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.board} {query.title}")
def test_a_query_uses_documented_names_only(query: Query) -> None:
    """Measurements, tags, fields and windows are those of the published layout."""
    (measurement,) = re.findall(r'FROM "(\w+)"', query.text)
    layout = LAYOUT[measurement]
    own = set(re.findall(r'AS "(\w+)"', query.text)) | {measurement}
    named = set(re.findall(r'"(\w+)"', query.text)) - own

    assert named <= {*layout.tags, *layout.fields}
    assert set(re.findall(r'KEY = "(\w+)"', query.text)) <= set(layout.tags)
    for group in re.findall(r"GROUP BY ([^)]*?)(?:fill|\)|$)", query.text):
        assert set(re.findall(r'"(\w+)"', group)) <= set(layout.tags)
    literals = set(re.findall(r"\"window\" = '([^']*)'", query.text))
    assert literals <= {*WINDOWS, "${window}"}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.board} {query.title}")
def test_a_query_uses_variables_that_exist(query: Query) -> None:
    """No query waits for a variable nobody defines, and none asks for all of time."""
    defined = {variable["name"] for variable in BOARDS[query.board]["templating"]["list"]}

    assert set(re.findall(r"\$\{(\w+)", query.text)) <= defined
    assert query.text.startswith("SHOW") or "$timeFilter" in query.text or "now() -" in query.text


def test_together_the_dashboards_show_every_measurement() -> None:
    """Nothing that is written is out of sight."""
    shown = {name for query in QUERIES for name in re.findall(r'FROM "(\w+)"', query.text)}

    assert shown == set(LAYOUT)


def test_every_window_can_be_chosen() -> None:
    """The choice of windows is that of the layout."""
    (choice,) = (
        variable
        for variable in BOARDS["station.json"]["templating"]["list"]
        if variable["name"] == "window"
    )

    assert {option["value"] for option in choice["options"]} == WINDOWS
    assert set(choice["query"].split(",")) == WINDOWS


# ---------------------------------------------------------------- the form of a dashboard


class Loose(BaseModel):
    """The part of Grafana's dashboard model that is relied on."""

    model_config = ConfigDict(strict=True)


class Place(Loose):
    """Where a panel is; the grid is 24 wide."""

    x: int = Field(ge=0)
    y: int = Field(ge=0)
    w: int = Field(gt=0, le=24)
    h: int = Field(gt=0)


class Source(Loose):
    """Which data source."""

    type: str
    uid: str


class Target(Loose):
    """One query of a panel."""

    refId: str = Field(pattern="^[A-Z]$")  # noqa: N815 - Grafana's name
    datasource: Source
    rawQuery: bool  # noqa: N815 - Grafana's name
    resultFormat: str = Field(pattern="^(time_series|table)$")  # noqa: N815 - Grafana's name
    query: str


class Panel(Loose):
    """One panel."""

    id: int
    type: str = Field(pattern="^(stat|gauge|table|timeseries|state-timeline)$")
    title: str = Field(min_length=3)
    description: str = Field(min_length=10)
    gridPos: Place  # noqa: N815 - Grafana's name
    datasource: Source
    targets: list[Target] = Field(min_length=1)
    fieldConfig: dict[str, Any]  # noqa: N815 - Grafana's name
    options: dict[str, Any]


class Board(Loose):
    """One dashboard."""

    uid: str = Field(pattern="^[a-z-]{1,40}$")
    title: str
    schemaVersion: int = Field(ge=36)  # noqa: N815 - Grafana's name
    panels: list[Panel] = Field(min_length=1)
    links: list[dict[str, Any]]


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_dashboard_has_the_form_grafana_reads(name: str) -> None:
    """Panels have identities and places of their own and lie within the grid."""
    board = Board.model_validate(BOARDS[name])
    identities = [panel.id for panel in board.panels]
    cells = [
        (column, row)
        for panel in board.panels
        for column in range(panel.gridPos.x, panel.gridPos.x + panel.gridPos.w)
        for row in range(panel.gridPos.y, panel.gridPos.y + panel.gridPos.h)
    ]

    assert len(set(identities)) == len(identities)
    assert len(set(cells)) == len(cells), "two panels lie on one another"
    assert max(column for column, _ in cells) < 24
    for panel in board.panels:
        letters = [target.refId for target in panel.targets]
        assert len(set(letters)) == len(letters)


def test_links_between_dashboards_lead_somewhere() -> None:
    """Each goes to a dashboard that is provisioned."""
    known = {board["uid"] for board in BOARDS.values()}
    targets = {link["url"] for board in BOARDS.values() for link in board["links"]}

    assert len(known) == len(BOARDS)
    assert targets <= {f"/d/{uid}" for uid in known}


def test_dashboards_use_the_provisioned_data_source() -> None:
    """Panels refer to the data source by the identity it is provisioned with."""
    path = GRAFANA / "provisioning" / "datasources" / "influxdb.yaml"
    (source,) = yaml.safe_load(path.read_text("utf-8"))["datasources"]
    influx = SERVICES["influxdb"]["environment"]
    text = json.dumps(BOARDS)

    used = set(re.findall(r'"uid": "([^"]+)"', text)) - {one["uid"] for one in BOARDS.values()}

    assert used == {source["uid"]}
    assert source["jsonData"]["version"] == "InfluxQL"
    assert source["jsonData"]["dbName"] == influx["DOCKER_INFLUXDB_INIT_BUCKET"]
    assert source["jsonData"]["httpHeaderName1"] == "Authorization"
    kind, _, variable = source["secureJsonData"]["httpHeaderValue1"].partition(" $")
    assert kind == "Token"
    assert variable in SERVICES["grafana"]["environment"]


def test_grafana_finds_the_dashboards_where_they_are_mounted() -> None:
    """The provider's folder is a mount of the Grafana service, and the home dashboard is in it."""
    path = GRAFANA / "provisioning" / "dashboards" / "lamppost.yaml"
    (provider,) = yaml.safe_load(path.read_text("utf-8"))["providers"]
    mounts = {mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]}
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert provider["options"]["path"] in mounts
    assert Path(home).parent == Path(provider["options"]["path"])
    assert Path(home).name in BOARDS


# ---------------------------------------------------------------- asked of a real server


@pytest.fixture(scope="module")
def city(influxdb: InfluxDB) -> Iterator[tuple[InfluxDB, str]]:
    """Return a database with the last day of a station, written by the sink."""
    bucket = f"city {time.monotonic_ns()}"
    hour = time.time_ns() // HOUR_NS * HOUR_NS - HOUR_NS
    starts = hour - HOUR_NS * np.arange(24)
    statistics = dict.fromkeys(("q05", "q50", "q95"), 12.0)
    calendar = {"day": 1, "month": 2, "year": 3}
    ledger = {"rule": "ledger_imbalance", "sensor": "", "quantity": "", "severity": "critical"}
    entries = [
        aggregates_entry(3, start=starts, flag=[1, 3, 9], revision=[0, 0, 1], **statistics),
        *(
            aggregates_entry(4, start=starts[:2], length=length, **statistics)
            for length in (MINUTE_NS, 15 * MINUTE_NS, 8 * HOUR_NS, DAY_NS)
        ),
        *(
            aggregates_entry(5, start=starts[:2], length=DAY_NS, calendar=number, **statistics)
            for number in calendar.values()
        ),
        readings_entry(6, time=starts + MINUTE_NS, expected=[1.0], band_low=[0.5], band_high=[2.0]),
        indices_entry(7, end=starts),
        alerts_entry(8, at=int(hour)),
        alerts_entry(9, at=int(hour), **ledger),
    ]
    with InfluxFront(influxdb, retention_s={bucket: 0}) as front:
        sink = InfluxdbSink(InfluxSettings(url=front.url, bucket=bucket, token="secret"))
        sink.prime([series_entry(1, [SeriesKey("aq-017", "pm2_5")]), rules_entry(2)])
        sink.write(entries, 9)
        sink.close()
        yield influxdb, bucket


@pytest.mark.integration
@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.board} {query.title}")
def test_a_real_server_answers_every_query(city: tuple[InfluxDB, str], query: Query) -> None:
    """Each finds points, in the form Grafana fills it in."""
    database, bucket = city
    text = query.text.replace("$timeFilter", "time >= now() - 24h AND time <= now()")
    text = text.replace("${station}", "aq-017").replace("${quantity:regex}", ".*")
    text = text.replace("${quantity}", "pm2_5")
    windows = sorted(WINDOWS) if "${window}" in text else [""]
    for window in windows:
        asked = text.replace("${window}", window)
        assert "$" not in asked.replace("/^.*$/", "")

        series = database.do(asked, bucket)

        values = [row[1:] for one in series for row in one["values"]]
        assert any(value is not None for row in values for value in row), (asked, series)
