"""The models verb: list, show, compare and verify versions, and choose the champion.

Not a flow: every action takes seconds, and a promotion has its own record, the table `promotions`.
"""

from __future__ import annotations

import logging
from typing import Any

from skinml.layout import check_workspace, report_url
from skinml.models import promotions, registry
from skinml.models.catalogue import describe, list_versions, summarise
from skinml.models.champion import read_champion_if_any
from skinml.models.floors import floors_of
from skinml.models.manifest import Manifest
from skinml.models.promotions import Decision
from skinml.models.proposals import Proposal, find_proposals, proposal_of
from skinml.records.evaluations import evaluations_of
from skinml.requests.models import ModelsRequest
from skinml.storage.urls import normalise

logger = logging.getLogger("skinml.models")


def list_models(workspace: str, request: ModelsRequest) -> dict[str, Any]:
    """List every version, oldest first, with its headline metrics and a mark at the champion; and proposals.

    Args:
        workspace: folder or s3://bucket/prefix that holds everything.
        request: nothing more is asked.
    """
    workspace = normalise(workspace)
    found = _champion(workspace)
    rows = promotions.history(workspace)
    proposals = [_shown(workspace, one) for one in find_proposals(rows, found["champion"])]
    return {"models": list_versions(workspace), **found, "proposals": proposals}


def show(workspace: str, request: ModelsRequest) -> dict[str, Any]:
    """Show one version: metrics, recipe, data, files, evaluations on other images, and decisions about it."""
    workspace = normalise(workspace)
    [manifest] = _asked(workspace, request)
    decisions = [row for row in promotions.history(workspace) if row["model_version"] == manifest.version]
    return {
        "models": [summarise(workspace, manifest)],
        **describe(workspace, manifest),
        "evaluations": evaluations_of(workspace, manifest.name, manifest.version),
        "promotions": decisions,
    }


def compare(workspace: str, request: ModelsRequest) -> dict[str, Any]:
    """Compare two versions on the same lesions: differences with intervals, McNemar's test, what changed."""
    from skinml.external_validation.compare_versions import compare_versions

    workspace = normalise(workspace)
    first, second = _asked(workspace, request)
    rows = [summarise(workspace, first), summarise(workspace, second)]
    return {"models": rows, **compare_versions(workspace, first, second)}


def promote(workspace: str, request: ModelsRequest) -> dict[str, Any]:
    """Make a version champion, and leave a row in `promotions`. Says what the gate found if it was proposed."""
    from skinml.models.decide import promote as decide

    workspace = check_workspace(workspace)
    [manifest] = _asked(workspace, request)
    champion = _champion(workspace)["champion"]
    proposal = proposal_of(promotions.history(workspace), champion, manifest.version)
    if proposal is not None:
        logger.info("the gate found: %s", proposal.reason)
    decision = decide(workspace, manifest, floors_of(request), request.reason, request.by, request.force)
    found = _decided(workspace, decision)
    return found if proposal is None else {**found, "proposal": _shown(workspace, proposal)}


def roll_back(workspace: str, request: ModelsRequest) -> dict[str, Any]:
    """Make the champion's predecessor champion again, and leave a row in `promotions`."""
    from skinml.models.decide import roll_back as decide

    workspace = check_workspace(workspace)
    return _decided(workspace, decide(workspace, request.reason, request.by))


def history(workspace: str, request: ModelsRequest) -> dict[str, Any]:
    """List every decision about the champion, oldest first."""
    workspace = normalise(workspace)
    return {"promotions": promotions.history(workspace), **_champion(workspace)}


def verify(workspace: str, request: ModelsRequest) -> dict[str, Any]:
    """Check every file of one version or of all against its SHA-256, and the record of the champion."""
    from skinml.models.verification import verify as check

    workspace = normalise(workspace)
    only = _asked(workspace, request)[0] if request.versions else None
    rows, problems = check(workspace, only)
    return {"models": rows, "problems": problems}


def _asked(workspace: str, request: ModelsRequest) -> list[Manifest]:
    flag = f"models {request.action}"
    return [registry.find_by_start(workspace, version, flag) for version in request.versions]


def _champion(workspace: str) -> dict[str, Any]:
    champion = read_champion_if_any(workspace)
    return {"champion": None if champion is None else champion.model_version}


def _shown(workspace: str, proposal: Proposal) -> dict[str, Any]:
    """A proposal for people: the version, whether it still holds, what the gate found, and its page."""
    report = None if proposal.run_id is None else report_url(workspace, proposal.run_id)
    return {
        "version": proposal.model_version,
        "state": proposal.said(),
        "proposed": proposal.proposed_at,
        "compared_with": proposal.compared_with,
        "reason": proposal.reason,
        "report": report,
    }


def _decided(workspace: str, decision: Decision) -> dict[str, Any]:
    logger.info("%s: %s is champion", decision.decision, decision.model_version)
    rows = list_versions(workspace, [decision.model_version, decision.previous_version])
    return {
        "models": rows,
        "decision": decision.decision,
        "champion": decision.model_version,
        "previous_version": decision.previous_version,
        "reason": decision.reason,
        "decided_by": decision.decided_by,
        "test_looks": decision.test_looks,
        "criteria": decision.evidence,
    }
