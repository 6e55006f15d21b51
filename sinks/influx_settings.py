# SPDX-License-Identifier: EUPL-1.2
"""Which InfluxDB points go to, and how much of what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from lamppost.component import Settings


class InfluxSettings(Settings):
    """Where to write, and how much.

    Attributes:
        url: address of the server.
        org: organization, by name or id.
        bucket: where the points go.
        retention_days: days this bucket is to keep points, 0 for ever; used when it is created, and
            compared with what it has. Not set: whatever the bucket has, for ever if it is created.
        readings_bucket: a bucket of its own for single readings.
        readings_days: the same for that bucket.
        minutes_bucket: a bucket of its own for aggregates of less than an hour.
        minutes_days: the same for that bucket.
        create_buckets: create a bucket that is not there, if the token may.
        token: credential with the right to write to the buckets; keep it in
            LAMPPOST_INFLUXDB__TOKEN.
        readings: write every judged reading too, not only aggregates, indices and alerts.
        timeout_s: longest time a request may take, from connecting to the end of the answer.
        request_bytes: largest request, before compression.
        gzip: compress requests; "auto" does unless the server is on this machine.
    """

    url: str = "http://127.0.0.1:8086"
    org: str = "city"
    bucket: str = "lamppost"
    retention_days: float | None = Field(default=None, ge=0)
    readings_bucket: str = ""
    readings_days: float | None = Field(default=None, ge=0)
    minutes_bucket: str = ""
    minutes_days: float | None = Field(default=None, ge=0)
    create_buckets: bool = True
    token: SecretStr = SecretStr("")
    readings: bool = True
    timeout_s: float = Field(default=30.0, gt=0)
    request_bytes: int = Field(default=2_000_000, ge=1_000)
    gzip: Literal["auto", "on", "off"] = "auto"
