"""Explain one row of `scores`: everything that can be found out about it, and sentences about what cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from skinml import tables
from skinml.dataset.some_pixels import read_some
from skinml.errors import ImageRejected, SkinmlError
from skinml.explanation.nearest import Nearest, nearest_lesions, parse_features
from skinml.explanation.network import Activation, activation_map, open_network
from skinml.explanation.occlusion import Occlusion, Predict, likeness, occlude, patch_and_stride
from skinml.explanation.rows import ScoredImage
from skinml.explanation.source import (
    Source,
    TrainingData,
    later_failure,
    read_source,
    training_data,
)
from skinml.images.decode import Decoded, decode
from skinml.images.preprocessing import Preprocessing
from skinml.labels import DIAGNOSES
from skinml.models import registry
from skinml.models.bundle import TRAINING_FEATURES
from skinml.models.manifest import Manifest
from skinml.schemas import PROBABILITY_COLUMNS

VIEW = 384
"""Edge in px of the image that people see, cut and stretched as for the network."""

OTHERS = 3
"""Training images whose maps are compared with this one's."""

TOO_ALIKE = 0.9
"""Rank correlation with the maps of other images from which a map says little about this image."""

SAME = 1e-4
"""The largest difference of a probability, scored then against computed now, that rounding explains."""


@dataclass(eq=False)
class Explanation:
    """What is known about a row. What could not be found out is None, and `notes` says why.

    Attributes:
        scored: the row, and the others of the same image.
        label: number of the explained diagnosis.
        source: the image's bytes now.
        file: the file of the table `scores` that holds the row.
        manifest, how, training: of the model version.
        decoded: the image as the network sees it.
        view: the same in VIEW px, uint8 (VIEW, VIEW, 3).
        difference: largest difference of a probability, computed now against the row.
        activation, occlusion, nearest: the maps and the nearest training lesions.
        thumbnails: pixels of the nearest lesions, uint8 (size, size, 3) each.
        alike: median rank correlation of the occlusion map with those of other images.
        notes: sentences.

    """

    scored: ScoredImage
    label: int
    source: Source
    file: str | None = None
    manifest: Manifest | None = None
    how: Preprocessing | None = None
    training: TrainingData | None = None
    decoded: Decoded | None = None
    view: NDArray[np.uint8] | None = None
    difference: float | None = None
    activation: Activation | None = None
    occlusion: Occlusion | None = None
    nearest: Nearest | None = None
    thumbnails: list[NDArray[np.uint8]] = field(default_factory=list)
    alike: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def diagnosis(self) -> str:
        """The explained diagnosis."""
        return DIAGNOSES[self.label]


def explain(workspace: str, scored: ScoredImage, diagnosis: str | None = None) -> Explanation:
    """Explain one row of `scores`.

    Args:
        workspace: normalised URL.
        scored: the row.
        diagnosis: the diagnosis whose maps are made; None: the one that the row predicts.

    Returns:
        Everything that could be found out. Missing files and changed images become notes, not errors.

    """
    row = scored.row
    source = read_source(row)
    about = Explanation(scored, _label(diagnosis or row["predicted_dx"], row), source)
    if source.state != "same":
        about.notes.append(source.sentence)
    with _noting(about, "The file of the row is not known"):
        about.file = _file_of(workspace, row)
    with _noting(about, "The quarantine cannot be read"):
        later = later_failure(workspace, row)
        about.notes += [later] if later else []
    with _noting(about, "There are no maps and no preprocessing"):
        about.manifest = registry.find(workspace, row["model_version"])
        about.how = about.manifest.pixels()
    if about.manifest is None:
        return about
    with _noting(about, "The training data cannot be read"):
        about.training = training_data(
            workspace, about.manifest, row["image_id"], row["sha256"] or source.sha256
        )
    if source.data is None:
        about.notes.append("There are no maps: they would not be of the image that was scored.")
        return about
    with _noting(about, "There are no maps"):
        _look(about, source.data)
    if about.decoded is not None:
        with _noting(about, "There are no maps"):
            _explain_pixels(workspace, about, about.manifest, about.decoded.pixels)
    return about


def _label(diagnosis: str | None, row: dict[str, Any]) -> int:
    """The number of a diagnosis; of the likeliest if another writer's row predicts one that there is not."""
    if diagnosis in DIAGNOSES:
        return DIAGNOSES.index(diagnosis)
    return int(np.nan_to_num(_of_row(row), nan=-1.0).argmax())


@contextmanager
def _noting(about: Explanation, consequence: str) -> Iterator[None]:
    """Turn what fails into a note, and go on."""
    try:
        yield
    except ImageRejected as error:
        about.notes.append(
            f"{consequence}: the image cannot be decoded ({error.reason.value}: {error.detail})."
        )
    except SkinmlError as error:
        about.notes.append(f"{consequence}: {str(error).rstrip('.')}.")


