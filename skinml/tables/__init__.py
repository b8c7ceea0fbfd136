"""The only user of deltalake: write parts, publish them once, read, versions.

A part is a Parquet file in the table's folder. Nobody sees it until `publish` names it in a commit, so
workers write rows where they are made and the driver passes on names and counts. A commit carries the run's
id as an application transaction: published again, it changes nothing.
"""

from skinml.tables.commit import append, publish, replace
from skinml.tables.connection import check_table
from skinml.tables.parts import Part, keep_rows, read_parts, write_part
from skinml.tables.read import Snapshot, notes, read, scan, snapshot, transactions, version

__all__ = [
    "Part",
    "Snapshot",
    "append",
    "check_table",
    "keep_rows",
    "notes",
    "publish",
    "read",
    "read_parts",
    "replace",
    "scan",
    "snapshot",
    "transactions",
    "version",
    "write_part",
]
