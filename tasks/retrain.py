"""Stages of a retraining: champion, claim, outlook, the measurement of both models, the decision."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skinml import tables
from skinml.dataset.pixelstore import PixelStore, stored_format
from skinml.dataset.samples import samples_version
from skinml.errors import RequestError
from skinml.external_validation.seen import known_images
from skinml.gate import Verdict, budget_left, judge_challenger, looks_spent, smallest_gain
from skinml.gate.looks import read_seen_lesions
from skinml.images.preprocessing import Preprocessing, ShardFormat
from skinml.layout import report_url
from skinml.models import promotions, registry
from skinml.models.allowed import network_file
from skinml.models.champion import Alias, read_alias
from skinml.models.decide_challenger import decide_challenger
from skinml.models.floors import Floors, judge_floors
from skinml.models.judged import read_judged, test_set_of
from skinml.models.manifest import Manifest
from skinml.models.promotions import Decision
from skinml.process.crash_points import crash_point
from skinml.records.runs import Run
from skinml.records.trainings import trained_row
from skinml.requests.retraining import RetrainRequest
from skinml.requests.training import TrainRequest
from skinml.retraining.claim import Claim, check_claim
from skinml.retraining.claim import claim as claim_workspace
from skinml.retraining.outcome import outcome_of, reason_of
from skinml.retraining.probabilities import Predicted, paired, predict_stored, speeds
from skinml.retraining.recipe import is_same_recipe
from skinml.retraining.unseen import Unseen, unseen_test_images
from skinml.schemas import IMAGE_VERSION
from skinml.storage.spelling import resolve_rows
from tasks.cluster import check_cluster, release_cluster
from tasks.pixels import Samples, find_missing, make_pixels, open_pixels, read_samples
from tasks.runs import RunRecord
from tasks.stage import stage

logger = logging.getLogger("skinml.retrain")


@dataclass(frozen=True)
class Present:
    """The champion: its record as it was read, and its manifest."""

    alias: Alias
    manifest: Manifest

    @property
    def version(self) -> str:
        """Its version."""
        return self.manifest.version


@stage("read the champion")
def read_champion(workspace: str) -> Present | None:
    """Read the champion and check its network; None if there is no champion."""
    alias = read_alias(workspace)
    if alias is None:
        logger.info("there is no champion yet: a first one is trained once enough lesions have come")
        return None
    manifest = registry.find(workspace, registry.CHAMPION)
    registry.read_verified(workspace, manifest, network_file(manifest, "fp32"))
    return Present(alias, manifest)


@stage("claim the retraining")
def claim(workspace: str, run: Run) -> Claim | str:
    """Claim it for this run, or return the run_id of the one that is at work."""
    found = claim_workspace(workspace, run.run_id)
    crash_point(31)
    return found


@stage("look for a trained challenger")
def find_trained(workspace: str, mine: Claim, training: TrainRequest) -> Manifest | None:
    """Find a challenger that a dead retraining has had trained on the same samples, and not decided on."""
    decided = {row["model_version"] for row in promotions.history(workspace) if row["run_id"] is not None}
    for run_id in mine.earlier:
        row = trained_row(workspace, run_id)
        if row is None or row["status"] != "completed" or row["model_version"] in {None, *decided}:
            continue
        try:
            manifest = registry.find(workspace, row["model_version"])
        except RequestError:
            continue
        current = manifest.samples_version() == samples_version(workspace)
        if current and is_same_recipe(manifest, training):
            logger.info("run %s died after it had trained %s: it is judged now", run_id, manifest.version)
            return manifest
    return None


@stage("look at the test lesions")
def look_ahead(workspace: str, champion: Present) -> float:
    """Say, before anything is trained, the smallest gain that so many test lesions can show; return it.

    Refuses a test set without lesions, and one whose budget of looks is spent.
    """
    unseen = _unseen(workspace, read_samples(workspace), champion)
    lesions = unseen.lesions()
    spent = _spent(workspace, unseen)
    budget_left(spent, sum(map(len, lesions.values())))
    counts = {name: len(ids) for name, ids in lesions.items()}
    gain = smallest_gain(counts)
    logger.info(
        "%d test lesions (%s) show a gain of %.2f or more in balanced accuracy, in four of five cases",
        *(sum(counts.values()), ", ".join(f"{name} {n}" for name, n in counts.items()), gain),
    )
    return gain


def _unseen(workspace: str, samples: Samples, champion: Present) -> Unseen:
    known = known_images(workspace, champion.manifest)
    return unseen_test_images(samples.rows, known, champion.version)


def _spent(workspace: str, unseen: Unseen) -> int:
    rows = promotions.history(workspace)
    return looks_spent(rows, unseen.lesions(), read_seen_lesions(workspace, rows, unseen.rows))


def find_unseen(workspace: str, champion: Present, challenger: Manifest) -> tuple[Samples, Unseen]:
    """The samples that the challenger was trained on, and the test images that the champion does not know."""
    samples = read_samples(workspace, challenger.samples_version())
    return samples, choose_images(workspace, samples, champion)


@stage("choose the images to judge by")
def choose_images(workspace: str, samples: Samples, champion: Present) -> Unseen:
    """Leave out the test images that the champion was trained on."""
    found = _unseen(workspace, samples, champion)
    if found.left_out:
        logger.info("%d test images are left out: the champion was trained on their lesion", found.left_out)
    return found


def measure_model(
    workspace: str,
    manifest: Manifest,
    samples: Samples,
    unseen: Unseen,
    request: RetrainRequest,
    record: RunRecord,
) -> Predicted:
    """Make pixels for a model where they are missing, and predict the images that neither was trained on."""
    chosen = Samples(unseen.rows, samples.version)
    pixels = manifest.pixels()
    missing = find_missing(workspace, chosen, pixels)
    if missing.work.empty:
        store = open_pixels(workspace, chosen, missing)
    else:
        check_cluster(workspace, request, record, images=missing.work["uri"].head(1).to_list())
        store = make_pixels(workspace, chosen, missing, pixels, request, record.run)
        release_cluster(record)
    return predict(workspace, manifest, store, record.scratch)


@stage("predict the test lesions", "predict the test lesions with {manifest.version}")
def predict(workspace: str, manifest: Manifest, store: PixelStore, scratch: Path) -> Predicted:
    """Predict all images of a store."""
    return predict_stored(workspace, manifest, store, scratch)


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the gate found, and which test images it looked at."""

    verdict: Verdict
    test_set: str


