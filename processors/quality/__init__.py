# SPDX-License-Identifier: EUPL-1.2
"""Is the reading a measurement? One file per check."""
