# SPDX-License-Identifier: EUPL-1.2
"""Is the air as clean as laws and guidelines ask for? Pure functions of aggregates, no state.

``reckoning`` says when days begin, ``daily`` turns windows into days, ``assessment`` holds the days
of a year against a rule. Nothing here depends on the order in which windows or revisions came.
"""