@stage("judge the challenger")
def judge(
    workspace: str,
    champion: Predicted,
    challenger: Predicted,
    unseen: Unseen,
    manifest: Manifest,
    floors: Floors,
) -> Judgement:
    """Let the gate judge the challenger against the champion, on the images that both have predicted."""
    first, second = paired(champion.rows, challenger.rows)
    lost = max(len(champion.rows), len(challenger.rows)) - len(first)
    if lost:
        logger.warning("%d test images have pixels for one model alone, and are left out", lost)
    verdict = judge_challenger(
        first,
        second,
        looks_spent=_spent(workspace, unseen),
        floors=judge_floors(read_judged(workspace, manifest), floors),
        speed=speeds(champion, challenger),
        size=(len(champion.network), len(challenger.network)),
    )
    for sentence in verdict.sentences:
        logger.info("%s", sentence)
    logger.info("%s: %s", verdict.look_in_words(), verdict.reason)
    return Judgement(verdict, test_set_of(first))


@stage("decide")
def decide(
    workspace: str, challenger: Manifest, champion: Present, found: Judgement, approve: str, run: Run
) -> Decision:
    """Write the decision, and replace the champion if it is a promotion."""
    crash_point(34)
    check_claim(workspace, run.run_id)
    outcome = outcome_of(found.verdict.decision, approve)
    decision = decide_challenger(
        workspace,
        challenger,
        champion.alias,
        outcome,
        reason_of(found.verdict.decision, found.verdict.reason, outcome),
        found.verdict.evidence(),
        found.test_set,
        found.verdict.look,
        run.run_id,
    )
    crash_point(35)
    logger.info("%s: %s", challenger.version, decision.reason)
    if decision.decision == "proposed":
        logger.info(
            "%s says why; skinml models promote %s takes it",
            *(report_url(workspace, run.run_id), challenger.version),
        )
    return decision


@stage("read the decision")
def read_first(workspace: str, version: str) -> dict[str, Any] | None:
    """Return the decision that `train` made about a first version; None if it made none."""
    return next((row for row in promotions.history(workspace) if row["model_version"] == version), None)


def evidence_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The criteria of a row of `promotions`."""
    found: list[dict[str, Any]] = json.loads(row["evidence"])
    return found


@stage("read who is champion")
def read_champion_version(workspace: str) -> str | None:
    """Return the champion's version; None if there is no champion."""
    alias = read_alias(workspace)
    return None if alias is None else alias.champion.model_version


@stage("find the stored format")
def stored_as(workspace: str, pixels: Preprocessing) -> ShardFormat:
    """Return the format in which the samples are stored already, so that only what is new is decoded."""
    rows = tables.read(workspace, "samples", [*IMAGE_VERSION, "image_id"])
    return stored_format(workspace, pixels, resolve_rows(rows).to_pandas())
