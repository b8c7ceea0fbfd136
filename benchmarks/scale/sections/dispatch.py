"""What one Dask scheduler hands out: shards of 4,096 images' names, to workers that do nothing."""

from __future__ import annotations

import pickle
import time
from datetime import date

from benchmarks.harness.bench import Bench, Result, say
from benchmarks.harness.scores import drawn_listing
from skinml.compute import connect, map_shards
from skinml.images.preprocessing import Preprocessing
from skinml.scoring.predict import MOST, ScoreJob, ScoringModel

SHARDS = 500


def take(job: ScoreJob) -> int:
    """What a worker of this benchmark does with a shard."""
    return int(job.images.num_rows)


def measure(bench: Bench) -> Result:
    """Shards a second through one scheduler to two workers."""
    shards = bench.count(SHARDS)
    say(f"dispatch: {shards:,} shards")
    images = drawn_listing(0, MOST)
    model = ScoringModel("thesis-cnn", "v", "", "", Preprocessing(32))
    job = ScoreJob(0, images, "", model, "run", date(2026, 11, 24))
    with connect(None, 2) as client:
        list(map_shards(client, take, [job] * 8))
        began = time.perf_counter()
        done = sum(map_shards(client, take, (job for _ in range(shards))))
        seconds = time.perf_counter() - began
    if done != shards * MOST:
        raise RuntimeError(f"{done} of {shards * MOST} images were handed out")
    return {
        "shards": shards,
        "seconds": round(seconds, 2),
        "shards_a_second": round(shards / seconds, 1),
        "images_a_second": round(done / seconds),
        "megabytes_a_shard": round(len(pickle.dumps(job)) / 1e6, 2),
    }
