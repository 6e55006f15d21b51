# SPDX-License-Identifier: EUPL-1.2
"""Outbox entries as rows of the published tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lamppost import eea
from lamppost.batch import STATISTICS, AggregateBatch, Columns, IndexBatch
from lamppost.flags import FLAG_NAMES, FlagArray
from lamppost.frames import arrow_batch
from lamppost.periods import resolution_name, resolutions
from lamppost.series import SeriesKey
from lamppost.stations import Station
from sinks.index_tables import index_tables
from sinks.instant_texts import local_text
from sinks.series_names import SeriesNames, policy_of, unit_of
from sinks.text_columns import TextColumn, pick, spelled, texts

from .fields import AGGREGATES, INDICES, STATIONS
from .schema import Table

_MICROSECOND_NS: Final = 1_000
_ALWAYS: Final = ("expected", "coverage", "mean", "min", "max", "sd", "total")
# Typed loosely: the Arrow stubs know no arrays of mixed types.
_arrow: Any = pa


def aggregate_rows(body: bytes, names: SeriesNames) -> tuple[AggregateBatch, pa.Table]:
    """Return the aggregates of an entry and, row by row, what is published of them."""
    columns = arrow_batch(body)
    batch = AggregateBatch.from_arrow(columns)
    end = batch.start + batch.length
    published = {
        **_series(batch.series, names),
        **_numbers(batch, (*_ALWAYS, *STATISTICS)),
        **_counts(batch, ("count", "suspect", "excluded", "revision")),
        "window": spelled(resolutions(batch.length, batch.calendar), resolution_name),
        "window_start": _instants(batch.start),
        "window_end": _instants(end),
        "window_start_local": local_text(batch.start, names.zone()),
        "window_end_local": local_text(end, names.zone()),
        "quality": spelled(batch.flag, lambda flag: FLAG_NAMES.get(flag, "missing")),
        "policy": _repeated(policy_of(columns, names), len(batch)),
        "method": _repeated(names.method(), len(batch)),
        **_reported(batch.flag),
    }
    return batch, _table(AGGREGATES, published)


def index_rows(body: bytes, names: SeriesNames) -> tuple[IndexBatch, pa.Table]:
    """Return the index values of an entry and, row by row, what is published of them."""
    columns = arrow_batch(body)
    batch = IndexBatch.from_arrow(columns)
    published = {
        **_series(batch.series, names),
        **_numbers(batch, ("value", "concentration", "coverage")),
        **_counts(batch, ("revision",)),
        "category": _arrow.array(batch.category.astype(np.int64), mask=batch.category == 0),
        "beyond": _arrow.array(batch.beyond != 0),
        "index": spelled(batch.index, names.index_name),
        "period_end": _instants(batch.end),
        "policy": _repeated(policy_of(columns, names), len(batch)),
        **index_tables(columns)._asdict(),
    }
    return batch, _table(INDICES, published)


def station_rows(stations: Iterable[Station]) -> pa.Table:
    """Return the registered stations, sorted."""
    rows = [
        {"station": station.sensor, **station.model_dump(exclude={"sensor"})}
        for station in sorted(stations, key=lambda station: station.sensor)
    ]
    table: pa.Table = _arrow.Table.from_pylist(rows, schema=STATIONS.arrow_schema())
    return table


def _series(codes: npt.NDArray[np.int32], names: SeriesNames) -> dict[str, TextColumn]:
    distinct, rows = np.unique(codes, return_inverse=True)
    keys: list[SeriesKey] = [names.series[int(code)] for code in distinct]
    columns = {
        "station": [key.sensor for key in keys],
        "quantity": [key.quantity for key in keys],
        "qualifiers": [key.qualifiers for key in keys],
        "unit": [unit_of(key.quantity) for key in keys],
    }
    return {name: pick(texts(values), rows) for name, values in columns.items()}


def _numbers(batch: Columns, names: Iterable[str]) -> dict[str, Any]:
    columns = {name: getattr(batch, name) for name in names}
    return {
        name: _arrow.array(column, mask=~np.isfinite(column)) for name, column in columns.items()
    }


def _reported(flag: FlagArray) -> dict[str, Any]:
    """Return what the EEA's reporting calls the quality of windows."""
    codes = eea.window_validity(flag).astype(np.int64)
    return {
        "validity": _arrow.array(codes, mask=codes == eea.NO_ROW),
        "verification": _arrow.array(np.full(len(flag), eea.NOT_VERIFIED, np.int64)),
    }


def _counts(batch: Columns, names: Iterable[str]) -> dict[str, Any]:
    return {name: _arrow.array(getattr(batch, name).astype(np.int64)) for name in names}


def _instants(time_ns: npt.NDArray[np.int64]) -> Any:  # noqa: ANN401 - an Arrow array of instants
    return _arrow.array(time_ns // _MICROSECOND_NS).cast(pa.timestamp("us", tz="UTC"))


def _repeated(text: str, count: int) -> TextColumn:
    return pick(texts([text]), np.zeros(count, np.int64))


def _table(table: Table, published: Mapping[str, Any]) -> pa.Table:
    schema = table.arrow_schema()
    columns = [published[name].cast(schema.field(name).type) for name in schema.names]
    made: pa.Table = _arrow.Table.from_arrays(columns, schema=schema)
    return made
