"""Score one shard in a worker: bytes to pixels to probabilities to uncommitted rows of `scores`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from skinml import __version__
from skinml.images.load import Rejected
from skinml.images.preprocessing import Normalisation, Preprocessing
from skinml.images.quality import measure
from skinml.labels import DIAGNOSES, malignant_probability
from skinml.models.precisions import Precision
from skinml.models.session import load_session, predict
from skinml.monitoring.flags import flag_images, flag_profiles
from skinml.monitoring.reference import Usual, gather_measures
from skinml.monitoring.tally import Tally, tally
from skinml.process.crash_points import crash_point
from skinml.records.quarantine import quarantine_rows
from skinml.records.unpublished import Origin, Record, write_record
from skinml.schemas import LISTING, PROBABILITY_COLUMNS, SCORES
from skinml.scoring.compare_bytes import Compared, Same, compare_etags, load_unless_known
from skinml.scoring.counted import Model
from skinml.scoring.known_etags import known_etag_rows
from skinml.storage.urls import image_ids
from skinml.tables import Part, attempt, write_part

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FEWEST, MOST = 64, 4096
"""Bounds of the images in a shard. A small archive is cut into small shards, so that all cores have work; a
large one into large shards, so that a million images make 250 files. Until its shard is written, a worker keeps
only the row of an image."""

SHARDS_PER_WORKER = 32
"""Shards for each worker, within the bounds: enough that all workers end at nearly the same time."""

BATCH: dict[Precision, int] = {"fp32": 8, "int8": 16}
"""Images per call of the network, so few that activations stay in the cache: with the thesis CNN, batches of 1,
8 and 32 took 507, 550 and 555 us an image on one core, and the process 68, 86 and 144 MB. Activations of int8
are a quarter as large."""

OUTLIERS = "unlike_training"
"""Name of the network's second output, which older bundles do not have."""


@dataclass(frozen=True)
class ScoringModel:
    """What a worker needs to know about a model version: the network's URL and hash, and its preprocessing."""

    name: str
    version: str
    onnx_url: str
    onnx_sha256: str
    preprocessing: Preprocessing
    precision: Precision = "fp32"
    usual: Usual | None = None  # the drift reference from held-out images; older bundles have none

    @property
    def key(self) -> Model:
        """Return name and version."""
        return self.name, self.version

    def origin(self, flow: str) -> Origin:
        """Return what this flow's rows depend on besides the images."""
        return Origin(flow, self.name, self.version, self.precision, self.onnx_sha256, __version__)


@dataclass(frozen=True, eq=False)
class ScoreJob:
    """The job for one shard: its images (schema compare_bytes.JOB or LISTING) and where its rows go."""

    number: int
    images: pa.Table
    workspace: str
    model: ScoringModel
    run_id: str
    run_date: date
    flow: str = "score"
    roots: tuple[str, ...] | None = None  # archives that every image must lie in; None if not known
    counted: tuple[Model, ...] = ()  # the models whose rows the images were compared with; () for this alone


@dataclass(frozen=True)
class ShardScored:
    """The result of one shard: counts, and uncommitted parts of the tables. Rows do not go to the driver.

    Attributes:
        scored: number of images with a row of `scores`.
        replaced: how many of these had another etag when read than when listed.
        rejected: number of rejected images by reason.
        scores: the part with the scored images' rows, or None.
        quarantine: the part with the rejected images' rows, or None.
        health: the scored images counted in the bins of the model's reference.
        resumed: how many of all these images were taken over from an interrupted run.
        compared: the result of comparing bytes with those that have a row already.
    """

    scored: int
    replaced: int
    rejected: Counter[str]
    scores: Part | None
    quarantine: Part | None
    health: Tally = field(default_factory=Tally)
    resumed: int = 0
    compared: Compared = field(default_factory=Compared)


