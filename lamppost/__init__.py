# SPDX-License-Identifier: EUPL-1.2
"""The kernel: the words every part of Lamppost speaks. It imports nothing of ours."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lamppost")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
