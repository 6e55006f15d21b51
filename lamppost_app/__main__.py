# SPDX-License-Identifier: EUPL-1.2
"""``python -m lamppost_app`` is the command line."""

from __future__ import annotations

from .cli import main

main()
