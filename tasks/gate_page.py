"""The stage that writes the page of the gate's verdict into a run's report."""

from __future__ import annotations

import logging

from skinml.gate import Verdict
from skinml.layout import report_url
from skinml.models.manifest import Manifest
from skinml.records.runs import Run
from skinml.report.gate_page import wanted_thumbnails, write_gate_page
from skinml.retraining.outcome import outcome_of
from skinml.retraining.thumbnails import make_thumbnails
from skinml.retraining.unseen import Unseen
from tasks.stage import stage

logger = logging.getLogger("skinml.retrain")

HEADING = {"promoted": "promote", "kept": "keep", "proposed": "propose"}
"""The page's word for each outcome."""


@stage("write the page")
def write_page(
    workspace: str,
    verdict: Verdict,
    champion: Manifest,
    challenger: Manifest,
    unseen: Unseen,
    approve: str,
    run: Run,
    new_lesions: str,
) -> None:
    """Write the verdict for people: criteria, changed lesions with pictures, images to look at.

    It is written before the decision. A page without a decision is of a run that died in between.
    """
    wanted = wanted_thumbnails(verdict)
    thumbnails = make_thumbnails(unseen.rows, wanted)
    if len(thumbnails) < len(wanted):
        logger.info(
            "%d of %d images of changed lesions cannot be read", len(wanted) - len(thumbnails), len(wanted)
        )
    write_gate_page(
        report_url(workspace, run.run_id, "").rstrip("/"),
        verdict,
        thumbnails,
        champion=champion.version,
        challenger=challenger.version,
        decision=HEADING[outcome_of(verdict.decision, approve)],
        new_lesions=new_lesions,
    )
