"""Stages that look for wrong labels: fit one network a fold, rank the labels, write the report."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pyarrow as pa

from skinml.dataset.pixelstore import PixelStore
from skinml.evaluation.mislabelled import out_of_fold_accuracy, rank_labels
from skinml.layout import report_url
from skinml.models.zoo import architecture
from skinml.requests.labels import MislabelledRequest
from skinml.schemas import PROBABILITY_COLUMNS
from skinml.storage.objects import write_bytes
from skinml.storage.parquet import as_parquet
from skinml.training.folds import fold_recipes
from skinml.training.jobs import Start
from skinml.training.protocols import Recipe, in_one_step
from tasks import artifacts
from tasks.fit import Workplace, run_fit
from tasks.pixels import Samples
from tasks.stage import stage

logger = logging.getLogger("skinml.labels")


@stage("check the folds", "check {request.folds} folds")
def check_folds(samples: Samples, request: MislabelledRequest) -> None:
    """Refuse more folds than a diagnosis has lesions, before the run begins."""
    _recipes(samples.rows.assign(position=np.arange(len(samples.rows))), request)


def _recipes(samples: pd.DataFrame, request: MislabelledRequest) -> list[Recipe]:
    recipes = fold_recipes(samples, request.folds, request.epochs, request.batch_size, request.seed)
    if not architecture(request.model).frozen:
        return recipes
    return [in_one_step(recipe, request.model, request.epochs) for recipe in recipes]


@stage("predict out of fold", "fit {request.folds} folds of {request.model}")
def predict_out_of_fold(
    store: PixelStore, request: MislabelledRequest, place: Workplace, start: Start
) -> pd.DataFrame:
    """Fit one network a fold; every image's probabilities, by the network that has not seen its lesion."""
    by_position = store.samples.set_index("position")
    parts = []
    for recipe in _recipes(store.samples, request):
        _, result = run_fit(store, recipe, request.model, request.seed, place, export=False, start=start)
        part = by_position.loc[recipe.test, ["image_id", "lesion_id", "dx", "dx_type"]].reset_index(drop=True)
        part[list(PROBABILITY_COLUMNS)] = result.probabilities
        parts.append(part.assign(fold=recipe.name))
    return pd.concat(parts, ignore_index=True)


@stage("rank the labels")
def write_ranking(
    workspace: str, run_id: str, predictions: pd.DataFrame, top: int
) -> tuple[pd.DataFrame, list[str]]:
    """Rank the labels, write ranking and predictions into the run's report; the ranking and the files."""
    ranked = rank_labels(predictions)
    csv, parquet = (report_url(workspace, run_id, name) for name in ("mislabelled.csv", "out-of-fold.parquet"))
    write_bytes(csv, ranked.to_csv(index=False, lineterminator="\n").encode())
    write_bytes(parquet, as_parquet(pa.Table.from_pandas(predictions, preserve_index=False)))
    logger.info(
        "%d of %d lesions are more likely another diagnosis than their label; %s lists all",
        *(int(ranked["issue"].sum()), len(ranked), csv),
    )
    logger.info(
        "balanced accuracy of these networks on lesions that they have not seen: %.3f; if it is near chance,"
        " the ranking means nothing: give more --epochs or more images",
        out_of_fold_accuracy(predictions),
    )
    rows = [{str(name): value for name, value in row.items()} for row in ranked[:top].to_dict("records")]
    artifacts.show_table("mislabelled", "The most suspicious labels.", rows)
    return ranked, [csv, parquet]
