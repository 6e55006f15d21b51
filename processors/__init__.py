# SPDX-License-Identifier: EUPL-1.2
"""Batch in, batch out: one file per check, detector, window, index and alert rule."""
