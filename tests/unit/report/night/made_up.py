"""Nights for tests of their page: rows of `scores` and `runs` as a run writes them, and their images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from skinml import tables
from skinml.labels import DIAGNOSES
from skinml.monitoring.reference import Usual
from skinml.records.runs import Counts, Run, run_row
from skinml.schemas import FLAGS, PROBABILITY_COLUMNS, QUARANTINE, SCORES
from skinml.storage.urls import file_uri
from skinml.tables.parts import write_part

STARTED = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)

HOSTILE = (
    "<img src=x onerror=alert(1)>&\"'",
    "</script><script>alert(2)</script>",
    "=HYPERLINK(1)",
    "\u202egpj.\u05d0\u05d1\u05d2 \u0645\u0631\u062d\u0628\u0627",  # right to left, with an override
    "\U0001f9ea\u2028 lesion",
    "x" * 500,
    'a "quoted", name',
)
"""Names that a page must show and not execute."""


def jpeg(seed: int) -> bytes:
    """A small picture of its own colour."""
    colour = np.random.default_rng(seed).integers(0, 256, 3)
    buffer = io.BytesIO()
    Image.new("RGB", (60, 45), tuple(int(one) for one in colour)).save(buffer, "JPEG")
    return buffer.getvalue()


def probabilities(count: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Probabilities of `count` images, float64 (count, 7)."""
    return np.random.default_rng(seed).dirichlet(np.full(7, 0.4), count)


def score_rows(
    run_id: str,
    uris: Sequence[str],
    names: Sequence[str],
    digests: Sequence[str | None],
    version: str,
    **more: Any,
) -> pa.Table:
    """Rows of `scores`, schema SCORES; `more` replaces columns."""
    count = len(uris)
    p = probabilities(count)
    columns: dict[str, Any] = {
        "run_id": [run_id] * count,
        "run_date": [STARTED.date()] * count,
        "image_id": list(names),
        "uri": list(uris),
        "etag": [f"etag-{number}" for number in range(count)],
        "size_bytes": [1000] * count,
        "last_modified": [STARTED] * count,
        "model_name": ["thesis-cnn"] * count,
        "model_version": [version] * count,
        "predicted_dx": [DIAGNOSES[place] for place in p.argmax(axis=1)],
        **{name: p[:, place] for place, name in enumerate(PROBABILITY_COLUMNS)},
        "p_malignant": p[:, [0, 1, 4]].sum(axis=1),
        "confidence": p.max(axis=1),
        "flags": [FLAGS[number % 5] if number % 3 == 0 else "" for number in range(count)],
        "scored_at": [STARTED] * count,
        "precision": ["fp32"] * count,
        "width": [600] * count,
        "height": [450] * count,
        "sharpness": np.full(count, 300.0),
        "brightness": np.full(count, 0.6),
        "unlike_training": np.full(count, 4.0),
        "sha256": list(digests),
    }
    return pa.table({**columns, **more}, SCORES)


@dataclass(frozen=True)
class MadeUpNight:
    """A night in a workspace: its run_id, and its image_ids, most suspicious first."""

    run_id: str
    image_ids: list[str]


def add_night(
    workspace: str,
    archive: Path,
    count: int,
    *,
    hostile: bool = False,
    gone: int = 0,
    pictures: bool = True,
    quarantined: int = 0,
    skipped: int = 0,
    version: str = "none",
    days: int = 0,
    health: str | None = None,
    health_detail: str | None = None,
    **more: Any,
) -> MadeUpNight:
    """Add a night to a workspace.

    Args:
        workspace: normalised URL.
        archive: where its images are made.
        count: scored images.
        hostile: the first images have the names HOSTILE.
        gone: so many of the last images have no file any more.
        pictures: whether there are files at all.
        quarantined: so many images were empty.
        skipped: so many images were scored before.
        version: of the model.
        days: after STARTED.
        health: of the run.
        health_detail: JSON.
        more: columns of `scores`.
    """
    archive.mkdir(parents=True, exist_ok=True)
    names = [f"ISIC_{number:07d}" for number in range(count)]
    if hostile:
        names[: len(HOSTILE)] = HOSTILE
    uris, digests = [], []
    for number, name in enumerate(names):
        path = archive / f"{name[:200].replace('/', '_')}.jpg"
        data = jpeg(number)
        if pictures and number < count - gone:
            path.write_bytes(data)
        uris.append(file_uri(str(path)))
        digests.append(sha256(data).hexdigest())
    started = STARTED + timedelta(days=days)
    run = Run(f"score-{started:%Y%m%dT%H%M%SZ}-{count:06x}", "score", started, {"precision": "fp32"})
    if count:
        rows = score_rows(run.run_id, uris, names, digests, version, **more)
        rows = rows.set_column(1, "run_date", pa.array([started.date()] * count))
        part = write_part(workspace, "scores", rows, f"{run.run_id}-1", {"run_date": f"{started:%Y-%m-%d}"})
        tables.publish(workspace, "scores", [part], run.run_id)
    if quarantined:
        bad = [
            {"run_id": run.run_id, "flow": "score", "uri": f"file:///{HOSTILE[0]}-{number}", "reason": "empty",
             "detail": "0 bytes", "quarantined_at": started}
            for number in range(quarantined)
        ]  # fmt: skip
        tables.append(workspace, "quarantine", pa.Table.from_pylist(bad, QUARANTINE), run.run_id)
    counts = Counts(count + quarantined + skipped, skipped, count, quarantined)
    row = run_row(run, "completed", counts, version, health=health, health_detail=health_detail)
    tables.append(workspace, "runs", row, run.run_id)
    p = probabilities(count)
    order: list[int] = np.lexsort([uris, -p[:, [0, 1, 4]].sum(axis=1)]).tolist() if count else []
    return MadeUpNight(run.run_id, [names[place] for place in order])


def usual_of(measures: dict[str, Any]) -> Usual:
    """A drift reference of the given distributions."""
    from skinml.monitoring.reference import Thresholds

    thresholds = Thresholds(blurred=0, dark=0, overexposed=1, low_confidence=0, unlike_training=9)
    return Usual(images=200, measures=measures, predicted=(20, 20, 20, 20, 20, 80, 20), thresholds=thresholds)
