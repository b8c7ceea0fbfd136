"""Change pixels at random so that a network learns what does not matter: pose, colour, resizer, JPEG quality.

Pure functions on uint8 images, with Pillow and simplejpeg: NumPy alone takes several times as long. All draws
of a batch come from one generator, in one order, so that they do not depend on who makes the batch.
"""

from __future__ import annotations

import math

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from skinml.images.resize import FILTERS, resize_by
from skinml.training.settings import Settings

Pixels = NDArray[np.uint8]
Targets = NDArray[np.float32]

SCALE = 0.2
"""At full strength an image is shown at 0.83 to 1.2 times its size,"""
SHIFT = 0.1
"""moved by at most this part of its edge in both directions,"""
BRIGHTNESS = CONTRAST = SATURATION = 0.2
"""and these are multiplied by 0.8 to 1.2."""
HUE = 0.03
"""Part of a turn of the colour circle, 11 degrees: skin stays the colour of skin."""
CUTOUT = (0.25, 0.5)
"""Edge of the square that is blanked out, as part of the image's."""
QUALITY = (40, 95)
"""Of a JPEG file that is saved again."""
SMALLEST = 0.5
"""Part of its size that an image is resized to before it is resized back."""
MARGIN = 0.5 * (math.sqrt(2) * (1 + SCALE) - 1) + SHIFT
"""How far the corners of a turned image reach beyond the image, as part of its edge."""

_LUMA = np.array([0.299, 0.587, 0.114])
_TURNED = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)


def augment(
    pixels: Pixels, targets: Targets, settings: Settings, generator: np.random.Generator
) -> tuple[Pixels, Targets]:
    """Change a batch as the settings say.

    Args:
        pixels: (n, size, size, 3) RGB.
        targets: (n, 7).
        settings: strengths of all changes.
        generator: source of randomness; the same state gives the same batch.

    Returns:
        New arrays of the same shapes.

    """
    changed = np.empty_like(pixels)
    for number, image in enumerate(pixels):
        changed[number] = augment_image(image, settings, generator)
    if settings.mixup:
        return mix(changed, targets, settings.mixup, generator)
    return changed, targets


def augment_image(image: Pixels, settings: Settings, generator: np.random.Generator) -> Pixels:
    """Change one image, uint8 (size, size, 3): drift, geometry, colour, cutout, in this order.

    Drift comes first, because a file is saved and resized before anybody trains on it.
    """
    if settings.drift:
        image = drift(image, settings.drift, generator)
    if settings.geometry or settings.colour:
        shown = Image.fromarray(image)
        if settings.geometry:
            shown = move(image, settings.geometry, generator)
        if settings.colour:
            matrix = colour_matrix(float(image[::4, ::4].mean()), settings.colour, generator)
            shown = shown.convert("RGB", matrix)
        image = np.asarray(shown)
    if settings.cutout and generator.random() < settings.cutout:
        image = cut_out(image, generator)
    return image


def drift(image: Pixels, probability: float, generator: np.random.Generator) -> Pixels:
    """Resize an image down and up again, and save it as JPEG, each with this probability."""
    resized, saved = generator.random(2) < probability
    if resized:
        edge = len(image)
        down, up = generator.integers(len(FILTERS), size=2).tolist()
        smaller = max(1, round(edge * generator.uniform(SMALLEST, 1)))
        image = resize_by(resize_by(image, smaller, down), edge, up)
    if saved:
        quality = int(generator.integers(QUALITY[0], QUALITY[1] + 1))
        subsampling = ("444", "420")[int(generator.integers(2))]
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, "RGB", subsampling)
        image = simplejpeg.decode_jpeg(data, "RGB")
    return image


