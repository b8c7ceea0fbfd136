"""Find the row of `scores` that is to be explained, or say why there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.errors import RequestError
from skinml.models.champion import read_champion_if_any, readable_champion
from skinml.records.export import FLOWS
from skinml.records.history import find_run
from skinml.records.quarantine import in_quarantine
from skinml.schemas import SCORES
from skinml.storage.urls import image_id as stem_of
from skinml.strict_json import printable

LONGEST_ID = 1024
"""Characters. A key in a bucket has at most 1,024 bytes."""

CHAMPION = "champion"

MOST_SIMILAR = 5_000
"""Identifiers that are compared letter by letter with one that was not found."""

NAMED = 3
"""How many similar identifiers an error message names."""


@dataclass(frozen=True)
class ScoredImage:
    """The row to explain, and the other rows of the same image_id.

    Attributes:
        row: one row of `scores`.
        others: the other rows, newest first.
        why: why this one was taken, in words.

    """

    row: dict[str, Any]
    others: list[dict[str, Any]]
    why: str


def find_scored_image(
    workspace: str, image: str, model: str | None = None, run_id: str | None = None
) -> ScoredImage:
    """Choose the row of an image: the champion's newest, if neither model nor run is named.

    Args:
        workspace: normalised URL.
        image: an image_id, or the uri of one image if several have the same image_id.
        model: a model version, or champion; None: the champion if it has scored the image, else any.
        run_id: only rows of this run.

    Raises:
        RequestError: there is no such row. The message says if the image is in quarantine, if it is a labelled
            sample that was never scored, which models have scored it, or which identifiers are similar.
    """
    shown = _check(image)
    if run_id is not None:
        find_run(workspace, run_id, FLOWS)
    rows = _rows_of(workspace, image)
    if not any(image in (row["image_id"], row["uri"]) for row in rows):
        raise RequestError(f"{shown}: {_why_not_scored(workspace, image)}")
    chosen, why = [row for row in rows if row["uri"] == image] or rows, "the newest row"
    if run_id is not None:
        chosen, why = [row for row in chosen if row["run_id"] == run_id], f"the row of run {run_id}"
        if not chosen:
            runs = _named(row["run_id"] for row in rows)
            raise RequestError(f"{shown}: run {run_id} has not scored it; it was scored by {runs}")
    chosen, why = _of_model(workspace, chosen, model, shown, why)
    others = [row for row in rows if row is not chosen[0]]
    return ScoredImage(chosen[0], others, why)


def _check(image: str) -> str:
    """The identifier as messages show it, if it can be one."""
    if not image or len(image) > LONGEST_ID or not image.isprintable():
        raise RequestError(
            f"{printable(image[:80])} is not an image_id: give the name of an image file without its suffix, "
            "or its whole uri"
        )
    return printable(image)


def _rows_of(workspace: str, image: str) -> list[dict[str, Any]]:
    """The rows of this image_id, or of the image_id of this uri, newest first."""
    where = (pc.field("image_id") == image) | (pc.field("uri") == image)
    if "/" in image:  # a uri: images of the same name in other folders are named beside it
        where |= pc.field("image_id") == stem_of(image)
    pieces = list(tables.scan(workspace, "scores", SCORES.names, where=where))
    rows: list[dict[str, Any]] = pa.concat_tables(pieces).to_pylist() if pieces else []
    return sorted(rows, key=lambda row: (row["scored_at"], row["uri"]), reverse=True)


def _of_model(
    workspace: str, rows: list[dict[str, Any]], model: str | None, shown: str, why: str
) -> tuple[list[dict[str, Any]], str]:
    """The rows of the model that was asked for, and why the first one is taken."""
    versions = _named(row["model_version"] for row in rows)
    if model not in (None, CHAMPION):
        chosen = [row for row in rows if row["model_version"] == model]
        if not chosen:
            raise RequestError(f"--model {printable(model or '')}: it has not scored {shown}; {versions} has")
        return chosen, f"{why} of model {model}"
    asked = model == CHAMPION
    champion = read_champion_if_any(workspace) if asked else readable_champion(workspace)
    if champion is None and asked:
        raise RequestError(f"--model champion: {workspace} has no champion; leave --model out")
    if champion is None:
        return rows, f"{why}; the workspace has no champion"
    version = champion.model_version
    chosen = [
        row for row in rows if (row["model_name"], row["model_version"]) == (champion.model_name, version)
    ]
    if chosen:
        return chosen, f"{why} of the champion"
    if asked:
        raise RequestError(
            f"--model champion: {version} has not scored {shown}; {versions} has: leave --model out, or score"
        )
    return rows, f"{why}; the champion {version} has not scored this image"


def _named(values: Iterable[str]) -> str:
    return ", ".join(list(dict.fromkeys(values))[:NAMED])


def _why_not_scored(workspace: str, image: str) -> str:
    """Why no row of `scores` has this image_id, and what to do."""
    failed = in_quarantine(workspace)
    for row in failed.to_dict("records"):
        if image in (row["uri"], stem_of(row["uri"])):
            reason = printable(f"{row['reason']} ({row['detail']})")
            return f"was not scored, it is in quarantine: {reason}, run {row['run_id']}"
    samples = tables.read(workspace, "samples", ["image_id", "split"])
    labelled = samples.filter(pc.equal(samples["image_id"], image)).to_pylist()
    if labelled:
        return f"is a labelled sample ({labelled[0]['split']}) that was never scored: score its folder first"
    known: set[str] = set()
    for piece in tables.scan(workspace, "scores", ["image_id"]):
        known.update(value for value in pc.unique(piece["image_id"]).to_pylist() if value is not None)
    if not known:
        return "no image has been scored in this workspace yet; run skinml score first"
    similar = _similar(image, known)
    advice = f"did you mean {', '.join(map(printable, similar))}?" if similar else "check the name"
    return f"no row of scores has this image_id ({len(known):,} do); {advice}"


def _similar(image: str, known: set[str]) -> list[str]:
    """Identifiers that are written much like this one."""
    folded = image.casefold()
    same = sorted(one for one in known if one.casefold() == folded)
    if same:
        return same[:NAMED]
    near = [one for one in known if abs(len(one) - len(image)) <= 2]
    part = 2 * len(image) // 3
    while len(near) > MOST_SIMILAR and part < len(image):  # a million would take half a minute
        begin, end = image[:part], image[-part:]
        near = [one for one in near if one.startswith(begin) or one.endswith(end)]
        part += 1
    return get_close_matches(image, sorted(near)[:MOST_SIMILAR], NAMED, 0.8)
