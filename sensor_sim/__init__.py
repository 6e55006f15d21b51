# SPDX-License-Identifier: EUPL-1.2
"""A simulated city with known truth: stations, weather, traffic, labelled faults, recordings.

Nothing here does any input or output except reading recordings: it yields messages, and the
caller publishes them.
"""

from __future__ import annotations
