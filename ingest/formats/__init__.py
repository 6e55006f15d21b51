# SPDX-License-Identifier: EUPL-1.2
"""One file per device family: bytes to columns."""
