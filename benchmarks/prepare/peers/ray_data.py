"""Ray Data: read_images to Parquet on a local Ray of all cores, without its dashboard, on loopback.

Eight blocks a core were the fastest of what was tried (its own choice of blocks, iterating in the driver,
map_batches over paths or over bytes). The object store is bounded, so that a small /dev/shm is enough.
"""

from __future__ import annotations

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

from benchmarks.prepare.peers.common import parse

BLOCKS_PER_CORE = 8
OBJECT_STORE_BYTES = 2**30

if __name__ == "__main__":
    job = parse(__doc__)
    cores = os.cpu_count() or 1
    ray.init(
        num_cpus=cores,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    dataset = ray.data.read_images(
        job.images,
        size=(job.options.size, job.options.size),
        mode="RGB",
        include_paths=True,
        override_num_blocks=BLOCKS_PER_CORE * cores,
    )
    dataset.write_parquet(str(job.out))
