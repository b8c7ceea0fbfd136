"""The stage that chooses the model version for scoring and checks its files."""

from __future__ import annotations

import logging

from skinml.layout import model_url
from skinml.models import registry
from skinml.models.allowed import network_file
from skinml.models.bundle import REFERENCE
from skinml.models.external_data import check_whole
from skinml.models.precisions import Precision
from skinml.monitoring.reference import parse_reference
from skinml.scoring.predict import ScoringModel
from tasks.stage import stage

logger = logging.getLogger("skinml.model")


@stage("choose the model", "choose the model: {version}")
def choose_model(workspace: str, version: str, precision: Precision, flag: str = "--model") -> ScoringModel:
    """Return the model version for scoring, after checking its files' hashes."""
    manifest = registry.find(workspace, version, flag)
    network = network_file(manifest, precision)
    onnx_url = f"{model_url(workspace, manifest.name, manifest.version)}/{network}"
    check_whole(registry.read_verified(workspace, manifest, network), onnx_url)
    usual = None
    if REFERENCE in manifest.files:
        reference = parse_reference(registry.read_verified(workspace, manifest, REFERENCE), manifest.version)
        usual = reference.of(precision, manifest.version)
    logger.info("scoring with model %s %s, %s", manifest.name, manifest.version, precision)
    return ScoringModel(
        name=manifest.name,
        version=manifest.version,
        onnx_url=onnx_url,
        onnx_sha256=manifest.files[network].sha256,
        preprocessing=manifest.pixels(),
        precision=precision,
        usual=usual,
    )
