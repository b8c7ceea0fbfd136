"""Read labelled images and predict them in a worker, as `score` does. Imports little: workers load it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from skinml.images.fingerprint import perceptual_hashes
from skinml.images.load import Rejected, load_images
from skinml.models.session import load_session, predict
from skinml.schemas import PROBABILITY_COLUMNS
from skinml.scoring.predict import BATCH, ScoringModel

READ = pa.schema(
    [
        ("uri", pa.string()),
        ("etag", pa.string()),  # of the bytes that were read
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),
        ("phash", pa.string()),  # as in SAMPLES; null for an even image, and for one that could not be used
        *((column, pa.float64()) for column in PROBABILITY_COLUMNS),
        ("reason", pa.string()),  # null if the image could be used
        ("detail", pa.string()),
    ]
)
"""What a worker returns: one row per image of its shard, half a kilobyte."""


@dataclass(frozen=True, eq=False)
class EvaluateJob:
    """The job for one shard: its images (uri, etag, size_bytes), the model, and their archives."""

    images: pd.DataFrame
    model: ScoringModel
    roots: tuple[str, ...] | None = None


def evaluate_jobs(
    images: pd.DataFrame, each: int, model: ScoringModel, roots: Sequence[str]
) -> Iterator[EvaluateJob]:
    """Yield one job for every `each` images."""
    needed = images[["uri", "etag", "size_bytes"]]
    for start in range(0, len(needed), each):
        yield EvaluateJob(needed.iloc[start : start + each], model, tuple(roots))


def evaluate_shard(job: EvaluateJob) -> pa.Table:
    """Read, decode and predict one shard; write nothing. Returns READ, one row per image in their order."""
    rows: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    pixels: list[NDArray[np.uint8]] = []

    def predict_waiting() -> None:
        if not pixels:
            return
        session = load_session(job.model.onnx_url, job.model.onnx_sha256)
        batch = np.stack(pixels)
        found = predict(session, batch, job.model.preprocessing.normalisation)["probabilities"]
        hashes = perceptual_hashes(batch)
        for row, probabilities, phash in zip(waiting, found, hashes, strict=True):
            row.update(zip(PROBABILITY_COLUMNS, probabilities.tolist(), strict=True))
            row["phash"] = phash.hex() if phash else None
        waiting.clear()
        pixels.clear()

    for image, uri in zip(
        load_images(job.images, job.model.preprocessing, job.roots), job.images["uri"], strict=True
    ):
        row: dict[str, Any] = {"uri": uri, "etag": image.etag, "sha256": image.sha256}
        rows.append(row)
        if isinstance(image, Rejected):
            row.update(size_bytes=image.size_bytes, reason=image.reason.value, detail=image.detail)
            continue
        row["size_bytes"] = len(image.data)
        waiting.append(row)
        pixels.append(image.decoded.pixels)
        if len(pixels) == BATCH[job.model.precision]:
            predict_waiting()
    predict_waiting()
    return pa.Table.from_pylist(rows, READ)
