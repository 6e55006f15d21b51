# SPDX-License-Identifier: EUPL-1.2
"""What the programming interface returns."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, Field

Item = TypeVar("Item", bound=BaseModel)


class Page(BaseModel, Generic[Item]):
    """Some of the items, and the way to the following ones.

    Attributes:
        items: in the order of the interface's key.
        next: address of the following page; none on the last one.
        licence: address of the licence of the data.
    """

    items: list[Item]
    next: str | None = None
    licence: str


class StationItem(BaseModel):
    """A station of the registry, or one that was only heard."""

    sensor: str
    name: str
    kind: str
    area: str
    owner: str
    licence: str = Field(description="SPDX id of the licence of its data.")
    latitude: float | None
    longitude: float | None
    period_s: float | None = Field(description="Nominal seconds between its readings.")
    last_received_at: str | None
    open_alerts: int
    state: str = Field(description="ok, info, warning, critical, silent or never.")


class _SeriesItem(BaseModel):
    station: str
    quantity: str
    qualifiers: str = Field(description="channel, lane, direction ... as key=value;key=value")
    area: str
    unit: str = Field(description="UCUM code.")


class LatestItem(_SeriesItem):
    """The newest reading of a series."""

    time: str
    received_at: str
    value: float | None
    flag: str
    reasons: list[str]
    score: float | None
    expected: float | None
    band_low: float | None
    band_high: float | None
    revision: int
    policy: str = Field(description="Version of the policy that judged it.")


class AggregateItem(_SeriesItem):
    """The statistics of a window, the newest revision."""

    window: str
    start: str
    end: str
    revision: int
    count: int
    expected: float
    coverage: float = Field(description="Part of the window the readings account for, 0 to 1.")
    mean: float | None
    min: float | None
    max: float | None
    sd: float | None
    total: float | None
    first: float | None
    last: float | None
    q05: float | None
    q25: float | None
    q50: float | None
    q75: float | None
    q95: float | None
    time_weighted: float | None
    harmonic: float | None
    volume_weighted: float | None
    resultant: float | None
    rate: float | None
    suspect: int
    excluded: int
    flag: str
    policy: str


class IndexItem(_SeriesItem):
    """A health index of one pollutant."""

    index: str
    end: str = Field(description="End of the averaging period.")
    revision: int
    concentration: float | None
    value: float | None
    category: int = Field(description="1 (best) upwards; 0 without a value.")
    coverage: float
    beyond: bool = Field(description="Whether the value lies beyond the index's published table.")
    policy: str


class AlertItem(BaseModel):
    """An alert as it stands."""

    alert_id: str
    state: str = Field(description="open, acknowledged or resolved.")
    severity: str
    rule: str
    title: str
    policy: str
    sensor: str
    station: str
    area: str
    quantity: str
    qualifiers: str
    since: str
    changed_at: str
    observed: float | None
    expected: float | None
    band_low: float | None
    band_high: float | None
    unit: str
    sentence: str
    clears_when: str
    acknowledged_at: str | None


class LedgerItem(BaseModel):
    """What arrived from a sensor in an hour, and what became of it."""

    source: str
    station: str
    hour: str
    received: int
    accepted: int
    duplicate: int
    quarantined: int
    refused: int
    balanced: bool = Field(description="Whether everything received is accounted for.")


class BalanceItem(BaseModel):
    """What a destination holds of what was accepted from a sensor in an hour."""

    sink: str
    station: str
    hour: str
    accepted: int | None = Field(description="None where it was not compared yet.")
    stored: int
    refused: int = Field(description="Readings the destination would not take.")
    balanced: bool | None


class QuarantineItem(BaseModel):
    """A message that could not be used; its bytes are not published."""

    id: str
    received_at: str
    source: str
    route: str
    station: str = Field(description="Sensor identity, as far as it could be read.")
    code: str
    meaning: str
    detail: str
    bytes: int
    state: str = Field(description="waiting, replayed or dropped.")
    changed_at: str | None
