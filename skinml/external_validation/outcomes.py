"""Join diagnoses that arrive later to the scores of past runs.

The table `scores` is read in pieces. Of each piece only counts, and the rows of images with a diagnosis, stay
in memory. A diagnosis belongs to a score if both are of the same bytes (SHA-256), otherwise if they have the
same image_id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from skinml import tables
from skinml.evaluation.realised import realised
from skinml.labels import encode
from skinml.storage.suffixes import IMAGE_SUFFIXES
from skinml.tables.matching import is_in

SCORED = ["image_id", "uri", "sha256", "run_date", "scored_at", "model_name", "model_version", "predicted_dx"]
"""The columns of `scores` that are read."""

DIAGNOSED = ["image_id", "lesion_id", "dx", "sha256"]
"""The columns of diagnoses: sha256 is null if they come from a table of metadata."""

UNUSED = ["image_id", "uri", "model_version", "why"]
"""The columns of the report `unused.csv`."""

NO_SCORE = "no score of this image"
SEVERAL = "several images with this image_id were scored"
CONTRADICTION = "the same bytes have different diagnoses"
KNOWN = "the model version was trained with this diagnosis"
NO_MODEL = "the model version is not in the registry, so its training images are not known"

ROWS_AT_ONCE = 65_536
"""Scores that are looked up at once; a nightly table has a small file a night."""

_ENDINGS = "(" + "|".join(suffix.replace(".", r"\.") for suffix in IMAGE_SUFFIXES) + ")$"


@dataclass(frozen=True, eq=False)
class Matched:
    """Scores with a diagnosis.

    Attributes:
        rows: one row per score: SCORED, `month` (such as 2026-11), `diagnosis` (the row of the diagnoses) and
            `by_bytes`.
        scored: number of scores of each (month, model_version), with or without a diagnosis.
    """

    rows: pd.DataFrame
    scored: Counter[tuple[str, str]]


def match_scores(pieces: Iterable[pa.Table], diagnoses: pd.DataFrame) -> Matched:
    """Find the scores that have a diagnosis, by bytes or by image_id.

    An image_id may be spelled differently (`isic_0000001.jpg`, `ISIC_0000001_downsampled`). An equal spelling
    is preferred; a different one counts only if it belongs to exactly one diagnosis.

    Args:
        pieces: tables with the columns SCORED.
        diagnoses: the columns DIAGNOSED, each image_id once.
    """
    names = pa.array(diagnoses["image_id"], pa.string(), from_pandas=True)
    by_name, by_fold = _index(names), _index(_folded(names), once=True)
    by_hash = _index(pa.array(diagnoses["sha256"], pa.string(), from_pandas=True))
    scored: Counter[tuple[str, str]] = Counter()
    kept: list[pa.Table] = []
    for piece in tables.gathered(pieces, ROWS_AT_ONCE):
        month = pc.strftime(piece["run_date"], format="%Y-%m")
        groups = pa.table({"month": month, "version": piece["model_version"]})
        for row in groups.group_by(["month", "version"]).aggregate([([], "count_all")]).to_pylist():
            scored[row["month"], row["version"]] += row["count_all"]
        equal = _find(by_hash, piece["sha256"])
        found = np.where(equal >= 0, equal, _find(by_name, piece["image_id"]))
        left = np.flatnonzero(found < 0)
        found[left] = _find(by_fold, _folded(piece["image_id"].take(left)))
        rows = piece.append_column("month", month).append_column("diagnosis", pa.array(found))
        kept.append(rows.append_column("by_bytes", pa.array(equal >= 0)).filter(pa.array(found >= 0)))
    return Matched(_frame(kept), scored)


_Index = tuple["pd.Index[Any]", NDArray[np.int64]]


def _index(values: pa.Array, once: bool = False) -> _Index:
    """Return a hash table of distinct values and the first row of each; with `once`, of those without a copy.

    It is made once for all pieces: Arrow's `index_in` makes one at each call.
    """
    texts = values.to_numpy(zero_copy_only=False)
    rows = pd.Series(np.arange(len(texts)), index=pd.Index(texts, dtype=object))
    rows = rows[~rows.index.duplicated(keep=False if once else "first") & rows.index.notna()]
    return rows.index, rows.to_numpy()


def _find(index: _Index, values: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return the row of each value, -1 if there is none; int64 (n,)."""
    known, rows = index
    if not len(known):
        return np.full(len(values), -1, dtype=np.int64)
    places = known.get_indexer(pd.Index(values.to_numpy(zero_copy_only=False), dtype=object))
    return np.where(places >= 0, rows[places], -1)


def _frame(kept: Sequence[pa.Table]) -> pd.DataFrame:
    """Join the rows of all pieces. Texts with few values become categories: a million rows stay small."""
    if not any(table.num_rows for table in kept):
        columns = (*SCORED, "month", "diagnosis", "by_bytes")
        return pd.DataFrame({name: pd.Series(dtype=_TYPES.get(name, "str")) for name in columns})
    rows = pa.concat_tables(kept)
    for name in ("month", "model_name", "model_version", "predicted_dx"):
        rows = rows.set_column(rows.schema.get_field_index(name), name, rows[name].dictionary_encode())
    frame: pd.DataFrame = rows.unify_dictionaries().to_pandas()
    return frame.astype({"diagnosis": "int64"})


