"""Do the maps depend on the network and on the image? After Adebayo et al., "Sanity checks for saliency maps".

A small network is fitted to tell which colour a spot has, wherever it lies. Its maps must find the spot. Those
of the same network with weights drawn at random must not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from skinml.explanation.occlusion import GREY, Predict, likeness, occlude, rank_correlation
from skinml.models.head import Head
from skinml.models.keras_head import linear_head
from skinml.models.onnx import export_onnx

SIZE, SPOT, CELLS = 24, 6, 6
COLOURS = np.array([[red, green, blue] for red in (0, 250) for green in (0, 250) for blue in (0, 250)][:7])
"""The corners of the RGB cube, but for white."""


def spots(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Noisy skin with one spot each: pixels, the number of its colour, and its upper left corner."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 7, count)
    corners = generator.integers(0, SIZE - SPOT + 1, (count, 2))
    pixels = generator.normal((210, 160, 140), 8, (count, SIZE, SIZE, 3)).clip(0, 255)
    for image, label, (top, left) in zip(pixels, labels, corners, strict=True):
        image[top : top + SPOT, left : left + SPOT] = COLOURS[label]
    return pixels.astype(np.uint8), labels, corners


class Network(NamedTuple):
    """An exported network: its outputs, and the head behind its cells."""

    predict: Predict
    cells: Any
    head: Head


def exported(model: Any, path: Path) -> Network:
    import onnxruntime

    export_onnx(model, path, cells="cells")
    session = onnxruntime.InferenceSession(path)

    def run(output: str, pixels: NDArray[np.uint8]) -> Any:
        return session.run([output], {"pixels": pixels.astype(np.float32)})[0].astype(np.float64)

    return Network(lambda pixels: run("probabilities", pixels), lambda pixels: run("cells", pixels),
                   linear_head(model, "cells"))  # fmt: skip


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Network]:
    """Fitted, and with weights drawn at random."""
    import keras

    folder = tmp_path_factory.mktemp("networks")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((SIZE, SIZE, 3), name="pixels"),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(24, 4, strides=4, activation="relu"),
            layers.Conv2D(24, 1, activation="relu", name="cells"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(7, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    pixels, labels, _ = spots(1400, seed=1)
    fitted = model.fit(pixels.astype(np.float32), labels, batch_size=32, epochs=12, verbose=0).history
    assert fitted["accuracy"][-1] > 0.95
    first = exported(model, folder / "fitted.onnx")
    generator = np.random.default_rng(2)
    model.set_weights(
        [generator.permutation(value.ravel()).reshape(value.shape) for value in model.get_weights()]
    )
    return first, exported(model, folder / "random.onnx")


def occlusion_map(network: Network, pixels: NDArray[np.uint8], label: int) -> NDArray[np.float64]:
    return occlude(network.predict, pixels, label, 4, 2).change


def activation_map(network: Network, pixels: NDArray[np.uint8], label: int) -> NDArray[np.float64]:
    parts = network.head.contributions(network.cells(pixels[None]))[0]
    found: NDArray[np.float64] = (parts - parts.mean(axis=-1, keepdims=True))[..., label]
    assert found.shape == (CELLS, CELLS)
    return found.repeat(SIZE // CELLS, axis=0).repeat(SIZE // CELLS, axis=1)


MAPS = pytest.mark.parametrize("make", [occlusion_map, activation_map])


@MAPS
def test_the_map_finds_what_the_network_uses(make: Any, networks: tuple[Network, Network]) -> None:
    pixels, labels, corners = spots(30, seed=3)
    found = [
        _hits(make(networks[0], *one), corner)
        for one, corner in zip(zip(pixels, labels, strict=True), corners, strict=True)
    ]
    assert np.mean(found) >= 0.9


def _hits(values: NDArray[np.float64], corner: NDArray[np.int64]) -> bool:
    """Whether the strongest place lies on the spot, or in a cell that the spot touches."""
    row, column = np.unravel_index(values.argmax(), values.shape)
    top, left = corner
    return bool(top - 4 < row < top + SPOT + 4 and left - 4 < column < left + SPOT + 4)


@MAPS
def test_weights_drawn_at_random_change_the_map(make: Any, networks: tuple[Network, Network]) -> None:
    pixels, labels, _ = spots(12, seed=4)
    fitted, shuffled = (
        [make(network, *one) for one in zip(pixels, labels, strict=True)] for network in networks
    )
    alike = [rank_correlation(*pair) for pair in zip(fitted, shuffled, strict=True)]
    assert np.median(np.abs(alike)) < 0.5, alike


def test_heads_drawn_at_random_change_the_class_activation_map(networks: tuple[Network, Network]) -> None:
    """The convolutions stay: what they see must not make the map alone. Some heads give a like one by luck."""
    network, generator = networks[0], np.random.default_rng(5)
    weights = network.head.weights
    pixels, labels, _ = spots(30, seed=6)
    alike = []
    for image, label in zip(pixels, labels, strict=True):
        drawn = Head(generator.permutation(weights.ravel()).reshape(weights.shape), network.head.bias)
        other = network._replace(head=drawn)
        alike.append(
            rank_correlation(activation_map(network, image, label), activation_map(other, image, label))
        )
    assert abs(np.mean(alike)) < 0.5, alike
    assert min(alike) < 0, alike


def test_a_little_noise_in_the_image_does_not_change_the_map(networks: tuple[Network, Network]) -> None:
    """Otherwise a low rank correlation above would mean nothing."""
    pixels, labels, _ = spots(6, seed=7)
    noise = np.random.default_rng(8).integers(-1, 2, pixels.shape)
    noisy = (pixels.astype(np.int64) + noise).clip(0, 255).astype(np.uint8)
    for make in (occlusion_map, activation_map):
        for first, second, label in zip(pixels, noisy, labels, strict=True):
            assert rank_correlation(make(networks[0], first, label), make(networks[0], second, label)) > 0.8


def test_a_map_that_does_not_depend_on_the_image_is_noticed(networks: tuple[Network, Network]) -> None:
    def sees_only_the_patch(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Its answer follows where the grey patch is, whatever the image shows."""
        hidden = (pixels == GREY).all(axis=3) * np.linspace(0, 1, SIZE)
        return np.repeat(0.1 + hidden.mean(axis=(1, 2))[:, None], 7, axis=1)

    pixels, labels, _ = spots(8, seed=9)
    alike = likeness(sees_only_the_patch, pixels[0], list(pixels[1:4]), 0)
    assert alike is not None
    assert alike > 0.95
    real = likeness(networks[0].predict, pixels[0], list(pixels[1:]), int(labels[0]))
    assert real is not None
    assert real < 0.8
    assert likeness(networks[0].predict, pixels[0], [], 0) is None
    assert likeness(networks[0].predict, pixels[0], [pixels[1][:8, :8]], 0) is None
