"""Images a second of our trainer and of Keras's own `fit` on arrays in memory, in turn in one process."""

from __future__ import annotations

import sys

from benchmarks.harness.bench import Bench, Result, answer, say
from skinml.models.zoo import ARCHITECTURES

PROGRAM = "benchmarks.training.timed"
NETWORKS = ("thesis-cnn", "efficientnet-lite0")
"""Those of them that the zoo has."""

BATCHES = {"cpu": (16, 64), "gpu": (16, 128, 1024)}
IMAGES = {
    "cpu": {"thesis-cnn": 256, "efficientnet-lite0": 64},
    "gpu": {"thesis-cnn": 51_200, "efficientnet-lite0": 10_240},
}
ROUNDS = 6


def measure(bench: Bench) -> Result:
    """A process for each network and batch size."""
    python = [sys.executable, "-m", PROGRAM]
    device = answer(bench.run([*python, "device"]))["device"]
    rows = []
    for name in NETWORKS:
        if name not in ARCHITECTURES:
            continue
        for batch in BATCHES[device]:
            images = max(2 * batch, bench.count(IMAGES[device][name]))
            rounds = max(2, round(ROUNDS * min(1.0, bench.scale * 10)))
            found = answer(bench.run([*python, "speed", name, str(batch), str(images), str(rounds)]))
            rows.append({"network": name, "batch": batch, "images": images, **found})
            say(f"{name}, batch {batch}: ours {min(found['ours']):.2f} s, Keras {min(found['bare']):.2f} s")
    return {"rows": rows}
