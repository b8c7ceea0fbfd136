"""Images a second that one core augments as the recipe fine-tuning does, and each part of it alone."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from benchmarks.harness.bench import Bench, Result
from skinml.training.augment import augment
from skinml.training.settings import NAMED, Settings

SIZE = 128
IMAGES = 64
PARTS = ("geometry", "colour", "cutout", "mixup", "drift")


def measure(bench: Bench) -> Result:
    """The best of some rounds: another program may have the core."""
    tuned = NAMED["fine-tuning"].settings
    small = np.random.default_rng(0).integers(0, 256, (IMAGES, 8, 8, 3), dtype=np.uint8)
    pixels = small.repeat(SIZE // 8, axis=1).repeat(SIZE // 8, axis=2)
    targets = np.eye(7, dtype=np.float32)[np.arange(IMAGES) % 7]
    rounds = max(2, round(20 * min(1.0, bench.scale)))
    ways = {"all": tuned, **{part: replace(Settings(), **{part: getattr(tuned, part)}) for part in PARTS}}
    rates = {}
    for name, settings in ways.items():
        generator, best = np.random.default_rng(0), float("inf")
        for _ in range(rounds):
            started = time.process_time()
            augment(pixels, targets, settings, generator)
            best = min(best, time.process_time() - started)
        rates[name] = IMAGES / best
    return {"size": SIZE, "images_per_second": rates}
