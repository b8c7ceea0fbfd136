"""Write, commit and read Delta tables. Only this package uses deltalake.

A part is a Parquet file in the table's folder. It is not in the table until `publish` adds it in a commit. So
workers write rows where they are made, and the driver handles only names and counts. A commit carries the run's
id as an application transaction: publishing again changes nothing.
"""

from skinml.tables.commit import append, publish, replace
from skinml.tables.compaction import (
    Group,
    Size,
    make_checkpoint,
    put_together,
    rearranged_only,
    small_files,
    table_size,
    unneeded_files,
)
from skinml.tables.connection import check_table
from skinml.tables.locate import files_with
from skinml.tables.parts import (
    Part,
    attempt,
    check_parts,
    keep_rows,
    parse_part,
    part_url,
    read_parts,
    write_part,
)
from skinml.tables.read import Snapshot, gathered, notes, read, scan, snapshot, transactions, version

__all__ = [
    "Group",
    "Part",
    "Size",
    "Snapshot",
    "append",
    "attempt",
    "check_parts",
    "check_table",
    "files_with",
    "gathered",
    "keep_rows",
    "make_checkpoint",
    "notes",
    "parse_part",
    "part_url",
    "publish",
    "put_together",
    "read",
    "read_parts",
    "rearranged_only",
    "replace",
    "scan",
    "small_files",
    "snapshot",
    "table_size",
    "transactions",
    "unneeded_files",
    "version",
    "write_part",
]
