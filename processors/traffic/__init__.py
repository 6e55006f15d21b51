# SPDX-License-Identifier: EUPL-1.2
"""What traffic stations say together: derived quantities, incidents between stations, queues."""
