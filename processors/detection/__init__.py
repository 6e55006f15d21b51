# SPDX-License-Identifier: EUPL-1.2
"""Is the measurement unusual? One file per detector."""
