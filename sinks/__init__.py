# SPDX-License-Identifier: EUPL-1.2
"""The outbox, on its way to the outside world: one file per destination."""