def images_per_shard(images: int, workers: int) -> int:
    """Return the images per shard that give each worker SHARDS_PER_WORKER shards, within FEWEST and MOST."""
    return max(FEWEST, min(MOST, images // (workers * SHARDS_PER_WORKER)))


def most_shards(images: int) -> int:
    """Return the largest possible number of shards, for any number of workers."""
    return -(-images // FEWEST)


def score_jobs(
    shards: Iterable[pa.Table],
    workspace: str,
    model: ScoringModel,
    run_id: str,
    run_date: date,
    flow: str = "score",
    roots: tuple[str, ...] | None = None,
    counted: tuple[Model, ...] = (),
) -> Iterator[ScoreJob]:
    """Yield one numbered job for each shard of pending images."""
    for number, images in enumerate(shards):
        yield ScoreJob(number, images, workspace, model, run_id, run_date, flow, roots, counted)


def score_shard(job: ScoreJob) -> ShardScored:
    """Read, decode and predict one shard.

    An image that cannot be used becomes a row of the quarantine and does not stop the shard. If a job is run
    twice, there are two sets of parts, and only one of them is committed.
    """
    listed = job.images.select(LISTING.names).to_pandas()
    read: list[tuple[Any, ...]] = []
    same: dict[int, Same] = {}
    predicted = Batches(job.model)
    for position, image in enumerate(load_unless_known(job.images, job.model.preprocessing, job.roots)):
        if isinstance(image, Same):
            same[position] = image
            read.append((image.etag, image.size_bytes, image.sha256, *[None] * 5, False))
            continue
        if isinstance(image, Rejected):
            found, reason = (image.etag, image.size_bytes, image.sha256), image.reason.value
            read.append((*found, None, None, None, reason, image.detail, False))
            continue
        decoded = image.decoded
        found, size = (image.etag, len(image.data), image.sha256), (decoded.width, decoded.height)
        read.append((*found, *size, datetime.now(UTC), None, None, decoded.colour_profile))
        predicted.add(decoded.pixels)
    findings = predicted.finish()
    crash_point(3)

    names = ["etag", "size_bytes", "sha256", "width", "height", "scored_at", "reason", "detail"]
    names.append("colour_profile")
    images = pd.DataFrame(read, columns=names).assign(uri=listed["uri"], last_modified=listed["last_modified"])
    compared = compare_etags(listed["etag"], images["etag"], same)
    usable = images["reason"].isna() & ~images.index.isin(list(same))
    scored, rejected = images[usable], images[images["reason"].notna()]
    name = attempt(f"{job.run_id}-{job.number:05d}")
    scores_part = quarantine_part = None
    health = Tally()
    if len(scored):
        flags, health = judge_images(scored, findings, job.model.usual)
        rows = score_rows(scored, findings, flags, job)
        partition = {"run_date": job.run_date.isoformat()}
        scores_part = write_part(job.workspace, "scores", rows, name, partition)
    crash_point(4)
    if len(rejected):
        rows = quarantine_rows(rejected, job.flow, job.run_id)
        quarantine_part = write_part(job.workspace, "quarantine", rows, name)
    crash_point(5)
    _record(job, scores_part, quarantine_part)
    crash_point(12)
    replaced = int((scored["etag"] != listed.loc[usable, "etag"]).sum())
    compared = replace(compared, remembered=_remember(job, images, same, name))
    return ShardScored(
        len(scored), replaced, Counter(rejected["reason"]), scores_part, quarantine_part, health, 0, compared
    )


class Batches:
    """Predicts pixels in batches as they are decoded, so that a shard's pixels are never all in memory."""

    def __init__(self, model: ScoringModel) -> None:
        self._model = model
        self._waiting: list[NDArray[np.uint8]] = []
        self._seen: list[dict[str, NDArray[Any]]] = []

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Take the pixels of one image, height x width x 3."""
        self._waiting.append(pixels)
        if len(self._waiting) == BATCH[self._model.precision]:
            self._predict()

    def finish(self) -> dict[str, NDArray[Any]]:
        """Predict the rest; return one array for each name, a row for each image; empty without images."""
        if self._waiting:
            self._predict()
        names = self._seen[0] if self._seen else {}
        return {name: np.concatenate([one[name] for one in self._seen]) for name in names}

    def _predict(self) -> None:
        """Predict one batch. The network is loaded only here: a recheck without changes does not need it."""
        session = load_session(self._model.onnx_url, self._model.onnx_sha256)
        pixels = np.stack(self._waiting)
        self._seen.append(run_network(session, pixels, self._model.preprocessing.normalisation))
        self._waiting.clear()


def _remember(job: ScoreJob, images: pd.DataFrame, same: Mapping[int, Same], name: str) -> Part | None:
    """Write rows of `known_etags` for images that are not scored but not known under their etag either."""
    new = [position for position, image in same.items() if image.remember]
    if not new:
        return None
    counted = job.counted or (job.model.key,)
    models = [counted[same[position].place] for position in new]
    rows = known_etag_rows(images.iloc[new], models, job.run_id)
    return write_part(job.workspace, "known_etags", rows, name)


def _record(job: ScoreJob, scores: Part | None, quarantine: Part | None) -> None:
    """Write records of the parts, so that a later run can take them over if this one is interrupted."""
    origin = job.model.origin(job.flow)
    if scores is not None:
        write_record(job.workspace, job.run_id, Record("scores", scores, origin))
    if quarantine is not None and job.flow != "replay":  # a replay must try failures again
        write_record(job.workspace, job.run_id, Record("quarantine", quarantine, origin))


def run_network(
    session: InferenceSession, pixels: NDArray[np.uint8], normalisation: Normalisation = "raw"
) -> dict[str, NDArray[Any]]:
    """Return the outputs of `predict` and the sharpness and brightness of the pixels, float64 (n,) each."""
    quality = measure(pixels)
    return {
        **predict(session, pixels, normalisation),
        "sharpness": quality.sharpness,
        "brightness": quality.brightness,
    }


def judge_images(
    images: pd.DataFrame, seen: dict[str, NDArray[Any]], usual: Usual | None
) -> tuple[NDArray[np.object_], Tally]:
    """Return the images' flags and their counts in the bins of the reference (empty if there is none)."""
    profiles = images["colour_profile"].to_numpy(dtype=bool)
    if usual is None or OUTLIERS not in seen:
        return flag_profiles(np.full(len(images), "", dtype=object), profiles), Tally()
    size = {name: images[name].to_numpy(dtype=np.int64) for name in ("width", "height")}
    measured = gather_measures(**size, **seen)
    flags = flag_profiles(flag_images(measured, usual.thresholds), profiles)
    return flags, tally(usual, measured, flags)


def score_rows(
    images: pd.DataFrame, seen: dict[str, NDArray[Any]], flags: NDArray[np.object_], job: ScoreJob
) -> pa.Table:
    """Build rows of `scores` from images, the results of `run_network` and flags, schema SCORES."""
    probabilities = seen["probabilities"]
    best = probabilities.argmax(axis=1)
    rows = images.assign(
        run_id=job.run_id,
        run_date=job.run_date,
        image_id=image_ids(images["uri"]),
        model_name=job.model.name,
        model_version=job.model.version,
        predicted_dx=np.array(DIAGNOSES, dtype=object)[best],
        **dict(zip(PROBABILITY_COLUMNS, probabilities.T, strict=True)),
        p_malignant=malignant_probability(probabilities),
        confidence=probabilities.max(axis=1),
        flags=flags,
        precision=job.model.precision,
        sharpness=seen["sharpness"],
        brightness=seen["brightness"],
        unlike_training=seen.get(OUTLIERS),
    )
    return pa.Table.from_pandas(rows[SCORES.names], SCORES, preserve_index=False)
