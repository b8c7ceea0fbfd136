"""Compare the tables after killed runs with those of an undisturbed run; every difference is a finding."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from skinml import tables
from skinml.layout import table_url, unpublished_parts_url
from skinml.records.quarantine import RETRIED
from skinml.schemas import IMAGE_VERSION, PROBABILITY_COLUMNS
from skinml.storage.tree import walk

if TYPE_CHECKING:
    import pandas as pd

KEY = [*IMAGE_VERSION, "model_name", "model_version"]
SAME_TEXT = ("image_id", "size_bytes", "sha256", "predicted_dx", "flags", "precision")
SAME_NUMBERS = (*PROBABILITY_COLUMNS, "p_malignant", "confidence")
TOLERANCE = 1e-6
RUN_ID = re.compile(r"[a-z]+-\d{8}T\d{6}Z-[0-9a-f]{6}")
EXAMPLES = 3


class Wrong(StrEnum):
    """The kinds of findings."""

    LOST = "lost"  # an image has no row
    DOUBLED = "doubled"  # an image has more than one row
    DIFFERENT = "different"  # a result differs from the undisturbed run's
    ORPHAN = "orphan"  # a row that the undisturbed run does not have, or a file that no run accounts for
    QUARANTINE = "quarantine"  # other images in quarantine, or for other reasons, or twice
    RUNS = "runs"  # rows of `runs` that do not match what happened
    UNEXPLAINED = "unexplained"  # an unexpected exit code, a traceback, or a process that does not end


@dataclass(frozen=True)
class Finding:
    """A finding: its kind, how many, and a description in one line."""

    wrong: Wrong
    number: int
    text: str


@dataclass(frozen=True)
class State:
    """The tables of a workspace as a reader sees them, and the files in their folders.

    Attributes:
        scores: all rows.
        quarantine: rows of the flow `score`.
        runs: rows of the flow `score`.
        unpublished: names of Parquet files in the tables' folders that are in no version.
        records: names of records of such files, which a later run could take over.
    """

    scores: pd.DataFrame
    quarantine: pd.DataFrame
    runs: pd.DataFrame
    unpublished: Sequence[str]
    records: Sequence[str]


@dataclass(frozen=True)
class Account:
    """What the drill knows of one run.

    Attributes:
        label: a name of the run for messages.
        run_id: None if it ended before it had one.
        code: its exit code, negative for a signal.
        result: the JSON that it printed, if it completed.
        alone: no other run was running and nothing of it was killed, so all its files must be committed.
        leaves_row: it ended by itself, or was killed after it had a record, so `runs` must have its row.
    """

    label: str
    run_id: str | None
    code: int
    result: dict[str, Any] | None
    alone: bool
    leaves_row: bool


def read_state(workspace: str) -> State:
    """Read everything in a workspace that concerns scoring."""
    quarantine, runs = (tables.read(workspace, name).to_pandas() for name in ("quarantine", "runs"))
    return State(
        tables.read(workspace, "scores").to_pandas(),
        quarantine[quarantine["flow"] == "score"],
        runs[runs["flow"] == "score"],
        [name for table in ("scores", "quarantine", "runs") for name in _unpublished(workspace, table)],
        [name for name in walk(unpublished_parts_url(workspace)) if name.endswith(".json")],
    )


def _unpublished(workspace: str, table: str) -> list[str]:
    published = {url.rpartition("/")[2] for url in tables.snapshot(workspace, table).files}
    names = [path.rpartition("/")[2] for path in walk(table_url(workspace, table)) if "_delta_log" not in path]
    return [f"{table}/{name}" for name in names if name.endswith(".parquet") and name not in published]


def compare(
    expected: State, found: State, accounts: Sequence[Account], promoted: str | None = None
) -> list[Finding]:
    """Compare a state with the undisturbed one and with what each run reported.

    Args:
        expected: the undisturbed state.
        found: the state to compare.
        accounts: what is known of each run.
        promoted: a copy of the champion that was promoted on the way and then had a backfill; None if none was.
    """
    scores = compare_scores if promoted is None else partial(compare_promoted, promoted)
    return [
        *scores(expected.scores, found.scores),
        *compare_quarantine(expected.quarantine, found.quarantine),
        *check_runs(found, accounts),
        *compare_health(expected.runs, found.runs),
        *check_files(found.unpublished, accounts),
        *_some(Wrong.ORPHAN, found.records, "records of parts that no run can take over any more"),
    ]


def compare_scores(expected: pd.DataFrame, found: pd.DataFrame) -> Iterator[Finding]:
    """Check that every key has one row, with the same result."""
    wanted, there = expected.set_index(KEY), found.set_index(KEY)
    yield from _some(Wrong.LOST, wanted.index.difference(there.index), "images without a row in scores")
    twice = there.index[there.index.duplicated()]
    yield from _some(Wrong.DOUBLED, twice, "rows too many in scores for images that have one")
    yield from _some(Wrong.ORPHAN, there.index.difference(wanted.index), "rows in scores of no such image")
    once = there[~there.index.duplicated()]
    both = wanted.merge(once, left_index=True, right_index=True, suffixes=("", "_found"))
    differs = np.zeros(len(both), dtype=bool)
    for name in SAME_TEXT:
        ours, theirs = both[name], both[f"{name}_found"]
        differs |= ~((ours == theirs) | (ours.isna() & theirs.isna())).to_numpy()
    for name in SAME_NUMBERS:
        apart = np.abs(both[name].to_numpy() - both[f"{name}_found"].to_numpy())
        differs |= ~(apart <= TOLERANCE)  # so that nothing (null, nan) is a difference, too
    yield from _some(Wrong.DIFFERENT, both.index[differs], "rows in scores with another result")


def compare_promoted(promoted: str, expected: pd.DataFrame, found: pd.DataFrame) -> Iterator[Finding]:
    """Check that the promoted version has every row, and the earlier champion no other than it should have."""
    new = found["model_version"] == promoted
    by_new = found[new].assign(model_version=expected["model_version"].iloc[0])
    yield from compare_scores(expected, by_new)
    of_earlier = expected.set_index(KEY).index.isin(found[~new].set_index(KEY).index)
    yield from compare_scores(expected[of_earlier], found[~new])


def compare_quarantine(expected: pd.DataFrame, found: pd.DataFrame) -> Iterator[Finding]:
    """Check that every image version is quarantined once for the same reason, except for transient errors."""
    columns = [*IMAGE_VERSION, "reason"]
    wanted, there = (
        rows.loc[~rows["reason"].isin(RETRIED), columns].value_counts() for rows in (expected, found)
    )
    yield from _some(Wrong.QUARANTINE, wanted.index.difference(there.index), "rows missing in quarantine")
    yield from _some(
        Wrong.QUARANTINE, there.index.difference(wanted.index), "rows in quarantine of no such image"
    )
    yield from _some(Wrong.QUARANTINE, there.index[there > 1], "images more than once in quarantine")


def check_runs(found: State, accounts: Sequence[Account]) -> Iterator[Finding]:
    """Check that every run that committed anything has one row, which adds up and matches the tables."""
    runs = found.runs
    scored, rejected = (rows["run_id"].value_counts() for rows in (found.scores, found.quarantine))
    yield from _some(Wrong.RUNS, runs.loc[runs["run_id"].duplicated(), "run_id"], "runs with more than one row")
    no_row = sorted({*scored.index, *rejected.index} - {*runs["run_id"]})
    yield from _some(Wrong.RUNS, no_row, "runs with rows in the tables and none in runs")
    known = {account.run_id for account in accounts}
    yield from _some(Wrong.RUNS, sorted({*runs["run_id"]} - known), "rows of runs that were never started")
    due = {account.run_id for account in accounts if account.run_id is not None and account.leaves_row}
    yield from _some(Wrong.RUNS, sorted(due - {*runs["run_id"]}), "runs that have no row in runs")
    unequal = runs["listed"] != runs["skipped"] + runs["done"] + runs["quarantined"]
    yield from _some(Wrong.RUNS, runs.loc[unequal, "run_id"], "rows of runs whose counts do not add up")
    for row in runs.drop_duplicates("run_id").itertuples():
        there = (int(scored.get(row.run_id, 0)), int(rejected.get(row.run_id, 0)))
        if row.status == "completed" and (row.done, row.quarantined) != there:
            yield Finding(
                Wrong.RUNS,
                1,
                f"{row.run_id}: its row says {row.done} done and {row.quarantined} quarantined, "
                f"the tables have {there[0]} and {there[1]}",
            )
        elif row.status != "completed" and there[0] not in {0, row.done}:
            yield Finding(Wrong.RUNS, 1, f"{row.run_id} failed, and the tables have {there[0]} of its rows")
    for account in accounts:
        if account.result is not None:
            yield from _check_result(runs[runs["run_id"] == account.run_id], account, account.result)


def _check_result(rows: pd.DataFrame, account: Account, result: dict[str, Any]) -> Iterator[Finding]:
    """Check that a completed run has a row, and that the row matches what the run printed."""
    columns = ["listed", "skipped", "done", "quarantined"]
    printed = [result[name] for name in ("listed", "skipped", "scored", "quarantined")]
    if len(rows) != 1 or rows["status"].iloc[0] != "completed" or rows[columns].iloc[0].tolist() != printed:
        said = dict(zip(columns, printed, strict=True))
        there = rows[["status", *columns]].to_dict("records")
        yield Finding(Wrong.RUNS, 1, f"{account.label}: {account.run_id} printed {said}, runs has {there}")


def compare_health(expected: pd.DataFrame, found: pd.DataFrame) -> Iterator[Finding]:
    """Check that a run that committed all images has the same health as the undisturbed run."""
    for wanted in expected[expected["status"] == "completed"].itertuples():
        nights = found[(found["status"] == "completed") & (found["done"] == wanted.done)]
        for row in nights.itertuples():
            if not _alike(_judgement(row), _judgement(wanted)):
                yield Finding(Wrong.DIFFERENT, 1, f"{row.run_id}: health is {row.health_detail} instead")


def _judgement(run: Any) -> list[Any]:
    """Return a run's health verdict and its details; [] if it was not measured."""
    return [run.health, json.loads(run.health_detail)] if isinstance(run.health_detail, str) else []


def _alike(ours: Any, theirs: Any) -> bool:
    """Whether two JSON values are equal up to the rounding of sums."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_alike(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_alike, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=TOLERANCE)
    return bool(ours == theirs)


def check_files(unpublished: Iterable[str], accounts: Sequence[Account]) -> Iterator[Finding]:
    """Check that every uncommitted file belongs to a run that died, failed or was not alone."""
    allowed = {account.run_id for account in accounts if not account.alone}
    strays = [name for name in unpublished if not {*RUN_ID.findall(name)} & allowed]
    yield from _some(Wrong.ORPHAN, strays, "files that no table refers to and no dead run has left")


def _some(wrong: Wrong, which: Collection[Any], what: str) -> Iterator[Finding]:
    """Yield one finding for all of them, if there are any, with a few examples."""
    if len(which):
        examples = "; ".join(
            " ".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in list(which)[:EXAMPLES]
        )
        yield Finding(
            wrong, len(which), f"{len(which)} {what}: {examples}{' …' if len(which) > EXAMPLES else ''}"
        )
