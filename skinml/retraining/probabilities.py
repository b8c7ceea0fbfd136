"""Predict images whose pixels are stored with a registered version's ONNX network, as scoring does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skinml.dataset.pixelstore import PixelStore
from skinml.dataset.shard_files import map_shards
from skinml.errors import RequestError
from skinml.images.preprocessing import network_input
from skinml.models import registry
from skinml.models.allowed import network_file
from skinml.models.calls import call
from skinml.models.external_data import check_whole
from skinml.models.inference import BATCH, infer
from skinml.models.manifest import Manifest
from skinml.models.outputs import OUTPUT_NAME
from skinml.schemas import IMAGE_VERSION, PROBABILITY_COLUMNS
from skinml.training.pixels import gather

COLUMNS = ("image_id", "lesion_id", "dx", "age", "sex", "localization", "source")
"""What the gate reads of an image, beside its probabilities."""


TIMED, ROUNDS = 32, 5
"""Images of a timed call, and calls of each network: half a second for a slow one."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """A version on some images.

    Attributes:
        rows: IMAGE_VERSION, COLUMNS and PROBABILITY_COLUMNS.
        network: the bytes of its network.
        some: inputs of the network, float32 (at most TIMED, size, size, 3), to time it by.
    """

    rows: pd.DataFrame
    network: bytes
    some: NDArray[np.float32]


def predict_stored(workspace: str, manifest: Manifest, store: PixelStore, scratch: Path) -> Predicted:
    """Predict all samples of a store with a version's fp32 network.

    Args:
        workspace: normalised URL.
        manifest: of the version.
        store: pixels that are made as the version needs them.
        scratch: a folder of this machine for copies of shards.

    Raises:
        RequestError: a file of the version was changed, or it gives no finite probabilities.
    """
    file = network_file(manifest, "fp32")
    network = registry.read_verified(workspace, manifest, file)
    check_whole(network, file)
    pixels = manifest.pixels()
    shards = map_shards(workspace, store.dataset_key, store.stored_as, store.shards, scratch)
    rows = store.samples.sort_values("position", ignore_index=True)  # so that shards are read in order
    positions = rows["position"].to_numpy(np.int64)

    def batches() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(positions), BATCH):
            yield network_input(gather(shards, positions[start : start + BATCH]), pixels.normalisation)

    probabilities = infer(network, batches(), [OUTPUT_NAME])[OUTPUT_NAME]
    if not np.isfinite(probabilities).all():
        raise RequestError(f"model {manifest.version}: its network gives probabilities that are not finite")
    predicted = rows[[*IMAGE_VERSION, *COLUMNS]].assign(
        lesion_id=rows["split_group"],  # lesions that share a duplicate image are one
        **dict(zip(PROBABILITY_COLUMNS, probabilities.T, strict=True)),
    )
    some = network_input(gather(shards, positions[:TIMED]), pixels.normalisation)
    return Predicted(predicted, network, some)


def speeds(first: Predicted, second: Predicted) -> tuple[float, float]:
    """Return the images per second of both networks, without reading and decoding.

    They take turns, and the fastest of ROUNDS counts: other work on the machine slows single rounds down.
    """
    import onnxruntime

    runs = []
    for one in (first, second):
        session = onnxruntime.InferenceSession(one.network, providers=["CPUExecutionProvider"])
        runs.append(partial(call, session, [OUTPUT_NAME], one.some))
    best = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for place, run in enumerate(runs):
            began = time.perf_counter()
            run()
            best[place] = min(best[place], time.perf_counter() - began)
    return len(first.some) / best[0], len(second.some) / best[1]


def paired(champion: pd.DataFrame, challenger: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the images that both have predicted, in one order: by image_id."""
    both = champion[IMAGE_VERSION].merge(challenger[IMAGE_VERSION], on=IMAGE_VERSION, validate="one_to_one")

    def ordered(rows: pd.DataFrame) -> pd.DataFrame:
        chosen = rows.merge(both, on=IMAGE_VERSION, validate="one_to_one")
        return chosen.sort_values(["image_id", "uri"], kind="stable", ignore_index=True)

    return ordered(champion), ordered(challenger)
