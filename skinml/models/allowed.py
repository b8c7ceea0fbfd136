"""Choose a bundle's network file for a precision, or refuse a precision that loses too much accuracy."""

from __future__ import annotations

import logging

from skinml.errors import RequestError
from skinml.models.bundle import NETWORKS
from skinml.models.manifest import Manifest
from skinml.models.precisions import LARGEST_DROP, Network, Precision, explain

logger = logging.getLogger("skinml.models")


def network_file(manifest: Manifest, precision: Precision) -> str:
    """The bundle's file that scores in this precision.

    Raises:
        RequestError: the bundle has none (it is older, or quantising failed), or its test lesions did not show
            that it loses no more than LARGEST_DROP of balanced accuracy; in one line, with what was measured.

    """
    network = manifest.precisions.get(precision)
    if network is None and precision == "fp32":
        network = Network(file=NETWORKS["fp32"], allowed=True)  # a bundle from before there were two
    refusal = f"--precision {precision}: model {manifest.version}"
    advice = "score with --precision fp32" if precision == "int8" else "choose another --model"
    if network is None:
        raise RequestError(f"{refusal} has no such network, it is from before there was one; {advice}")
    if network.file is None:
        raise RequestError(f"{refusal} has no such network: {network.failure}; {advice}")
    if not network.allowed:
        shown = _loss(manifest, network) if network.interval is None else explain(network)
        raise RequestError(f"{refusal} may not score so: {shown}; {advice}")
    if network.file not in manifest.files:
        raise RequestError(f"{refusal}: its manifest names no {network.file}; {advice}")
    if precision == "int8" and network.interval is None:
        logger.info(
            "int8 of model %s was allowed on %d test images, without an interval: train anew for one",
            *(manifest.version, network.images),
        )
    return network.file


def _loss(manifest: Manifest, network: Network) -> str:
    """What a network loses against fp32, in words, by a bundle from before there was an interval."""
    fp32 = manifest.precisions.get("fp32")
    before = fp32.balanced_accuracy if fp32 is not None else None
    return (
        f"its balanced accuracy is {_shown(network.balanced_accuracy)} against {_shown(before)} in fp32"
        f" on {network.images} test images, a drop of more than {LARGEST_DROP}"
    )


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
