"""Before a commit, leave out the rows that other runs have committed in the meantime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from skinml import tables
from skinml.errors import Reason
from skinml.schemas import IMAGE_VERSION, PROBABILITY_COLUMNS
from skinml.scoring.counted import PLACE, Model, of_models
from skinml.scoring.ledger import (
    Known,
    hash_keys,
    hash_reasons,
    look_up,
    make_ledger,
    read_quarantined,
    read_scored,
)
from skinml.storage.spelling import Folders, resolve_rows
from skinml.tables import Part, Snapshot

SAME = 1e-3
"""On any two machines, a network's probabilities for the same bytes differ by less than this. It decides
whether the bytes are the same if a row of the same model has no SHA-256."""


@dataclass(frozen=True)
class Examined:
    """The parts to commit, and the rows left out.

    Attributes:
        parts: the parts to commit; some were written again with fewer rows.
        known: how many rows were left out because another run has committed them.
        contradicted: of the rows left out, those that another run made from other bytes: uri, etag, size_bytes,
            detail.
    """

    parts: Sequence[Part]
    known: int
    contradicted: pd.DataFrame


def examine_scores(
    workspace: str, parts: Sequence[Part], counted: Sequence[Model], before: Snapshot | None
) -> Examined:
    """Leave out the rows of image versions that already have a row of a counted model in `scores`.

    Args:
        workspace: normalised URL.
        parts: uncommitted parts of `scores`.
        counted: the models whose rows count; the first is that of our rows.
        before: the state that the archive was compared with, so that only newer rows are read; None reads the
            whole table.
    """
    ledger = make_ledger(read_scored(workspace, counted, but=before))
    left: list[Part] = []
    contradicted = [pd.DataFrame(columns=[*IMAGE_VERSION, "size_bytes", "reason", "detail"])]
    known = 0
    for part in parts:
        rows = tables.read_parts(workspace, "scores", [part], [*IMAGE_VERSION, "size_bytes"])
        answer = look_up(ledger, hash_keys(rows["uri"], rows["etag"]), rows["size_bytes"].to_numpy())
        there = answer != Known.NEW
        if not there.any():
            left.append(part)
            continue
        known += int(there.sum())
        contradicted.append(_contradicted(workspace, part, there, counted, before))
        rest = tables.keep_rows(workspace, "scores", part, pa.array(~there))
        left += [rest] if rest is not None else []
    return Examined(left, known, pd.concat(contradicted, ignore_index=True))


def examine_quarantine(workspace: str, parts: Sequence[Part]) -> Examined:
    """Leave out the rows of image versions that are already in quarantine permanently for the same reason."""
    ledger = make_ledger(read_quarantined(workspace, by_reason=True))
    left: list[Part] = []
    known = 0
    for part in parts:
        rows = tables.read_parts(workspace, "quarantine", [part], [*IMAGE_VERSION, "size_bytes", "reason"])
        answer = look_up(ledger, hash_reasons(rows), rows["size_bytes"].to_numpy())
        there = answer == Known.KNOWN
        known += int(there.sum())
        rest = tables.keep_rows(workspace, "quarantine", part, pa.array(~there)) if there.any() else part
        left += [rest] if rest is not None else []
    return Examined(left, known, pd.DataFrame())


def _contradicted(
    workspace: str, part: Part, there: np.ndarray, counted: Sequence[Model], before: Snapshot | None
) -> pd.DataFrame:
    """Return those of our rows that other runs have committed from other bytes, and from none of the same.

    In the quarantine they get no SHA-256, so that a recheck scores these bytes, which have no row.
    """
    columns = [*IMAGE_VERSION, "size_bytes", "sha256", "precision", *PROBABILITY_COLUMNS]
    ours = tables.read_parts(workspace, "scores", [part], columns).filter(pa.array(there)).to_pandas()
    wanted = [*columns, "run_id", "model_name", "model_version"]
    found = []
    folders: Folders = {}
    for rows in tables.scan(workspace, "scores", wanted, before):
        theirs = resolve_rows(of_models(rows, counted), folders).to_pandas()
        found.append(theirs.merge(ours, on=IMAGE_VERSION, suffixes=("", "_ours")))
    both = pd.concat(found, ignore_index=True)
    apart = [np.abs(both[name] - both[f"{name}_ours"]) for name in PROBABILITY_COLUMNS]
    same_network = (both[PLACE] == 0) & (both["precision"] == both["precision_ours"])
    differs = (np.max(apart, axis=0) > SAME) & same_network
    hashed = both["sha256"].notna() & both["sha256_ours"].notna()
    other = np.where(hashed, both["sha256"] != both["sha256_ours"], differs)
    both["wrong"] = (both["size_bytes"] != both["size_bytes_ours"]) | other
    all_wrong = both.groupby(IMAGE_VERSION)["wrong"].transform("all").astype(bool)  # pandas 2: object if empty
    wrong = both[all_wrong].drop_duplicates(IMAGE_VERSION)
    detail = "run " + wrong["run_id"] + " has scored other bytes under the same uri and etag"
    rows = wrong.assign(detail=detail, size_bytes=wrong["size_bytes_ours"])
    chosen: pd.DataFrame = rows[[*IMAGE_VERSION, "size_bytes", "detail"]].assign(
        reason=Reason.DUPLICATE_ID.value
    )
    return chosen
