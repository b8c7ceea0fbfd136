"""The named states in which flow runs end, and what they say: counts alone, no places and no names of images.

A dashboard filters by the name of a state, and an automation listens for it: `prefect.flow-run.Drifted`. Its
message is what a notification sends, so it holds no uri, no image_id and no text of an error: the run's log has
those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skinml.errors import RequestError, RunError, StorageError, UnusableImagesError
from skinml.monitoring.health import DRIFTED
from skinml.words import several

COMPLETED, FAILED = "Completed", "Failed"
"""Prefect's own names, for runs of which nobody needs to tell several kinds apart."""

USUAL = "Usual"
"""A night whose images look like those the model was tested on, or are too few to say."""

DRIFTED_NIGHT = "Drifted"
"""A night whose scores nobody should trust. Its rows are committed, and it is not repeated. Of type FAILED."""

QUARANTINED = "Quarantined"
"""Too many images could not be used, and nothing was committed. Of type FAILED."""

DECISIONS = {"promoted": "Promoted", "kept": "Kept", "proposed": "Proposed", "skipped": "Skipped"}
"""A retraining, by its decision."""

GOOD = (COMPLETED, USUAL, *DECISIONS.values())
BAD = (FAILED, QUARANTINED, DRIFTED_NIGHT)

ENDED = (*GOOD, *BAD, "Crashed", "Cancelled", "TimedOut")
"""Every name of a state in which a run of ours is over. An automation about runs that never end must know them
all."""


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes:
        name: of its state.
        message: of its state, one line.
        counts: the end of the run's name in lists; empty: the name stays as it is.
        trouble: whether the state is of type FAILED, which the UI shows in red.
    """

    name: str
    message: str
    counts: str = ""
    trouble: bool = False


def of_night(result: Mapping[str, Any]) -> Ending:
    """A run of `score`. A backfill is no night: its images are of many earlier ones."""
    counts = _scored(result)
    if result["backfill"]:
        return Ending(COMPLETED, f"{counts} of {result['listed']:,} listed", counts)
    said = _BRACKETS.sub(
        "", result["health_sentence"] or "not compared with the images the model was tested on"
    )
    if result["health"] == DRIFTED:
        rows = f"the {result['scored']:,} new rows are committed"
        return Ending(DRIFTED_NIGHT, f"drifted: {said}; {rows}", counts, trouble=True)
    return Ending(USUAL, f"{counts} of {result['listed']:,} listed; {said}", counts)


def of_replay(result: Mapping[str, Any]) -> Ending:
    """A replay of the quarantine."""
    counts = f"{result['scored']:,} scored, {result['still_quarantined']:,} still unusable"
    return Ending(COMPLETED, f"{counts} of {result['listed']:,} in quarantine", counts)


def of_retraining(result: Mapping[str, Any]) -> Ending:
    """A retraining, by its decision."""
    counts = "" if result["new"] is None else f"{result['new']:,} of {result['needed']:,} new lesions"
    look = f"; look {result['look']} of {result['looks_allowed']}" if "look" in result else ""
    return Ending(
        DECISIONS[result["decision"]], f"{result['decision']}{': ' if counts else ''}{counts}{look}", counts
    )


def of_prepare(result: Mapping[str, Any]) -> Ending:
    """A preparation of labelled images, with "37 of 50 new lesions until retraining"."""
    counts = f"{result['prepared']:,} prepared, {result['quarantined']:,} unusable"
    due = f"; {result['until_retraining']}" if result["until_retraining"] else ""
    said = f"{counts}, {result['skipped']:,} known of {result['listed']:,} listed{due}"
    return Ending(COMPLETED, said, counts)


def of_training(result: Mapping[str, Any]) -> Ending:
    """A training run, with the decision about the first champion if there was one."""
    metrics = result["metrics"]
    counts = f"balanced accuracy {metrics['balanced_accuracy']:.3f}"
    decided = {None: "not compared with a champion"}.get(result["decision"], f"decision: {result['decision']}")
    of = f"on {several(metrics['images'], 'test image')}, {result['protocol']} protocol"
    return Ending(COMPLETED, f"{counts} {of}; {decided}", counts)


def of_search(result: Mapping[str, Any]) -> Ending:
    """A search for a network."""
    counts = f"best of {result['done']:,} networks: balanced accuracy {result['best']['balanced_accuracy']:.3f}"
    on_test = f"{result['metrics']['balanced_accuracy']:.3f} on test lesions"
    return Ending(COMPLETED, f"{counts} on validation lesions, {on_test}; {result['failed']:,} failed", counts)


def of_evaluation(result: Mapping[str, Any]) -> Ending:
    """An evaluation. With few diagnoses there may be no balanced accuracy."""
    images = several(result["images"], "image")
    accuracy = result["metrics"].get("balanced_accuracy")
    counts = images if accuracy is None else f"balanced accuracy {accuracy:.3f} on {images}"
    return Ending(COMPLETED, counts, counts)


def of_ranking(result: Mapping[str, Any]) -> Ending:
    """A ranking of suspicious labels."""
    counts = f"{result['issues']:,} suspicious of {several(result['lesions'], 'lesion')}"
    return Ending(COMPLETED, counts, counts)


def of_export(result: Mapping[str, Any]) -> Ending:
    """An export."""
    counts = several(result["rows"], "row")
    return Ending(COMPLETED, counts, counts)


def of_compaction(result: Mapping[str, Any]) -> Ending:
    """A compaction."""
    removed = sum(row["vacuumed"] or 0 for row in result["tables"].values())
    tables = several(len(result["tables"]), "table")
    counts = f"{several(removed, 'unneeded file')} in {tables}"
    return Ending(COMPLETED, f"dry run: {counts}" if result["dry_run"] else f"{counts} deleted", counts)


def of_error(error: BaseException) -> Ending:
    """A failed run. The text of an error may name an image or a bucket, so only its kind is said."""
    if isinstance(error, UnusableImagesError) and error.counts:
        percent = error.counts.partition(" of ")[0]
        return Ending(QUARANTINED, error.counts, f"{percent} unusable", trouble=True)
    kinds = {
        RequestError: "the request was refused",
        StorageError: "storage failed",
        RunError: "the run failed",
    }
    said = next((words for kind, words in kinds.items() if isinstance(error, kind)), None)
    return Ending(FAILED, f"{said or f'unexpected {type(error).__name__}'}: see the log", trouble=True)


_BRACKETS = re.compile(r" \((?:[^()]|\([^()]*\))*\)")
"""The figures and units of a health sentence: the log and the artifact `score-health` have them."""


def _scored(result: Mapping[str, Any]) -> str:
    if not (result["scored"] or result["quarantined"]):
        return "nothing new"
    return f"{result['scored']:,} scored, {result['quarantined']:,} unusable"
