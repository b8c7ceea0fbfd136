"""ICC profiles made by hand: three primaries and a curve, a grey curve, a table for four inks.

Laid out as ICC.1:2010 says: a header of 128 bytes, a table of tags, and the tags.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]

D50 = np.array([0.9642, 1.0, 0.8249])
SRGB = np.array(
    [[0.436065, 0.385147, 0.143067], [0.222488, 0.716873, 0.060608], [0.013916, 0.097076, 0.714096]]
)
P3 = np.array([[0.515121, 0.291977, 0.157104], [0.241196, 0.692245, 0.066574], [-0.001053, 0.041885, 0.784073]])
ADOBE = np.array(
    [[0.609741, 0.205276, 0.149185], [0.311111, 0.625671, 0.063217], [0.019470, 0.060867, 0.744568]]
)
"""Red, green and blue (columns) as XYZ of the profile connection space: adapted to D50 by Bradford."""


def srgb_curve(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Encoded to linear light, 0 to 1: IEC 61966-2-1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_inverse(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light to encoded."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def gamma(exponent: float) -> Curve:
    return lambda values: values**exponent


def curve_tag(curve: Curve, points: int = 1024) -> bytes:
    """A tabulated curve."""
    values = np.round(curve(np.linspace(0, 1, points)) * 65535).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", points) + values.tobytes()


def xyz_tag(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *np.round(values * 65536).astype(int).tolist())


def profile(
    tags: dict[bytes, bytes], space: bytes = b"RGB ", device: bytes = b"mntr", pcs: bytes = b"XYZ "
) -> bytes:
    """A profile of version 2.1 with these tags."""
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78),
        b"wtpt": xyz_tag(D50),
        **tags,
    }
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = start + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, device, space, pcs)
    header += struct.pack(">6H4s4s", 2026, 1, 1, 0, 0, 0, b"acsp", b"APPL").ljust(44, b"\0")
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb_profile(primaries: NDArray[np.float64], curve: Curve, device: bytes = b"mntr") -> bytes:
    tags = {b"%cXYZ" % letter: xyz_tag(primaries[:, column]) for column, letter in enumerate(b"rgb")}
    return profile(tags | {b"%cTRC" % letter: curve_tag(curve) for letter in b"rgb"}, device=device)


def grey_profile(curve: Curve) -> bytes:
    return profile({b"kTRC": curve_tag(curve)}, b"GRAY")


def ink_profile() -> bytes:
    """Four inks to Lab by a table of two points each: paper is white, each ink takes light away."""
    grid = np.stack(np.meshgrid(*[[0.0, 1.0]] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    light = 100 * np.prod(1 - grid * [0.3, 0.4, 0.1, 0.9], axis=1)
    lab = np.stack([light * 652.8, 32768 + 0 * light, 32768 + 0 * light], axis=1)
    table = (
        b"mft2" + bytes(4) + bytes((4, 3, 2, 0)) + struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    )
    table += struct.pack(">HH", 2, 2) + struct.pack(">8H", *[0, 65535] * 4)
    table += np.round(lab).astype(">u2").tobytes() + struct.pack(">6H", *[0, 65535] * 3)
    return profile({b"A2B0": table}, b"CMYK", b"prtr", b"Lab ")


def to_srgb(pixels: NDArray[np.uint8], primaries: NDArray[np.float64], curve: Curve) -> NDArray[np.float64]:
    """The reference: pixels in these primaries and this curve as sRGB, 0 to 255."""
    light = curve(pixels / 255.0) @ primaries.T @ np.linalg.inv(SRGB).T
    return srgb_inverse(light) * 255


def from_srgb(pixels: NDArray[np.uint8], primaries: NDArray[np.float64], inverse: Curve) -> NDArray[np.uint8]:
    """The same colours in other primaries; `inverse` of the curve: linear light to encoded."""
    light = srgb_curve(pixels / 255.0) @ SRGB.T @ np.linalg.inv(primaries).T
    return np.round(inverse(np.clip(light, 0, 1)) * 255).astype(np.uint8)
