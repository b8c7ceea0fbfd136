"""Times fits in a process of their own: `python -m benchmarks.training.timed KIND ...`; prints one JSON object.

- `speed ARCHITECTURE BATCH IMAGES ROUNDS`: epochs of our trainer and of Keras's `fit` in turn.
- `memory FOLDER BATCH`: one epoch of a small network over shards in a folder; peak memory.
- `device`: what Keras runs on, and on what kind of device.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 42


def device() -> dict[str, str]:
    """The backend, and `gpu` or `cpu`."""
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return {"backend": backend, "device": "cpu" if jax.devices()[0].platform == "cpu" else "gpu"}
    import tensorflow as tf

    return {"backend": backend, "device": "gpu" if tf.config.list_physical_devices("GPU") else "cpu"}


def speed(name: str, batch_size: int, images: int, rounds: int) -> dict[str, Any]:
    """Seconds of each epoch but the first, ours and of Keras alone with all images as floats in memory."""
    import keras

    from skinml.models.zoo import architecture
    from skinml.training.batch import make_source
    from skinml.training.feed import BatchOrder, Feed
    from skinml.training.jobs import RANDOM
    from skinml.training.learner import Learner
    from skinml.training.settings import THESIS

    shape = architecture(name)
    labels, pixels = made_up(images, shape.size)
    source = make_source(labels, np.arange(images), THESIS, batch_size, SEED)
    learner = Learner(shape, RANDOM, THESIS, np.full(7, 1 / 7), source.count, rounds)
    order = BatchOrder(source).epochs(1, rounds)
    bare = shape.build()
    bare.compile(
        optimizer=keras.optimizers.Adam(),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    floats, one_hot = pixels.astype(np.float32), np.eye(7, dtype=np.float32)[labels]
    seconds: dict[str, list[float]] = {"ours": [], "bare": []}
    learner.begin(1)
    with closing(Feed(source, [pixels], order, is_busy=learner.is_busy)) as feed:
        for _ in range(rounds):
            started = time.perf_counter()
            learner.fit(feed.epoch())
            between = time.perf_counter()
            bare.fit(floats, one_hot, batch_size=batch_size, epochs=1, verbose=0)
            seconds["ours"].append(between - started)
            seconds["bare"].append(time.perf_counter() - between)
        waited = feed.waited
    return {**device(), **{way: times[1:] for way, times in seconds.items()}, "waited": waited}


def memory(folder: str, batch_size: int) -> dict[str, Any]:
    """One epoch of a small network, with flips by worker processes; peak memory of both in bytes."""
    from skinml.models.zoo.base import Architecture
    from skinml.training.batch import make_source
    from skinml.training.feed import BatchOrder, Feed
    from skinml.training.jobs import RANDOM
    from skinml.training.learner import Learner
    from skinml.training.settings import Settings

    shards = [np.load(path, mmap_mode="r") for path in sorted(Path(folder).glob("*.npy"))]
    size = shards[0].shape[1]

    def build() -> Any:
        import keras

        layers = keras.layers
        return keras.Sequential(
            [
                layers.Input((size, size, 3)),
                layers.Rescaling(1 / 255),
                layers.Conv2D(8, 4, strides=4, activation="relu"),
                layers.Flatten(),
                layers.Dense(7, activation="softmax"),
            ]
        )

    images = sum(len(shard) for shard in shards)
    labels = np.arange(images) % 7
    settings = Settings(cutout=0.5)
    source = make_source(labels, np.arange(images), settings, batch_size, SEED)
    learner = Learner(
        Architecture("small", size, build, ""), RANDOM, settings, np.full(7, 1 / 7), source.count, 1
    )
    learner.begin(1)
    before, started = peak(resource.RUSAGE_SELF), time.perf_counter()
    with closing(Feed(source, shards, BatchOrder(source).epochs(1, 1), workers=1)) as feed:
        learner.fit(feed.epoch())
        waited = feed.waited
    return {
        "images": images,
        "seconds": time.perf_counter() - started,
        "waited": waited,
        "before": before,
        "trainer": peak(resource.RUSAGE_SELF),
        "worker": peak(resource.RUSAGE_CHILDREN),
    }


def peak(whose: int) -> int:
    """Peak resident bytes."""
    found = resource.getrusage(whose).ru_maxrss
    return found if sys.platform == "darwin" else 1024 * found


def made_up(images: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Labels and noise of so many images."""
    random.seed(SEED)
    generator = np.random.default_rng(SEED)
    return np.arange(images) % 7, generator.integers(0, 256, (images, size, size, 3), dtype=np.uint8)


def main(arguments: list[str]) -> dict[str, Any]:
    """What the arguments ask for."""
    kind, *rest = arguments
    if kind == "speed":
        return speed(rest[0], int(rest[1]), int(rest[2]), int(rest[3]))
    return memory(rest[0], int(rest[1])) if kind == "memory" else {**device()}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
