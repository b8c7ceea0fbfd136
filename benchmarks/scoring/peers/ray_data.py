"""Ray Data with an ONNX actor: read_images, map_batches with a class, Parquet; on all cores, on loopback.

One actor a core, each with onnxruntime on one thread. Of what was tried (its own number of blocks or eight a
core, actors that count as a whole core, half of one or a tenth, batches of 32, 128 and 256) this took the
least time. `--decoder scaled` reads bytes instead, and the actor decodes them as skinml does: nobody's
default, and the most that this engine can be given. A bucket is read through pyarrow's S3 file system.
"""

from __future__ import annotations

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

from typing import Any

import numpy as np
import ray

from benchmarks.scoring.peers.common import BATCH, CLASSES, SIZE, one_thread_session, parse

BLOCKS_PER_CORE = 8
CORES_PER_ACTOR = 0.5
OBJECT_STORE_BYTES = 2**30
"""Bounded, so that a small /dev/shm is enough."""

Batch = dict[str, Any]


class OnnxActor:
    """The network, loaded once an actor."""

    def __init__(self, network: str, scaled: bool) -> None:
        self.session = one_thread_session(network)
        self.scaled = scaled

    def __call__(self, batch: Batch) -> Batch:
        """Images, or their bytes, to probabilities."""
        pixels = np.stack([_decode(data) for data in batch["bytes"]]) if self.scaled else batch["image"]
        found = self.session.run(["probabilities"], {"pixels": pixels.astype(np.float32)})[0]
        columns = {f"p_{name}": found[:, number] for number, name in enumerate(CLASSES)}
        return {"path": batch["path"], **columns}


def _decode(data: bytes) -> Any:
    from skinml.images.decode import decode

    return decode(data, SIZE, "fast").pixels


def _place(images: str) -> dict[str, Any]:
    """Where the images are, as Ray's readers are told it."""
    if not images.startswith("s3://"):
        return {"paths": images}
    from pyarrow.fs import S3FileSystem

    endpoint = os.environ["AWS_ENDPOINT_URL"]
    files = S3FileSystem(endpoint_override=endpoint, region=os.environ["AWS_REGION"])
    return {"paths": images.removeprefix("s3://"), "filesystem": files}


if __name__ == "__main__":
    job = parse(__doc__, "decoder")
    cores = os.cpu_count() or 1
    ray.init(
        num_cpus=cores,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    scaled = job.options.decoder == "scaled"
    reading = {**_place(job.images), "include_paths": True, "override_num_blocks": BLOCKS_PER_CORE * cores}
    if scaled:
        dataset = ray.data.read_binary_files(**reading)
    else:
        dataset = ray.data.read_images(size=(SIZE, SIZE), mode="RGB", **reading)
    scored = dataset.map_batches(
        OnnxActor,
        fn_constructor_args=(str(job.options.bundle / "model.onnx"), scaled),
        batch_size=BATCH,
        concurrency=cores,
        num_cpus=CORES_PER_ACTOR,
    )
    scored.write_parquet(str(job.out))
