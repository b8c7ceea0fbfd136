"""A perceptual hash of each image of a batch: photographs that look alike get nearly equal bits.

The hash is ImageHash's `phash(image, hash_size=16, highfreq_factor=size // 16)` (Zauner, "Implementation and
benchmarking of perceptual image hash functions", 2010): the 16 x 16 lowest frequencies of the luminance, one
bit for each that is above their median. ImageHash defines it and the tests hold us to it, bit for bit; the
arithmetic here is two matrix products for a whole batch, because one image at a time through Pillow and SciPy
costs 75 us at 64 px and this 12 us (6 us at 32 px, 42 us at 128 px, 120 us at 224 px; one core). Nor does a
worker load SciPy for it (0.2 s, 28 MiB).

The transform is taken at the size of the pixels, so no image is resized, and the low frequencies hardly know
the size: of 984 HAM10000 photographs, prepared from their 600x450 px files at 32, 64, 128 and 224 px, the
hashes differ by 2 to 6 of 256 bits (median, by pair of sizes; largest 24), by 22 (largest 44) against 16 px.
A photograph recompressed at quality 30 to 75, halved, tinted or made grey stays within 24 bits, one made 30 %
brighter within 40; cropping 2 % of it takes 28 (largest 52). A mirrored or turned image has another hash:
about 128 bits, like any other image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HASH_BYTES = 32
_EDGE = 16
_LUMA = np.array([19595, 38470, 7471], dtype=np.float32) / np.float32(2**16)
"""ITU-R BT.601 with Pillow's integers: sums of them are below 2**24, so float32 holds them exactly."""

_ROUNDING = 12**-0.5
"""What rounding the luminance to whole grey levels adds to any coefficient (standard deviation, levels)."""

_BLOCK_PIXELS = 2**17  # 32 images of 64 px: what is computed from them stays in a core's cache


def perceptual_hashes(pixels: NDArray[np.uint8]) -> list[bytes | None]:
    """The hash of each image, 256 bits, row by row of the frequencies, the first bit of a byte its highest.

    A hash depends on its image alone, not on the others of the batch.

    Args:
        pixels: RGB, uint8, shape (n, size, size, 3).

    Returns:
        One for each image: 32 bytes; None for an image without structure, whose bits would be noise and
        whose likeness to another one would be chance. That is an even image (all black, a plain ramp), one
        where rounding to grey levels decides at least half of the bits (the weakest of HAM10000 is 9 times
        above that at 64 px), and any image below 16 px, which has fewer frequencies than bits.

    Raises:
        ValueError: another shape.

    """
    if pixels.ndim != 4 or pixels.shape[1] != pixels.shape[2] or pixels.shape[3] != 3:
        raise ValueError(f"pixels must have shape (n, size, size, 3), not {pixels.shape}")
    count, size = pixels.shape[:2]
    if size < _EDGE:
        return [None] * count
    waves = _cosines(size)
    step = max(1, _BLOCK_PIXELS // size**2)
    hashes: list[bytes | None] = []
    for start in range(0, count, step):
        hashes += _hash_block(pixels[start : start + step], waves)
    return hashes


def _hash_block(pixels: NDArray[np.uint8], waves: NDArray[np.float32]) -> list[bytes | None]:
    light = np.floor(pixels @ _LUMA + np.float32(0.5))  # whole levels, equal to Pillow's mode L
    frequencies = (waves @ (light @ waves.T)).reshape(len(pixels), -1)
    above = frequencies - np.median(frequencies, axis=1, keepdims=True)
    bits = np.packbits(above > 0, axis=1)
    structured = np.count_nonzero(np.abs(above) > _ROUNDING, axis=1) > _EDGE**2 // 2
    return [row.tobytes() if keep else None for row, keep in zip(bits, structured, strict=True)]


def _cosines(size: int) -> NDArray[np.float32]:
    """The first 16 rows of the orthonormal DCT-II, shape (16, size), times 1 / sqrt(2) less in row 0.

    Row k, column x: sqrt(2 / size) * cos(pi * k * (2x + 1) / (2 * size)). SciPy's unnormalised DCT, which
    ImageHash takes, is the same times a constant: row 0 is not scaled down there either.
    """
    k = np.arange(_EDGE)[:, None]
    x = np.arange(size)[None, :]
    waves = np.sqrt(2 / size) * np.cos(np.pi * k * (2 * x + 1) / (2 * size))
    return np.asarray(waves, dtype=np.float32)
