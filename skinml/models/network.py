"""Check that a network can score: it opens, takes the model's pixels and gives the seven probabilities."""

from __future__ import annotations

from skinml.errors import RequestError
from skinml.labels import DIAGNOSES
from skinml.layout import model_url
from skinml.models.allowed import network_file
from skinml.models.external_data import check_whole
from skinml.models.manifest import Manifest
from skinml.models.registry import read_verified

PROBABILITIES = "probabilities"


def check_network(workspace: str, manifest: Manifest) -> None:
    """Open the fp32 network of a version.

    Raises:
        RequestError: it does not open, has other classes or takes other pixels; in one line.

    """
    import onnxruntime

    file = network_file(manifest, "fp32")
    data = read_verified(workspace, manifest, file)
    check_whole(data, f"{model_url(workspace, manifest.name, manifest.version)}/{file}")
    named = f"model {manifest.version}: {file}"
    try:
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own kinds, which have no base
        raise RequestError(f"{named} is no network: {' '.join(str(error).split())[:200]}") from error
    outputs = {output.name: output.shape for output in session.get_outputs()}
    classes = outputs.get(PROBABILITIES, [None])[-1]
    if classes != len(DIAGNOSES):
        raise RequestError(
            f"{named} gives {'no probabilities' if classes is None else f'{classes} classes'}, not the"
            f" {len(DIAGNOSES)} diagnoses {', '.join(DIAGNOSES)}"
        )
    size, taken = manifest.pixels().size, session.get_inputs()[0].shape
    if taken[1:] != [size, size, 3]:
        raise RequestError(f"{named} takes pixels of shape {taken[1:]}, its manifest says {size} x {size} x 3")
