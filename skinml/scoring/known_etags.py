"""The table `known_etags`: image versions whose bytes a model version has scored under another etag.

If an archive is copied or touched, equal bytes get new etags. Such an image is read once, recognised by its
SHA-256 and remembered here. Older rows of `scores` have no SHA-256; this table holds the one that `--recheck`
computed.

A row is true whether or not its run commits anything else. So the table is not part of the commit of `scores`:
if a run dies before it writes the rows, those images are read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from skinml import tables
from skinml.schemas import IMAGE_VERSION, KNOWN_ETAGS
from skinml.scoring.counted import Model, of_models
from skinml.scoring.ledger import Known, Versions, hash_keys, keyed, look_up, make_ledger
from skinml.storage.spelling import Folders
from skinml.tables import Part, Snapshot

if TYPE_CHECKING:
    import pandas as pd

TABLE = "known_etags"


def known_etag_rows(images: pd.DataFrame, models: Sequence[Model], run_id: str) -> pa.Table:
    """Return images (uri, etag, sha256, size_bytes) as rows, schema KNOWN_ETAGS.

    Args:
        images: one row each.
        models: for each image, the model version that has scored these bytes.
        run_id: the run that found out.
    """
    names, versions = ([model[part] for model in models] for part in range(2))
    rows = images.assign(model_name=names, model_version=versions, run_id=run_id, seen_at=datetime.now(UTC))
    return pa.Table.from_pandas(rows[KNOWN_ETAGS.names], KNOWN_ETAGS, preserve_index=False)


def read_known_etags(workspace: str, models: Sequence[Model]) -> Iterator[Versions]:
    """Yield image versions that need no row because of rows of these models."""
    columns = [*IMAGE_VERSION, "size_bytes", "model_name", "model_version"]
    folders: Folders = {}
    for rows in tables.scan(workspace, TABLE, columns):
        yield keyed(of_models(rows, models), folders, len(models) > 1)


def publish_known_etags(workspace: str, run_id: str, models: Sequence[Model], parts: Sequence[Part]) -> None:
    """Commit a run's rows, once for its run_id, without those that another run has committed."""

    def examine(_: Snapshot) -> tuple[Sequence[Part], str]:
        ledger = make_ledger(read_known_etags(workspace, models))
        left = []
        for part in parts:
            rows = tables.read_parts(workspace, TABLE, [part], [*IMAGE_VERSION, "size_bytes"])
            answer = look_up(ledger, hash_keys(rows["uri"], rows["etag"]), rows["size_bytes"].to_numpy())
            new = answer != Known.KNOWN
            left.append(part if new.all() else tables.keep_rows(workspace, TABLE, part, pa.array(new)))
        return [part for part in left if part is not None], ""

    if parts:
        tables.publish(workspace, TABLE, parts, run_id, examine)
