"""What a version was measured at on its test images: metrics, intervals, predictions, read from its bundle.

Under the thesis protocol the test images are copies of training images, so decisions look at the honest refit:
the same recipe with whole lesions held out.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from skinml.errors import RequestError
from skinml.labels import DIAGNOSES
from skinml.models.bundle import HONEST_PREDICTIONS, METRICS, PREDICTIONS
from skinml.models.manifest import Manifest
from skinml.models.measured import parse_measured
from skinml.models.registry import read_verified
from skinml.schemas import PREDICTIONS as PREDICTIONS_SCHEMA
from skinml.schemas import PROBABILITY_COLUMNS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Judged:
    """What a version was measured at.

    Attributes:
        basis: "test images", or "test images of the honest refit".
        metrics: of `evaluation.metrics.measure`; empty if the bundle has none.
        intervals: [low, high] of each metric, 95 %; empty if the bundle is from before there were any.
        test_set: which test images (`test_set_of`); None if the bundle keeps no predictions.

    """

    basis: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    intervals: Mapping[str, Any] = field(default_factory=dict)
    test_set: str | None = None

    def interval(self, name: str) -> tuple[float, float] | None:
        """The 95 % interval of one metric; None if it is not known."""
        found = self.intervals.get(name)
        return None if found is None or None in found else (float(found[0]), float(found[1]))

    def classes(self) -> int:
        """How many diagnoses the test images show: an accuracy of 1 in so many is chance."""
        per_class = self.metrics.get("per_class", {})
        return sum(1 for name in DIAGNOSES if per_class.get(name, {}).get("images", 1))


def read_metrics(workspace: str, manifest: Manifest) -> dict[str, Any]:
    """`metrics.json` of a version, once its hash is the manifest's; empty if the bundle has none.

    Raises:
        RequestError: it was changed, or is not what `train` writes.

    """
    if METRICS not in manifest.files:
        return {}
    data = read_verified(workspace, manifest, METRICS)
    try:
        return parse_measured(data)
    except ValueError as error:
        raise RequestError(
            f"model {manifest.version}: {METRICS} does not say how it was measured: {error}; train it anew"
        ) from error


def read_judged(workspace: str, manifest: Manifest) -> Judged:
    """What the version was measured at, of the honest refit if there is one.

    Raises:
        RequestError: a file was changed.

    """
    found = read_metrics(workspace, manifest)
    honest = found.get("honest") is not None
    section = found["honest"] if honest else found
    basis = "test images of the honest refit" if honest else "test images"
    metrics, intervals = section.get("metrics") or {}, section.get("intervals") or {}
    test_set = None
    if has_predictions(manifest):
        test = _read(workspace, manifest, _file(manifest))
        test = test[test["split"] == "test"]
        test_set = test_set_of(test)
        if not intervals and len(test):
            intervals = _measured_again(test)
    return Judged(basis, metrics, intervals, test_set)


def has_predictions(manifest: Manifest) -> bool:
    """Whether the bundle keeps predictions of its test images."""
    return PREDICTIONS in manifest.files


def read_own_predictions(workspace: str, manifest: Manifest) -> pd.DataFrame:
    """The predictions of a version's own weights, not of the honest refit (`schemas.PREDICTIONS`).

    Raises:
        RequestError: the version keeps none, it is from before; or the file was changed.

    """
    return _read(workspace, manifest, PREDICTIONS)


def read_judged_predictions(workspace: str, manifest: Manifest) -> pd.DataFrame:
    """The predictions that decisions look at: of the honest refit if there is one (`schemas.PREDICTIONS`).

    Raises:
        RequestError: the version keeps none, or the file was changed.

    """
    return _read(workspace, manifest, _file(manifest))


def _read(workspace: str, manifest: Manifest, file: str) -> pd.DataFrame:
    if file not in manifest.files:
        raise RequestError(
            f"model {manifest.version} keeps no {file}, it is from before there was one; train it anew, or"
            " evaluate both models on the same images"
        )
    data = read_verified(workspace, manifest, file)
    try:
        table = pq.read_table(io.BytesIO(data))
        columns = [name for name in PREDICTIONS_SCHEMA.names if name in table.column_names]
        frame: pd.DataFrame = table.select(columns).to_pandas()
        needed = {"image_id", "lesion_id", "dx", "split", *PROBABILITY_COLUMNS} - {*columns}
    except (ValueError, OSError) as error:  # Arrow's errors are both
        raise RequestError(f"model {manifest.version}: {file} is no Parquet file: {error}") from error
    if needed:
        raise RequestError(f"model {manifest.version}: {file} has no column {sorted(needed)[0]}; train it anew")
    return frame


def _file(manifest: Manifest) -> str:
    return HONEST_PREDICTIONS if HONEST_PREDICTIONS in manifest.files else PREDICTIONS


def test_set_of(test: pd.DataFrame) -> str:
    """A name for a set of test images: the start of the SHA-256 of their sorted ids."""
    ids = "\n".join(sorted(map(str, test["image_id"])))
    return hashlib.sha256(ids.encode()).hexdigest()[:16]


def _measured_again(test: pd.DataFrame) -> Mapping[str, Any]:
    """Intervals of a version that was registered before its metrics had any."""
    from skinml.evaluation.intervals import measure_with_intervals
    from skinml.labels import encode

    lesions = test["lesion_id"].factorize()[0]
    probabilities = test[list(PROBABILITY_COLUMNS)].to_numpy()
    intervals: Mapping[str, Any] = measure_with_intervals(encode(test["dx"]), lesions, probabilities)[1]
    return intervals
