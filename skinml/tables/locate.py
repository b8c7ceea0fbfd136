"""Find the files of a table that hold certain rows."""

from __future__ import annotations

from urllib.parse import unquote

import pyarrow.compute as pc

from skinml.tables.connection import explained, open_table
from skinml.tables.read import dataset_of, file_sizes


def files_with(workspace: str, table: str, where: pc.Expression) -> list[str]:
    """Return the files, as paths relative to the table's folder, that hold rows of which a condition is true.

    Args:
        workspace: normalised URL.
        table: one of TABLES.
        where: a filter on any columns; files that cannot hold such rows are not read.

    Example:
        >>> import pyarrow as pa, tempfile
        >>> from skinml import tables
        >>> from skinml.schemas import QUARANTINE
        >>> failure = {"uri": "file:///archive/a.jpg", "reason": "empty"}
        >>> with tempfile.TemporaryDirectory() as workspace:
        ...     _ = tables.append(workspace, "quarantine", pa.Table.from_pylist([failure], QUARANTINE), "run-1")
        ...     found = files_with(workspace, "quarantine", pc.field("reason") == "empty")
        >>> len(found), found[0].endswith(".parquet")
        (1, True)
    """
    delta = open_table(workspace, table)
    if delta is None:
        return []
    with explained(delta.table_uri):
        files = sorted(file_sizes(delta))
        found = []
        dataset = dataset_of(delta)
        for fragment in dataset.get_fragments(filter=where):
            if fragment.scanner(schema=dataset.schema, filter=where, columns=[]).count_rows():
                path = unquote(fragment.path)
                found += [file for file in files if path == file or path.endswith(f"/{file}")]
    return found