def move(image: Pixels, strength: float, generator: np.random.Generator) -> Image.Image:
    """Flip, turn, scale and shift an image; what lies outside is its mirror image.

    A turn by any angle at any strength: a lesion has no upper side. Scale and shift follow the strength.
    """
    edge = len(image)
    flip = 1.0 if generator.random() < 0.5 else -1.0
    angle = generator.uniform(0, 2 * math.pi)
    scale = (1 + SCALE) ** (strength * generator.uniform(-1, 1))
    right, down = strength * SHIFT * edge * generator.uniform(-1, 1, 2)
    margin = math.ceil(MARGIN * edge) + 1
    framed = mirrored(image, margin)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    centre = len(framed) / 2
    half = edge / 2
    matrix = (
        *(flip * cosine, -sine, centre + right - flip * cosine * half + sine * half),
        *(flip * sine, cosine, centre + down - flip * sine * half - cosine * half),
    )
    return Image.fromarray(framed).transform(
        (edge, edge), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )


def mirrored(image: Pixels, margin: int) -> Pixels:
    """The image with its mirror image around it, as `np.pad(mode="symmetric")` does in five times the time.

    Args:
        image: (edge, edge, 3).
        margin: px on each side, at most the edge.

    Returns:
        (edge + 2 * margin, edge + 2 * margin, 3).

    """
    edge = len(image)
    end = margin + edge
    framed = np.empty((end + margin, end + margin, 3), np.uint8)
    framed[margin:end, margin:end] = image
    framed[margin:end, :margin] = image[:, margin - 1 :: -1]
    framed[margin:end, end:] = image[:, : edge - margin - 1 if margin < edge else None : -1]
    framed[:margin] = framed[2 * margin - 1 : margin - 1 : -1]
    framed[end:] = framed[end - 1 : end - margin - 1 : -1]
    return framed


def colour_matrix(mean: float, strength: float, generator: np.random.Generator) -> tuple[float, ...]:
    """Brightness, contrast, saturation and hue as one linear map of RGB values.

    Args:
        mean: the image's mean value, about which contrast changes.
        strength: 0 to 1.
        generator: source of randomness.

    Returns:
        Twelve numbers: three rows of a 3 x 3 matrix, each with its constant, for `Image.convert`.

    """
    brightness, contrast, saturation = 1 + strength * BRIGHTNESS * generator.uniform(-1, 1, 3)
    turn = strength * HUE * 2 * math.pi * generator.uniform(-1, 1)
    # Rodrigues' rotation about the grey axis: greys stay.
    hue = math.cos(turn) * np.eye(3) + math.sin(turn) * _TURNED + (1 - math.cos(turn)) / 3
    coloured = saturation * np.eye(3) + (1 - saturation) * _LUMA
    matrix = brightness * contrast * coloured @ hue
    constant = brightness * (1 - contrast) * mean
    return tuple(float(value) for row in matrix for value in (*row, constant))


def cut_out(image: Pixels, generator: np.random.Generator) -> Pixels:
    """A copy with a square of the image's mean colour; its middle lies anywhere in the image."""
    edge = len(image)
    half = edge * generator.uniform(*CUTOUT) / 2
    top, left = generator.uniform(0, edge, 2)
    rows = slice(max(0, round(top - half)), round(top + half))
    columns = slice(max(0, round(left - half)), round(left + half))
    cut = np.array(image)
    cut[rows, columns] = image[::4, ::4].mean(axis=(0, 1)).round().astype(np.uint8)
    return cut


def mix(
    pixels: Pixels, targets: Targets, alpha: float, generator: np.random.Generator
) -> tuple[Pixels, Targets]:
    """Mix each image of a batch, and its target, with another one: mixup.

    Args:
        pixels: (n, size, size, 3).
        targets: (n, 7).
        alpha: of the Beta distribution of the share; the larger share is the image's own.
        generator: source of randomness.

    """
    own = generator.beta(alpha, alpha, len(pixels))
    own = np.maximum(own, 1 - own).astype(np.float32)
    other = generator.permutation(len(pixels))
    mixed = np.empty_like(pixels)
    for number, share in enumerate(own):
        both = pixels[number] * share
        both += pixels[other[number]] * (np.float32(1) - share)
        np.rint(both, out=both)
        mixed[number] = both
    shares = own[:, None]
    return mixed, (shares * targets + (1 - shares) * targets[other]).astype(np.float32)
