"""Resize to a square: small images at once, large images in strips to save memory.

An image that is not square is stretched, as in the thesis, or first cropped to its central square (`Aspect`).

A bicubic resize has two passes, one along each edge, and each pass handles rows (or columns) independently. So
strips give exactly the same pixels as the whole image, if the passes have the same order. The whole image is
never in memory as RGB, rotated, or as an array: for 64 million pixels that would be 768 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from cykooz_resizer import FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer
from numpy.typing import NDArray
from PIL import Image

from skinml.images.choices import Aspect
from skinml.images.rgb import number_scale, to_rgb

BICUBIC = ResizeOptions(resize_alg=ResizeAlg.convolution(FilterType.catmull_rom))

FILTERS = tuple(
    ResizeOptions(resize_alg=ResizeAlg.convolution(kind))
    for kind in (
        FilterType.box,
        FilterType.bilinear,
        FilterType.gaussian,
        FilterType.catmull_rom,
        FilterType.mitchell,
        FilterType.lanczos3,
    )
)
"""Filters that people's resizers use, for augmentation."""

WHOLE_PIXELS = 4_000_000
"""Images up to this size are resized at once: the most expensive mode (F) needs 36 bytes a pixel, 144 MB."""

STRIP_PIXELS = 2**19

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition for each EXIF orientation."""

Box = tuple[int, int, int, int]


def central_square(width: int, height: int) -> Box:
    """The largest square in the middle (left, top, right, bottom), rounded to the left and to the top."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def crop(pixels: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.uint8]:
    """What is to be resized of pixels (h, w, 3): all, or a view of the central square."""
    if aspect == "stretch":
        return pixels
    left, top, right, bottom = central_square(pixels.shape[1], pixels.shape[0])
    return pixels[top:bottom, left:right]


def resize(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize pixels uint8 (h, w, 3) to (size, size, 3), bicubic and anti-aliased.

    The same filter as Pillow's (Catmull-Rom, a = -0.5) in AVX2 code: 225x169 to 64x64 takes 55 us instead of
    242. It rounds the support of a pixel differently: on photographs most pixels are equal and none differs by
    more than 5 of 255. Images smaller than the target differ more, so Pillow enlarges them.
    """
    height, width, _ = pixels.shape
    if height * width > WHOLE_PIXELS:
        return _in_strips(lambda box: pixels[box[1] : box[3], box[0] : box[2]], (width, height), size)
    if min(height, width) < size:
        return np.asarray(Image.fromarray(pixels).resize((size, size)))
    return _resample(pixels, (size, size))


def shrink(
    image: Image.Image, orientation: int, size: int, *, exact: bool, aspect: Aspect = "stretch"
) -> NDArray[np.uint8]:
    """Resize a loaded image of any mode to upright RGB pixels (size, size, 3), uint8.

    Args:
        image: loaded.
        orientation: the EXIF orientation, 1 to 8.
        size: edge of the result in px.
        exact: True uses Pillow's own resize, False uses `resize`.
        aspect: `crop` first crops the upright image to its central square.
    """
    scale = number_scale(image)
    if image.width * image.height <= WHOLE_PIXELS:
        whole = to_rgb(image, scale)
        if orientation in UPRIGHT:
            whole = whole.transpose(UPRIGHT[orientation])
        if aspect == "crop":
            whole = whole.crop(central_square(*whole.size))
        return np.asarray(whole.resize((size, size))) if exact else resize(np.asarray(whole), size)
    shown = _shown(image, orientation, aspect)

    def piece(box: Box) -> NDArray[np.uint8]:
        box = (box[0] + shown[0], box[1] + shown[1], box[2] + shown[0], box[3] + shown[1])
        part = to_rgb(image.crop(_stored(box, orientation, image.size)), scale)
        return np.asarray(part.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else part)

    edges = (shown[2] - shown[0], shown[3] - shown[1])
    return _in_strips(piece, edges, size, exact=exact)


def _shown(image: Image.Image, orientation: int, aspect: Aspect) -> Box:
    """Return the box of the upright image that is resized."""
    width, height = reversed(image.size) if orientation >= 5 else image.size
    return central_square(width, height) if aspect == "crop" else (0, 0, width, height)


def shrink_inks(image: Image.Image, orientation: int, size: int, aspect: Aspect = "stretch") -> Image.Image:
    """Resize a loaded CMYK image to `size` x `size` px, upright, and keep its four channels.

    A crop is resized out of the whole (Pillow's `box`), so its outermost pixels blend with their neighbours
    outside. Cutting it out first would take 4 bytes a pixel more.
    """
    box = _stored(_shown(image, orientation, aspect), orientation, image.size)
    small = image.resize((size, size), box=box)  # 4 bytes a pixel between the passes, and no copy of the whole
    return small.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else small


def _in_strips(
    piece: Callable[[Box], NDArray[np.uint8]], edges: tuple[int, int], size: int, *, exact: bool = False
) -> NDArray[np.uint8]:
    """Resize in strips: `piece` returns uint8 (h, w, 3) for a box of the upright image."""
    width, height = edges
    pillow = exact or min(edges) < size
    resample = _pillow if pillow else _resample
    if pillow and not _rows_last(width, height, size):
        rows = [
            resample(piece((0, top, width, bottom)), (size, bottom - top))
            for top, bottom in _cuts(height, width)
        ]
        return resample(np.concatenate(rows), (size, size))
    cuts = _cuts(width, height)
    columns = [resample(piece((left, 0, right, height)), (right - left, size)) for left, right in cuts]
    return resample(np.concatenate(columns, axis=1), (size, size))


def _rows_last(width: int, height: int, size: int) -> bool:
    """Whether Pillow resizes columns first: if the height shrinks by twice as many pixels as the width."""
    return height > size and height - size > 2 * (width - size)


def _cuts(length: int, across: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each strip along an edge."""
    step = max(1, STRIP_PIXELS // across)
    return ((start, min(start + step, length)) for start in range(0, length, step))


def _stored(box: Box, orientation: int, stored: tuple[int, int]) -> Box:
    """Map a box of the upright image to the stored image."""
    left, top, right, bottom = box
    width, height = stored
    if orientation >= 5:
        left, top, right, bottom = top, left, bottom, right
    if orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    if orientation in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def _pillow(pixels: NDArray[np.uint8], edges: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize(edges))


def resize_by(pixels: NDArray[np.uint8], size: int, kind: int) -> NDArray[np.uint8]:
    """Resize pixels uint8 (h, w, 3) to (size, size, 3), smaller or larger, by `FILTERS[kind]`."""
    return _resample(pixels, (size, size), FILTERS[kind])


def _resample(
    pixels: NDArray[np.uint8], edges: tuple[int, int], options: ResizeOptions = BICUBIC
) -> NDArray[np.uint8]:
    """Resize pixels (h, w, 3) to `edges` (width, height) in AVX2 code, columns first."""
    height, width, _ = pixels.shape
    target = ImageData(*edges, PixelType.U8x3)
    source = ImageData(width, height, PixelType.U8x3, pixels.tobytes())
    Resizer().resize(source, target, options)  # a new one each time: a resizer is not thread-safe
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(edges[1], edges[0], 3)
