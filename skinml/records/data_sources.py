"""Find where the prepared images come from and under which licence, for the model card.

`skinml fetch` leaves a SOURCE.json beside the metadata; the runs of `prepare` say which metadata they read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skinml import tables
from skinml.errors import SkinmlError
from skinml.storage.objects import read_bytes
from skinml.storage.urls import normalise

logger = logging.getLogger("skinml.records")

SOURCE = "SOURCE.json"

MOST_BYTES = 2**20

FLOWS = ("prepare", "retrain")
"""Flows that add labelled images."""

FIELDS = ("data_source", "data_licence")

OTHERS = "other images: not reported"


def cited_sources(workspace: str) -> dict[str, str]:
    """Return data_source and data_licence of the images that were prepared; {} if no SOURCE.json says them.

    It never fails: a card is no reason to lose a trained model.

    Args:
        workspace: normalised URL.
    """
    try:
        files = _metadata_files(workspace)
    except SkinmlError as error:
        logger.warning("the model card does not cite the images' source: %s", error)
        return {}
    found = [read_source(file) for file in files]
    known = [one for one in found if one.get("data_source")]
    if not known:
        return {}
    cited = {
        name: list(dict.fromkeys(str(one.get(name) or "not reported") for one in known)) for name in FIELDS
    }
    if len(known) < len(found):
        cited = {name: [*texts, OTHERS] for name, texts in cited.items()}
    return {name: "; ".join(texts) for name, texts in cited.items()}


def read_source(metadata_url: str) -> Mapping[str, Any]:
    """Return SOURCE.json beside a metadata file; {} if there is none that can be read.

    Args:
        metadata_url: normalised URL of the metadata file.
    """
    try:
        about = json.loads(read_bytes(f"{metadata_url.rpartition('/')[0]}/{SOURCE}", MOST_BYTES))
    except (SkinmlError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _metadata_files(workspace: str) -> list[str]:
    """The metadata files of completed runs, each once, in the order of the runs."""
    runs = tables.read(workspace, "runs", ["flow", "status", "started_at", "parameters"])
    of_these = pc.is_in(runs["flow"], pa.array(FLOWS, pa.string()))
    done = runs.filter(pc.and_(of_these, pc.equal(runs["status"], "completed"))).sort_by("started_at")
    files: dict[str, None] = {}
    for text in done["parameters"].to_pylist():
        try:
            named = json.loads(text or "{}").get("metadata") or []
        except (ValueError, AttributeError):
            continue
        for url in [named] if isinstance(named, str) else named:
            files[normalise(str(url))] = None
    return list(files)
