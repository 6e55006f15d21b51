# SPDX-License-Identifier: EUPL-1.2
"""Measures the budgets of the design on this machine, each beside a peer or a limit."""
