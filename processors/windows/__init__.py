# SPDX-License-Identifier: EUPL-1.2
"""Statistics of event-time windows."""
