"""Turn evaluated images into a table of predictions, and into the files of a report."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from skinml.errors import RequestError
from skinml.evaluation.misses import worst_misses
from skinml.images.load import Loaded, load_images
from skinml.images.preprocessing import preprocessing_for
from skinml.labels import encode
from skinml.schemas import EVALUATED, PROBABILITY_COLUMNS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from skinml.report.gallery import Miss

logger = logging.getLogger("skinml.evaluation")

THUMBNAIL = 160
"""Edge of a picture among the worst misses, in px."""


def refuse_too_few_classes(images: pd.DataFrame) -> None:
    """Refuse a set whose images all have one diagnosis: no sensitivity can be set against a specificity.

    Raises:
        RequestError: it names the diagnosis.
    """
    classes = images["dx"].unique()
    if len(classes) < 2:
        raise RequestError(
            f"--images: all {len(images)} images that are left to evaluate are {classes[0]}; give images of at "
            "least two diagnoses"
        )


def predictions_table(images: pd.DataFrame) -> pa.Table:
    """Return evaluated images, in order of image_id, as a table of schema EVALUATED."""
    rows = images.assign(split="test", draws=1, image_trained_on=False, lesion_trained_on=False)
    rows = rows.sort_values(["image_id", "uri"], ignore_index=True)
    missing = {name: None for name in EVALUATED.names if name not in rows}
    return pa.Table.from_pandas(rows.assign(**missing)[EVALUATED.names], EVALUATED, preserve_index=False)


def as_json(values: Mapping[str, Any]) -> bytes:
    """Return values as indented JSON."""
    return json.dumps(values, indent=2, allow_nan=False, default=str).encode()


def _arrays(predictions: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels int64 (n,) and probabilities float64 (n, 7) of a table of predictions."""
    probabilities = np.column_stack([predictions[name].to_numpy() for name in PROBABILITY_COLUMNS])
    return encode(predictions["dx"].to_pylist()), probabilities


def draw_figures(
    predictions: pa.Table, title: str, roots: tuple[str, ...], judged: Mapping[str, Any]
) -> dict[str, bytes]:
    """Draw all figures of an evaluation; return their files by name. One that fails is logged and left out.

    Args:
        predictions: schema EVALUATED.
        title: which model on which images, for the second line of each title.
        roots: the archives; pictures of the worst misses are read again, and links out of them not followed.
        judged: the result of `evaluation.judgement.judge`.
    """
    from skinml.report.canvas import draw_confusion
    from skinml.report.evaluation_figures import judged_figures

    labels, probabilities = _arrays(predictions)
    confusion = np.array(judged["metrics"]["confusion_matrix"])
    figures = judged_figures(title, labels, probabilities, judged, lambda: _misses(predictions, roots))
    figures["confusion_matrix"] = lambda: draw_confusion(title, confusion, "evaluated images")
    return as_pictures(figures)


def as_pictures(figures: Mapping[str, Callable[[], Figure]]) -> dict[str, bytes]:
    """Draw figures; return a PNG and an SVG file of each. One that fails is logged and left out."""
    from skinml.report.evaluation_figures import save

    files: dict[str, bytes] = {}
    for name, draw in figures.items():
        try:
            files |= {f"figures/{name}.{kind}": data for kind, data in save(draw()).items()}
        except Exception:  # the figures in numbers are worth more than a picture
            logger.exception("the report will lack a figure: drawing %s failed", name)
    return files


def _misses(predictions: pa.Table, roots: tuple[str, ...]) -> list[Miss]:
    from skinml.report.gallery import make_misses

    labels, probabilities = _arrays(predictions)
    worst = worst_misses(labels, probabilities)
    rows = predictions.take(worst).select(["uri", "etag", "image_id"]).to_pandas()
    read = load_images(rows.assign(size_bytes=0), preprocessing_for(THUMBNAIL, "fast"), roots)
    pixels = [image.decoded.pixels if isinstance(image, Loaded) else None for image in read]
    return make_misses(worst, labels, probabilities, list(rows["image_id"]), pixels)
