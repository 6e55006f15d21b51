# SPDX-License-Identifier: EUPL-1.2
"""Counter-based noise: every deviate is a pure function of a key and a counter.

Nothing here remembers a state, so any window of time, cut in any way, sees the same noise.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Instants = NDArray[np.int64]
Keys = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def key_of(seed: int, *words: str) -> int:
    """Return a 64-bit key for a seed and some words, the same on every machine."""
    text = "\x1f".join((str(seed), *words))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def keys_of(seed: int, words: list[str]) -> Keys:
    """Return one key for each word."""
    return np.array([key_of(seed, word) for word in words], dtype=np.uint64)


def mix(bits: Keys) -> Keys:
    """Scramble 64-bit words (the finaliser of splitmix64, with wrap-around)."""
    bits = bits + _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


def derive(keys: Keys, purpose: str) -> Keys:
    """Return keys for one purpose, independent of the same keys for another."""
    return mix(np.atleast_1d(keys) ^ np.uint64(key_of(0, purpose)))


def uniform(keys: Keys, counter: Instants) -> Floats:
    """Return deviates in [0, 1) for each key and counter."""
    bits = mix(np.atleast_1d(keys) ^ mix(np.atleast_1d(counter).astype(np.uint64)))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(keys: Keys, counter: Instants) -> Floats:
    """Return standard normal deviates for each key and counter (Box and Muller)."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(keys, counter)))
    angle = uniform(derive(keys, "angle"), counter)
    deviates: Floats = radius * np.cos(2.0 * np.pi * angle)
    return deviates


def smooth(keys: Keys, time_ns: Instants, scale_s: float) -> Floats:
    """Return a smooth random course of about unit size that turns within `scale_s` seconds."""
    scale_ns = int(scale_s * 1e9)
    step = np.floor_divide(time_ns, scale_ns)
    share = (time_ns - step * scale_ns) / scale_ns
    blend = share * share * share * (share * (share * 6.0 - 15.0) + 10.0)
    course: Floats = normal(keys, step) * (1.0 - blend) + normal(keys, step + 1) * blend
    return course
