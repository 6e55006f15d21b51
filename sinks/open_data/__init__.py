# SPDX-License-Identifier: EUPL-1.2
"""The open-data export: a folder of CSV and Parquet files that describes itself.

``fields`` says what is published, ``tables`` makes rows of outbox entries, ``partitions`` merges
them into the files of a day, ``text`` and ``files`` write, ``package`` describes, ``sink`` runs it.
"""
