"""Tests of skinml/images/fingerprint.py."""

from __future__ import annotations

import io
import subprocess
import sys
from functools import cache

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from skinml.images.decode import decode
from skinml.images.fingerprint import perceptual_hashes
from tests.conftest import REAL_DATA

Pixels = NDArray[np.uint8]

SIZES = [32, 64, 128, 224]


@cache
def photograph(seed: int) -> Image.Image:
    """A dark spot on skin, with the texture and the noise that a hash has to live with, 480x360 px."""
    width, height = 480, 360
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-0.75 : 0.75 : height * 1j, -1 : 1 : width * 1j]
    spot = np.exp(-(((x - random.normal(0, 0.2)) / 0.4) ** 2 + ((y - random.normal(0, 0.2)) / 0.3) ** 2) * 2)
    grain = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    texture = np.asarray(grain.resize((width, height))) - 128.0
    noise = random.normal(0, 3, (height, width, 3))
    skin = np.array([200, 160, 150]) - spot[..., None] * [90, 100, 80] + 0.2 * texture + noise
    return Image.fromarray(skin.clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int = 85) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def prepared(image: Image.Image, size: int = 64, quality: int = 85) -> Pixels:
    return decode(jpeg(image, quality), size, "fast").pixels


def hash_of(pixels: Pixels) -> bytes:
    found = perceptual_hashes(pixels[None])[0]
    assert found is not None
    return found


def distance(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


def imagehash_of(pixels: Pixels) -> bytes:
    """What the library says, whose definition is ours."""
    size = len(pixels)
    bits = imagehash.phash(Image.fromarray(pixels), hash_size=16, highfreq_factor=size // 16).hash
    return np.packbits(bits).tobytes()


@pytest.mark.parametrize("size", [16, *SIZES])
def test_a_hash_is_what_imagehash_computes(size: int) -> None:
    pixels = np.stack([prepared(photograph(seed), size) for seed in range(12)])
    distances = [
        distance(a or b"", imagehash_of(p)) for a, p in zip(perceptual_hashes(pixels), pixels, strict=True)
    ]
    # float32 here and float64 there may part where a frequency is all but equal to the median.
    assert sorted(distances)[:-1] == [0] * 11
    assert max(distances) <= 2


@pytest.mark.skipif(not REAL_DATA.exists(), reason="HAM10000 is not here")
def test_on_real_photographs_too() -> None:
    files = sorted((REAL_DATA / "ham10000_600x450").glob("*.jpg"))[::10]
    pixels = np.stack([decode(file.read_bytes(), 64, "fast").pixels for file in files])
    equal = [a == imagehash_of(p) for a, p in zip(perceptual_hashes(pixels), pixels, strict=True)]
    assert np.mean(equal) >= 0.98


@given(arrays.arrays(np.uint8, (3, 16, 16, 3)))
def test_every_hash_has_32_bytes_or_is_none(pixels: Pixels) -> None:
    assert {None if found is None else len(found) for found in perceptual_hashes(pixels)} <= {32, None}


@given(st.integers(0, 400), st.sampled_from([20, 33, 64]))
def test_a_hash_depends_on_its_image_alone(count: int, size: int) -> None:
    """In batches of any length, so in any block, the last image has the hash that it has by itself."""
    image = np.random.default_rng(7).integers(0, 256, (size, size, 3), dtype=np.uint8)
    batch = np.zeros((count + 1, size, size, 3), dtype=np.uint8)
    batch[count] = image
    hashes = perceptual_hashes(batch)
    assert hashes[:-1] == [None] * count
    assert hashes[-1] == hash_of(image)


def test_strided_pixels_are_hashed_like_their_copy() -> None:
    pixels = np.stack([prepared(photograph(seed)) for seed in range(6)])
    assert perceptual_hashes(pixels[::2]) == perceptual_hashes(pixels[::2].copy())
    assert perceptual_hashes(pixels[:, :, ::-1]) == perceptual_hashes(pixels[:, :, ::-1].copy())


def test_one_photograph_has_nearly_one_hash_at_every_size() -> None:
    for seed in range(6):
        hashes = [hash_of(prepared(photograph(seed), size)) for size in SIZES]
        assert max(distance(a, b) for a in hashes for b in hashes) <= 24


@pytest.mark.parametrize("copy", ["recompressed", "halved", "tinted", "grey", "darker"])
def test_a_copy_that_looks_the_same_has_nearly_the_same_hash(copy: str) -> None:
    for seed in range(6):
        image = photograph(seed)
        copies = {
            "recompressed": lambda of: prepared(of, quality=40),
            "halved": lambda of: prepared(of.resize((240, 180))),
            "tinted": lambda of: prepared(Image.fromarray((np.asarray(of) * [1, 0.95, 0.85]).astype(np.uint8))),
            "grey": lambda of: prepared(of.convert("L").convert("RGB")),
            "darker": lambda of: prepared(ImageEnhance.Brightness(of).enhance(0.8)),
        }
        assert distance(hash_of(prepared(image)), hash_of(copies[copy](image))) <= 24


def test_other_photographs_have_another_hash_and_so_have_mirrored_ones() -> None:
    hashes = [hash_of(prepared(photograph(seed))) for seed in range(12)]
    assert min(distance(a, b) for a in hashes for b in hashes if a is not b) > 60
    mirrored = [
        hash_of(prepared(photograph(seed).transpose(Image.Transpose.FLIP_LEFT_RIGHT))) for seed in range(12)
    ]
    assert min(distance(a, b) for a, b in zip(hashes, mirrored, strict=True)) > 60


def grey(levels: NDArray[np.float64]) -> Pixels:
    """A grey image (size, size, 3) of float levels."""
    return np.repeat(levels.round().clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("size", [16, *SIZES])
def test_an_image_without_structure_has_no_hash(size: int) -> None:
    """Else all black images would be near-duplicates of each other."""
    y, x = np.mgrid[:size, :size].astype(float)
    from_centre = np.hypot(y - size / 2 + 0.5, x - size / 2 + 0.5)
    without = {
        "black": np.zeros((size, size)),
        "white": np.full((size, size), 255.0),
        "a ramp": 255 * x / size,
        "half white": 255.0 * (y >= size // 2),
        "the round field of a dermatoscope, nothing in it": 150.0 * (from_centre < 0.45 * size),
        "barely noise": 100 + np.random.default_rng(0).normal(0, 0.2, (size, size)),
    }
    hashes = {name: perceptual_hashes(grey(levels)[None])[0] for name, levels in without.items()}
    assert hashes == dict.fromkeys(without)
    assert perceptual_hashes(prepared(Image.new("RGB", (600, 450)), size)[None]) == [None]


def test_faint_structure_is_enough_for_a_hash() -> None:
    faint = 100 + np.random.default_rng(0).normal(0, 1, (64, 64))
    assert perceptual_hashes(grey(faint)[None]) != [None]


def test_few_pixels_have_no_hash_and_no_images_no_hashes() -> None:
    random = np.random.default_rng(0).integers(0, 256, (2, 15, 15, 3), dtype=np.uint8)
    assert perceptual_hashes(random) == [None, None]
    assert perceptual_hashes(np.empty((0, 64, 64, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize("shape", [(64, 64, 3), (2, 64, 32, 3), (2, 64, 64), (2, 64, 64, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must have shape"):
        perceptual_hashes(np.zeros(shape, dtype=np.uint8))


def test_a_worker_loads_no_scipy_for_it() -> None:
    code = "import sys, skinml.images.fingerprint; print({'scipy', 'imagehash', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