def _file_of(workspace: str, row: dict[str, Any]) -> str | None:
    names = ("run_date", "run_id", "uri", "etag", "model_version")
    where = pc.field("run_date") == row["run_date"]
    for name in names[1:]:
        where &= pc.field(name) == row[name]
    return next(iter(tables.files_with(workspace, "scores", where)), None)


def _look(about: Explanation, data: bytes) -> None:
    """Decode the image twice: as the network sees it, and larger for people."""
    how = about.how
    if how is not None:
        about.decoded = decode(data, how.size, how.decode, how.colour, how.aspect)
        about.view = decode(data, VIEW, how.decode, how.colour, how.aspect).pixels


def _explain_pixels(workspace: str, about: Explanation, manifest: Manifest, pixels: NDArray[np.uint8]) -> None:
    """Fill in everything that needs the network."""
    row = about.scored.row
    network = open_network(workspace, manifest, "fp32")
    probabilities = network.predict(pixels[None])
    if row["precision"] == "int8":
        about.notes.append("The row was scored in int8; the maps are of the same network in fp32.")
        with _noting(about, "The probabilities were not computed again"):
            _compare(about, open_network(workspace, manifest, "int8").predict(pixels[None]))
    else:
        _compare(about, probabilities)
    cells = network.cells(pixels[None])
    if cells is None:
        about.notes.append(
            "There is no class activation map and there are no nearest training lesions: the model's network "
            "has no output for them (it is older, or its architecture names no cells)."
        )
    else:
        with _noting(about, "There is no class activation map"):
            first = network.first_view(pixels[None])
            about.activation = activation_map(workspace, manifest, cells, first, about.label)
        if network.views > 1:
            about.notes.append(
                f"The probabilities are the mean of {network.views} views of the image (mirrored and turned)."
                " The class activation map and the nearest training lesions are of the image as it is."
            )
    about.occlusion = occlude(network.predict, pixels, about.label, *patch_and_stride(len(pixels)))
    if about.occlusion.is_flat:
        about.notes.append("No grey square changes the answer: the network hardly uses this image.")
    if cells is not None:
        with _noting(about, "There are no nearest training lesions"):
            features = cells.mean(axis=(1, 2), dtype=np.float64)[0]
            _find_nearest(workspace, about, manifest, features, pixels, network.predict)


def _compare(about: Explanation, probabilities: NDArray[np.float64]) -> None:
    """Compare the probabilities computed now, (1, 7), with the row's."""
    about.difference = float(np.abs(probabilities[0] - _of_row(about.scored.row)).max())
    if not about.difference <= SAME:
        about.notes.append(
            f"Computed again, a probability differs by {about.difference:.4f} from the row: "
            "it was scored by another version of skinml or onnxruntime, or on another processor."
        )


def _of_row(row: dict[str, Any]) -> NDArray[np.float64]:
    return np.array([row[name] for name in PROBABILITY_COLUMNS], dtype=np.float64)


def _find_nearest(
    workspace: str,
    about: Explanation,
    manifest: Manifest,
    features: NDArray[np.float64],
    pixels: NDArray[np.uint8],
    predict: Predict,
) -> None:
    """The nearest training lesions, their pixels, and how much other images' maps are like this one's."""
    data = registry.read_verified(workspace, manifest, TRAINING_FEATURES)
    rows, known = parse_features(data, manifest.version)
    about.nearest = nearest_lesions(rows, known, features)
    key = str(manifest.dataset.get("key"))
    shards = {one.shard for one in about.nearest.lesions}
    lesions = {one.lesion_id for one in about.nearest.lesions}
    near = [(one.shard, one.row) for one in about.nearest.lesions]
    columns = [rows[name].to_pylist() for name in ("shard", "row", "lesion_id")]
    others = [
        (shard, row)
        for shard, row, lesion in zip(*columns, strict=True)
        if shard in shards and lesion not in lesions
    ]
    chosen = (
        [others[number] for number in np.linspace(0, len(others) - 1, OTHERS).astype(int)] if others else []
    )
    with _noting(about, "There are no thumbnails of the nearest training lesions"):
        found = read_some(workspace, key, [*near, *chosen])
        about.thumbnails = found[: len(near)]
        about.alike = likeness(predict, pixels, found[len(near) :], about.label)
    if about.alike is not None and about.alike > TOO_ALIKE:
        about.notes.append(
            f"The occlusion map is nearly the same for other images (rank correlation {about.alike:.2f}): "
            "it says little about this one."
        )
