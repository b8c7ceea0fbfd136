"""Build the bundle of a model version: the names of its files, and everything that goes into it.

A bundle is a folder on this machine until `registry.register` makes it a version. What jobs made lies at
URLs; it is fetched from there and believed only if it is what the job said it wrote.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_chain,
    wait_fixed,
)

from skinml.errors import RunError, StorageError
from skinml.models.manifest import File
from skinml.models.precisions import Precision
from skinml.storage.objects import read_bytes, upload

if TYPE_CHECKING:
    from skinml.report.gallery import Miss

logger = logging.getLogger("skinml.bundle")

KERAS = "model.keras"
NETWORKS: dict[Precision, str] = {"fp32": "model.onnx", "int8": "model-int8.onnx"}
"""The network of each precision."""
REFERENCE = "reference.json"
"""What held-out images look like to the model (`monitoring.reference`)."""
METRICS = "metrics.json"
HEAD = "head.npz"
"""Weights from the network's cells to its logits (`models.head`); none if its architecture names no cells."""
TRAINING_FEATURES = "training-features.parquet"
"""Features of the training images (`schemas.TRAINING_FEATURES`), for the nearest training lesions."""
PREDICTIONS, HONEST_PREDICTIONS = "predictions.parquet", "honest-predictions.parquet"
"""Probabilities of every validation and test image, of the fit and of the honest refit."""
RETRY_DELAYS = (2.0, 10.0, 30.0, 60.0, 120.0, 240.0)
"""Seconds before each further try to leave a file, 7.7 minutes in all: hours of fitting are behind it."""
CARD = ("card.md", "card.html")
"""The model card in both forms."""
FIGURES, HONEST_FIGURES = "figures", "figures/honest"
"""Folders: the figures of the fit, and of the thesis's recipe refitted with whole lesions held out."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What a bundle says of one fit.

    Attributes:
        title: for its figures, such as "grouped protocol".
        labels: true class numbers of its test images, shape (n,), int64.
        probabilities: their predicted probabilities, shape (n, 7), float64.
        predictions: of every validation and test image (`schemas.PREDICTIONS`).
        misses: the worst of its test images (`training.misses`).
        judged: what the predictions say of the fit (`evaluation.judgement.judge`).
        leakage: how much of the test set the fit has met (`training.protocols.leakage`).
        history: one value an epoch of loss, accuracy and the like.
        best_epoch: whose weights were kept, counted from 1.
        seconds: that the fit took.

    """

    title: str
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    predictions: pa.Table
    misses: Sequence[Miss]
    judged: dict[str, Any]
    leakage: dict[str, float]
    history: dict[str, list[float]]
    best_epoch: int
    seconds: float

    def measurements(self) -> dict[str, Any]:
        """What `metrics.json` keeps of it."""
        return {
            **self.judged,
            "leakage": self.leakage,
            "history": self.history,
            "best_epoch": self.best_epoch,
            "fit_seconds": self.seconds,
        }


@dataclass(frozen=True)
class Made:
    """Files that a job left: the URL of their folder, and which of them belong into the bundle."""

    url: str
    files: Mapping[str, File]


