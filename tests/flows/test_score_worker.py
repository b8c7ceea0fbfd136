"""A worker that scores: small, and without what fits models."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from skinml.compute import connect, map_shards
from skinml.schemas import LISTING
from skinml.scoring.predict import ScoreJob, score_shard
from skinml.storage.listing import list_images
from tasks.model import choose_model
from tests.conftest import MadeUp

MOST_MB = 250


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read as Linux says it")
def test_a_worker_stays_within_250_mb_and_loads_no_tensorflow(
    trained: Path, made_up: MadeUp, tmp_path: Path
) -> None:
    """With the thesis's network and images of HAM10000's size, through a shard that Dask gave it."""
    model = choose_model(str(trained), "champion", "fp32")
    images = pa.Table.from_batches([piece.images for root in made_up.roots for piece in list_images(str(root))])
    job = ScoreJob(0, images.cast(LISTING), str(tmp_path / "workspace"), model, "run", date(2026, 1, 1))

    def modules_and_peak() -> tuple[set[str], float]:
        import sys

        status = Path("/proc/self/status").read_text(encoding="utf-8")
        [peak] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return {name.partition(".")[0] for name in sys.modules}, int(peak.split()[1]) * 1024 / 1e6

    with connect(None, 1, 1) as client:
        [done] = map_shards(client, score_shard, [job])
        [(modules, peak)] = client.run(modules_and_peak).values()
    assert done.scored == len(images) == 140
    assert "onnxruntime" in modules
    assert not modules & {"tensorflow", "keras", "prefect", "matplotlib", "sklearn", "scipy", "onnx"}
    assert peak <= MOST_MB