_TYPES = {"diagnosis": "int64", "by_bytes": "bool", "scored_at": "datetime64[us, UTC]"}


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Scores with the diagnosis that came later.

    Attributes:
        rows: one row per diagnosed image and model version: image_id, uri, month, model_name, model_version,
            scored_at, predicted_dx, dx, lesion_id.
        unused: diagnoses and scores that could not be used, columns UNUSED.
        known: of the unused, number of scores of each (month, model_version) whose diagnosis is KNOWN.
    """

    rows: pd.DataFrame
    unused: pd.DataFrame
    known: Counter[tuple[str, str]]


def choose_outcomes(
    matched: Matched, diagnoses: pd.DataFrame, known: Mapping[str, pd.DataFrame | None]
) -> Outcomes:
    """Decide which scores are judged by which diagnosis: at most one score of an image and model version.

    - If the bytes of a diagnosis are known, and a score is of these bytes, scores of other bytes with the same
      image_id are not used.
    - If several files have the image_id and different bytes, it is not known which of them the diagnosis is of,
      so none is used.
    - Of a file that was scored several times, because it was replaced, the last score counts.
    - A diagnosis that the model version was trained with, or whose lesion it was trained with, is no outcome.

    Args:
        matched: the result of `match_scores`.
        diagnoses: the same as there.
        known: for each model version the columns image_id, lesion_id and sha256 of what it knows
            (`evaluation.seen`); None if the version is not in the registry.
    """
    told = diagnoses.iloc[matched.rows["diagnosis"]].reset_index(drop=True)
    rows = matched.rows.assign(
        lesion_id=told["lesion_id"], dx=told["dx"], told_image_id=told["image_id"], why=None
    )
    rows.loc[rows["by_bytes"] & told["sha256"].isin(_torn(diagnoses)), "why"] = CONTRADICTION
    rows.loc[rows["why"].isna() & _ambiguous(rows), "why"] = SEVERAL
    for version, its in known.items():
        of_version = rows["why"].isna() & (rows["model_version"] == version)
        if its is None:
            rows.loc[of_version, "why"] = NO_MODEL
            continue
        seen = is_in(rows["told_image_id"], its["image_id"]) | is_in(rows["lesion_id"], its["lesion_id"])
        seen |= rows["sha256"].notna() & is_in(rows["sha256"], its["sha256"].dropna())
        rows.loc[of_version & seen, "why"] = KNOWN
    usable = rows[rows["why"].isna()].sort_values(["scored_at", "uri"], kind="stable")
    usable = usable.drop_duplicates(["diagnosis", "model_version"], keep="last")
    refused = rows[rows["why"].notna()]
    without = diagnoses[~diagnoses.index.isin(matched.rows["diagnosis"])]
    unused = [refused.astype({"model_version": "str"})[UNUSED], without[["image_id"]].assign(why=NO_SCORE)]
    of_known = refused.loc[refused["why"] == KNOWN, ["month", "model_version"]].astype("str")
    return Outcomes(
        rows=usable.sort_values(["image_id", "scored_at"], ignore_index=True),
        unused=pd.concat(unused, ignore_index=True)[UNUSED],
        known=Counter(of_known.itertuples(index=False, name=None)),
    )


def _torn(diagnoses: pd.DataFrame) -> pd.Series[str]:
    """Return hashes of bytes that have different diagnoses."""
    each = diagnoses.dropna(subset=["sha256"]).drop_duplicates(["sha256", "dx"])["sha256"]
    return each[each.duplicated()]


def _ambiguous(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return which scores may be of another image than their diagnosis."""
    content = rows["sha256"].fillna(rows["uri"])
    of_diagnosis = rows.assign(content=content).groupby("diagnosis", sort=False)
    files, contents = (of_diagnosis[name].transform("nunique") for name in ("uri", "content"))
    surer = of_diagnosis["by_bytes"].transform("any")
    return ~rows["by_bytes"] & (surer | ((files > 1) & (contents > 1)))


def outcomes_table(outcomes: Outcomes) -> pa.Table:
    """Return the outcomes as a table: which score of which image is judged by which diagnosis."""
    columns = ["image_id", "uri", "month", "scored_at", "model_name", "model_version", "predicted_dx"]
    columns += ["dx", "lesion_id", "by_bytes"]
    texts = dict.fromkeys(("month", "model_name", "model_version", "predicted_dx"), "str")
    return pa.Table.from_pandas(outcomes.rows[columns].astype(texts), preserve_index=False)


def judge_outcomes(rows: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of `realised` and their intervals; `rows` as in `Outcomes`, at least one."""
    lesions, _ = pd.factorize(rows["lesion_id"])
    return realised(encode(rows["dx"]), encode(rows["predicted_dx"]), lesions)


def by_month(outcomes: Outcomes, scored: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """Return the figures of each month and model version, oldest first.

    Args:
        outcomes: the result of `choose_outcomes`.
        scored: number of scores of each (month, model_version), as in `Matched`.

    Returns:
        For each month and version in `scored`: month (UTC, of the scoring run), model_version, scored (images
        that the version scored and was not trained on), images (of them, with a diagnosis), diagnosed_share,
        the figures of `realised`, and their intervals. Without a diagnosis there are no figures.
    """
    groups = dict(list(outcomes.rows.groupby(["month", "model_version"], observed=True)))
    found = []
    for month, version in sorted(scored):
        images = scored[month, version] - outcomes.known[month, version]
        group = groups.get((month, version))
        metrics, intervals = ({"images": 0}, {}) if group is None else judge_outcomes(group)
        row = {"month": month, "model_version": version, "scored": images, **metrics}
        row["diagnosed_share"] = row["images"] / images if images else None
        found.append({**row, "intervals": intervals})
    return found


def _folded(ids: pa.Array) -> pa.Array:
    """Return image_ids without folders, suffix, `_downsampled` and upper case."""
    text = pc.utf8_lower(ids)
    for pattern in (r"^.*[/\\]", _ENDINGS, "_downsampled$"):
        text = pc.replace_substring_regex(text, pattern, "")
    return text
