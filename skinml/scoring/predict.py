"""One shard of an archive, in a worker: bytes to pixels to probabilities to rows of `scores`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from skinml.images.load import Rejected, load_images
from skinml.images.preprocessing import Preprocessing
from skinml.labels import DIAGNOSES, malignant_probability
from skinml.models.registry import check_sha256
from skinml.quarantine import quarantine_rows
from skinml.schemas import PROBABILITY_COLUMNS, SCORES
from skinml.storage.objects import read_bytes
from skinml.storage.urls import image_id
from skinml.tables import Part, write_part

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

IMAGES_PER_SHARD = 512
BATCH = 32
"""Images a call of the network: onnxruntime did 1,100-1,240 img/s per core on the thesis CNN at 1-64 and 533
at 256, where activations leave the cache."""


@dataclass(frozen=True)
class ScoringModel:
    """What a worker needs of a model version: where its network lies, its hash, how pixels are made."""

    name: str
    version: str
    onnx_url: str
    onnx_sha256: str
    preprocessing: Preprocessing


@dataclass(frozen=True)
class ScoreJob:
    """One shard's work: images (columns of LISTING) and where its rows go."""

    number: int
    images: pd.DataFrame
    workspace: str
    model: ScoringModel
    run_id: str
    run_date: date


@dataclass(frozen=True)
class ShardScored:
    """What one shard left: counts, and unpublished parts of the tables."""

    scored: int
    rejected: Counter[str]  # how many for which reason
    scores: Part | None
    quarantine: Part | None


def score_jobs(
    images: pd.DataFrame, workspace: str, model: ScoringModel, run_id: str, run_date: date
) -> Iterator[ScoreJob]:
    """Cut the pending images into shards."""
    for number, start in enumerate(range(0, len(images), IMAGES_PER_SHARD)):
        piece = images.iloc[start : start + IMAGES_PER_SHARD]
        yield ScoreJob(number, piece, workspace, model, run_id, run_date)


def score_shard(job: ScoreJob) -> ShardScored:
    """Read, decode and predict one shard. Run twice, it leaves the same behind.

    An image that cannot be used is a row for the quarantine; nothing about one image stops the shard.
    """
    session = load_session(job.model.onnx_url, job.model.onnx_sha256)
    outcome: list[tuple[Any, ...]] = []
    pixels: list[NDArray[np.uint8]] = []
    probabilities: list[NDArray[np.float64]] = []
    for image in load_images(job.images, job.model.preprocessing):
        if isinstance(image, Rejected):
            outcome.append((image.etag, image.size_bytes, None, image.reason.value, image.detail))
            continue
        outcome.append((image.etag, len(image.data), datetime.now(UTC), None, None))
        pixels.append(image.decoded.pixels)
        if len(pixels) == BATCH:
            probabilities.append(predict(session, np.stack(pixels)))
            pixels.clear()
    if pixels:
        probabilities.append(predict(session, np.stack(pixels)))

    names = ["etag", "size_bytes", "scored_at", "reason", "detail"]  # etag and size as they were read
    images = job.images.drop(columns=names[:2]).reset_index(drop=True)
    images = pd.concat([images, pd.DataFrame(outcome, columns=names)], axis="columns")
    scored, rejected = images[images["reason"].isna()], images[images["reason"].notna()]
    name = f"{job.run_id}-{job.number:05d}"
    scores_part = quarantine_part = None
    if len(scored):
        table = score_rows(scored, np.concatenate(probabilities), job.model, job.run_id, job.run_date)
        partition = {"run_date": job.run_date.isoformat()}
        scores_part = write_part(job.workspace, "scores", table, name, partition)
    if len(rejected):
        table = quarantine_rows(rejected, "score", job.run_id)
        quarantine_part = write_part(job.workspace, "quarantine", table, name)
    return ShardScored(len(scored), Counter(rejected["reason"]), scores_part, quarantine_part)


@lru_cache(maxsize=2)
def load_session(url: str, sha256: str) -> InferenceSession:
    """The network, loaded once a worker process after its hash was checked; one thread, like the worker."""
    import onnxruntime

    data = read_bytes(url)
    check_sha256(data, sha256, url)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def predict(session: InferenceSession, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Pixels uint8 (n, size, size, 3), 0 to 255, to probabilities float64 (n, 7); rows sum to 1."""
    name = session.get_inputs()[0].name
    probabilities: NDArray[np.float64] = session.run(None, {name: pixels.astype(np.float32)})[0].astype(
        np.float64
    )
    return probabilities


def score_rows(
    images: pd.DataFrame,
    probabilities: NDArray[np.float64],
    model: ScoringModel,
    run_id: str,
    run_date: date,
) -> pa.Table:
    """Images and their probabilities (n, 7) as rows of `scores`, schema SCORES."""
    best = probabilities.argmax(axis=1)
    rows = images.assign(
        run_id=run_id,
        run_date=run_date,
        image_id=[image_id(uri) for uri in images["uri"]],
        model_name=model.name,
        model_version=model.version,
        predicted_dx=[DIAGNOSES[number] for number in best],
        **dict(zip(PROBABILITY_COLUMNS, probabilities.T, strict=True)),
        p_malignant=malignant_probability(probabilities),
        confidence=probabilities.max(axis=1),
        flags="",
    )
    return pa.Table.from_pandas(rows[SCORES.names], SCORES, preserve_index=False)
