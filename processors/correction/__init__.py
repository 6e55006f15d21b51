# SPDX-License-Identifier: EUPL-1.2
"""Corrections: what a low-cost sensor shows, brought nearer to what a reference would show."""
