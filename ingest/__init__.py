# SPDX-License-Identifier: EUPL-1.2
"""The outside world, on its way into the inbox."""
