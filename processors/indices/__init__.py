# SPDX-License-Identifier: EUPL-1.2
"""Health indices: one file per index."""