def build_bundle(
    folder: Path,
    protocol: str,
    made: tuple[Made, ...],
    fitted: Fit,
    honest: Fit | None,
    finished: Mapping[str, Any],
    features: pa.Table | None = None,
) -> None:
    """Put everything into the bundle's folder: what jobs made, `metrics.json`, predictions, figures.

    Args:
        folder: on this machine; made if it is not there, and files in it are replaced.
        protocol: which the fit followed.
        made: what the fit and the finish left: model.keras, networks, reference.
        fitted: the fit.
        honest: for the thesis's protocol, the fit of its recipe with whole lesions held out.
        finished: what finishing the network measured, as plain data for `metrics.json`.
        features: of the training images (`schemas.TRAINING_FEATURES`); None: the architecture names no cells.

    Raises:
        RunError: a file is not what its job said it wrote.

    """
    folder.mkdir(parents=True, exist_ok=True)
    for one in made:
        for name, expected in one.files.items():
            (folder / name).write_bytes(read_made(f"{one.url}/{name}", expected))
    measured = {
        "protocol": protocol,
        **fitted.measurements(),
        **finished,
    }
    if honest is not None:
        measured["honest"] = honest.measurements()
    (folder / METRICS).write_text(json.dumps(measured, indent=2, allow_nan=False), encoding="utf-8")
    pq.write_table(fitted.predictions, folder / PREDICTIONS)
    if features is not None:
        pq.write_table(features, folder / TRAINING_FEATURES, compression="zstd")
    _draw(folder / FIGURES, fitted)
    if honest is not None:
        pq.write_table(honest.predictions, folder / HONEST_PREDICTIONS)
        _draw(folder / HONEST_FIGURES, honest)


def write_card(folder: Path, fields: Mapping[str, Any]) -> None:
    """Write the model card of a bundle that has everything else, as Markdown and as a page.

    Args:
        folder: the bundle.
        fields: of its manifest, with `created_at`.

    """
    from skinml.report.card import to_html, to_markdown
    from skinml.report.card_items import model_card

    try:
        measured = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        pictures = [path.relative_to(folder).as_posix() for path in folder.rglob("*.png")]
        card = model_card(fields, measured, pictures)
        for name, text in zip(CARD, (to_markdown(card), to_html(card)), strict=True):
            (folder / name).write_text(text, encoding="utf-8")
    except Exception:  # as for a picture
        logger.exception("the version will lack a model card: writing it failed")


def _draw(folder: Path, fit: Fit) -> None:
    """The figures of one fit: how it went, and what its predictions say."""
    from skinml.report.canvas import DOTS_PER_INCH
    from skinml.report.evaluation_figures import judged_figures
    from skinml.report.figures import training_figures

    try:
        training_figures(folder, fit.title, fit.history, fit.labels, fit.probabilities)
        drawn = judged_figures(fit.title, fit.labels, fit.probabilities, fit.judged, lambda: fit.misses)
        for name, draw in drawn.items():
            draw().savefig(folder / f"{name}.png", dpi=DOTS_PER_INCH)
    except Exception:  # hours of fitting are not thrown away for a picture
        logger.exception("the version will lack figures: drawing %s failed", folder.name)


def describe(data: bytes) -> File:
    """Hash and size of a file, as a manifest names them."""
    return File(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def leave(folder: Path, url: str) -> dict[str, File]:
    """Put a folder's files at a URL, for `read_made` of whoever asked for them; hash and size of each.

    Raises:
        StorageError: storage did not take one for RETRY_DELAYS.

    """
    files = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        _retrying(f"{url}/{path.name}")(upload, path, f"{url}/{path.name}")
        files[path.name] = describe(path.read_bytes())
    return files


def _retrying(url: str) -> Retrying:
    def say(state: RetryCallState) -> None:
        failed = state.outcome.exception() if state.outcome is not None else None
        logger.warning("%s was not taken: %s; tried again in %g s", url, failed, state.upcoming_sleep)

    return Retrying(
        retry=retry_if_exception_type(StorageError),
        stop=stop_after_attempt(len(RETRY_DELAYS) + 1),
        wait=wait_chain(*map(wait_fixed, RETRY_DELAYS)),
        before_sleep=say,
        reraise=True,
    )


def read_made(url: str, expected: File) -> bytes:
    """A file that a job left, once it is what the job said it wrote.

    Raises:
        RunError: it is another one.
        StorageError: it is not there.

    """
    data = read_bytes(url)
    if describe(data) != expected:
        raise RunError(
            f"{url}: has {len(data):,} bytes that are not the {expected.size_bytes:,} that its job wrote;"
            " train again"
        )
    return data
