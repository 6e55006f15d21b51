# SPDX-License-Identifier: EUPL-1.2
"""A snapshot's stored form: named arrays and one JSON document, without pickling."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from lamppost.state import Snapshot


def pack(arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> bytes:
    """Return arrays by name and a JSON-able document as bytes."""
    text = json.dumps(facts, sort_keys=True).encode()
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{"": np.frombuffer(text, np.uint8)}, **arrays)
    return buffer.getvalue()


def unpack(body: bytes) -> tuple[Snapshot, dict[str, Any]]:
    """Undo :func:`pack`."""
    with np.load(io.BytesIO(body), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if name}
        facts: dict[str, Any] = json.loads(stored[""].tobytes())
    return arrays, facts
