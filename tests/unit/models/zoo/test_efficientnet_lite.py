"""Tests of skinml/models/zoo/families/efficientnet_lite.py: the features are those of the published weights.

They are compared with a second forward pass, written from the PyTorch package's definition on the file's own
tensors: in NumPy, and by PyTorch itself where that is installed. Real images are used where they are at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from skinml.errors import RequestError
from skinml.models import zoo
from skinml.models.pretrained.loading import put
from skinml.models.pretrained.torch_file import Tensors, read_tensors
from skinml.models.zoo import efficientnet_lite0, efficientnet_lite1, efficientnet_lite2
from skinml.models.zoo.base import read_weights
from skinml.models.zoo.families.efficientnet_lite import build, convert
from tests.conftest import REAL_DATA

Values = NDArray[np.float32]
Convolve = Callable[[Values, Values, int, int], Values]

MEMBERS = {"0": efficientnet_lite0, "1": efficientnet_lite1, "2": efficientnet_lite2}
REPEATS = {"0": [1, 2, 2, 3, 3, 4, 1], "1": [1, 3, 3, 4, 4, 5, 1], "2": [1, 3, 3, 4, 4, 5, 1]}
KERNELS, STRIDES = [3, 3, 5, 3, 5, 5, 3], [1, 2, 2, 2, 1, 2, 1]
PARAMETERS = {"0": 3_421_991, "1": 4_198_311, "2": 4_878_135}
BY = ["numpy", pytest.param("torch", marks=pytest.mark.skipif(find_spec("torch") is None, reason="no PyTorch"))]


def _pixels(count: int, size: int) -> Values:
    """Real images if there are any, otherwise smooth made-up ones."""
    files = sorted((REAL_DATA / "ham10000_q95").rglob("*.jpg"))[:count]
    if files:
        images = [Image.open(file).convert("RGB").resize((size, size)) for file in files]
        return np.stack([np.asarray(image) for image in images]).astype(np.float32)
    coarse = np.random.default_rng(0).uniform(0, 255, (count, size // 16, size // 16, 3))
    return coarse.repeat(16, axis=1).repeat(16, axis=2).astype(np.float32)


def _numpy(values: Values, kernel: Values, stride: int, groups: int) -> Values:
    """A convolution without padding: values (n, c, h, w), kernel (out, in, k, k)."""
    edge = kernel.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(values, (edge, edge), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    if groups == 1:
        return np.einsum("ncyxij,ocij->noyx", windows, kernel, optimize=True)
    return np.einsum("ncyxij,cij->ncyx", windows, kernel[:, 0], optimize=True)


def _torch(values: Values, kernel: Values, stride: int, groups: int) -> Values:
    import torch

    found = torch.nn.functional.conv2d(torch.tensor(values), torch.tensor(kernel), stride=stride, groups=groups)
    return np.asarray(found.numpy())


def _features(tensors: Tensors, number: str, pixels: Values, convolve: Convolve) -> Values:
    """The mean over places of the last feature map, (n, 1280), as the package defines it."""

    def conv(values: Values, name: str, stride: int = 1, groups: int = 1) -> Values:
        kernel = tensors[f"{name}.weight"]
        edges = [(math.ceil(edge / stride) - 1) * stride + kernel.shape[2] - edge for edge in values.shape[2:]]
        (top, left) = (max(edge, 0) for edge in edges)
        around = ((0, 0), (0, 0), (top // 2, top - top // 2), (left // 2, left - left // 2))
        return convolve(np.pad(values, around), kernel, stride, groups)

    def norm(values: Values, name: str) -> Values:
        scale, shift, mean, variance = (
            tensors[f"{name}.{part}"][None, :, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (values - mean) / np.sqrt(variance + np.float32(1e-3)) * scale + shift

    def relu6(values: Values) -> Values:
        return values.clip(0, 6)

    values = ((pixels - 127) / 128).transpose(0, 3, 1, 2)
    values = relu6(norm(conv(values, "_conv_stem", 2), "_bn0"))
    block = 0
    for stage, repeats in enumerate(REPEATS[number]):
        for repeat in range(repeats):
            name, before = f"_blocks.{block}", values
            stride = STRIDES[stage] if repeat == 0 else 1
            if stage > 0:
                values = relu6(norm(conv(values, f"{name}._expand_conv"), f"{name}._bn0"))
            values = conv(values, f"{name}._depthwise_conv", stride, values.shape[1])
            assert tensors[f"{name}._depthwise_conv.weight"].shape[2] == KERNELS[stage]
            values = relu6(norm(values, f"{name}._bn1"))
            values = norm(conv(values, f"{name}._project_conv"), f"{name}._bn2")
            if stride == 1 and values.shape == before.shape:
                values = values + before
            block += 1
    values = relu6(norm(conv(values, "_conv_head"), "_bn1"))
    return np.asarray(values.mean(axis=(2, 3)))


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("number", ["0", *(pytest.param(one, marks=pytest.mark.drill) for one in "12")])
def test_features_are_those_of_the_published_weights(number: str, by: str) -> None:
    import keras

    shape = zoo.architecture(f"efficientnet-lite{number}")
    assert not isinstance(shape.weights, type(None) | zoo.base.Download)
    data = read_weights(shape.weights)
    model = shape.build()
    put(model, shape, data, "weights")
    pixels = _pixels(4, shape.size)
    found = keras.Model(model.inputs[0], model.get_layer("pooled").output).predict_on_batch(pixels)
    tensors = read_tensors(data, "weights")
    expected = _features(tensors, number, pixels, _numpy if by == "numpy" else _torch)
    assert expected.max() > 1
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("number", MEMBERS)
def test_every_member_is_built_as_published_and_takes_its_weights_alone(number: str) -> None:
    """Other members' files are refused with the name of a layer, before a layer is changed."""
    shape = zoo.architecture(f"efficientnet-lite{number}")
    model = shape.build()
    assert model.count_params() == PARAMETERS[number]
    layers = [layer for layer in model.layers[:-1] if layer.weights]
    scale = MEMBERS[number].SCALE
    found = convert(read_weights(MEMBERS[number].WEIGHTS), "own", scale)
    assert [[array.shape for array in arrays] for _, arrays in found] == [
        [array.shape for array in layer.get_weights()] for layer in layers
    ]
    other = MEMBERS[str((int(number) + 1) % 3)].WEIGHTS
    with pytest.raises(
        RequestError, match=rf"is of another architecture than efficientnet-lite{number}: .*block"
    ):
        put(model, shape, read_weights(other), "other")


def test_the_smallest_size_is_taken() -> None:
    model = build(efficientnet_lite0.SCALE, size=32)
    assert model.get_layer("top_relu").output.shape == (None, 1, 1, 1280)
