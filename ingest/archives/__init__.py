# SPDX-License-Identifier: EUPL-1.2
"""Archives: files of readings, whoever wrote them, as columns of one kind."""
