"""Mutants from a seed: sound files of every format with bits flipped, ends cut, parts spliced."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Literal

from tests.hostile.make import (
    ANIMATED_WEBP,
    ORIENTED,
    PACKED_TIFF,
    WHOLE,
    exif,
    interlaced_png,
    picture,
    save,
    tiled_tiff,
    with_segments,
)

SUFFIXES = {b"\xff\xd8": "jpg", b"\x89P": "png", b"RI": "webp", b"II": "tif", b"MM": "tif", b"BM": "bmp"}
ORDERS: tuple[Literal["big", "little"], ...] = ("big", "little")
NUMBERS = (0, 1, 2, 255, 7_000, 65_535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
WORDS = (
    b"IDAT",
    b"IHDR",
    b"iCCP",
    b"PLTE",
    b"VP8L",
    b"VP8X",
    b"ANMF",
    b"\xff\xda",
    b"\xff\xc0",
    b"\xff\xc4",
    b"\xff\xe2",
)


def seeds() -> tuple[bytes, ...]:
    """Sound files: every format, and of each the ways in which it is laid out otherwise."""
    # Images of their own: one that was saved in a format may refuse the next.
    rgb, grey, inks = picture(), picture().convert("L"), picture().convert("CMYK")
    clear = picture().convert("RGBA")
    clear.putalpha(90)

    def several(format_: str) -> bytes:
        return save(picture(), format_, save_all=True, append_images=[picture(seed=1)])

    return (
        *WHOLE.values(),
        *(save(grey, "JPEG"), save(inks, "JPEG"), save(rgb, "JPEG", restart_marker_blocks=1)),
        *(
            with_segments(exif(ORIENTED)),
            several("MPO"),
            save(rgb, "JPEG", icc_profile=bytes(600)),
        ),
        *(
            interlaced_png(),
            save(rgb.quantize(8), "PNG", transparency=1),
            save(clear, "PNG"),
            several("PNG"),
        ),
        *(ANIMATED_WEBP, save(clear, "WEBP"), save(rgb, "WEBP", icc_profile=bytes(600))),
        *(PACKED_TIFF, tiled_tiff(16, b""), save(inks, "TIFF"), several("TIFF")),
        *(save(rgb, "TIFF", compression=way) for way in ("jpeg", "tiff_lzw", "packbits")),
        save(rgb.convert("1"), "TIFF", compression="group4"),
        *(save(rgb.quantize(8), "BMP"), save(clear, "BMP")),
    )


def mutants(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """So many names and files; the same ones for the same seed. No two have one stem: it is the image_id."""
    dice, sound = random.Random(seed), seeds()  # noqa: S311
    for number in range(count):
        data = dice.choice(sound)
        for _ in range(dice.randint(1, 4)):
            data = _change(data, dice, sound) or b"\0"
        suffix = SUFFIXES.get(data[:2], "jpg") if dice.random() < 0.9 else dice.choice([*SUFFIXES.values()])
        yield f"mutant {seed} {number:05d}.{suffix}", data + number.to_bytes(3, "big")  # no two are the same


def _change(data: bytes, dice: random.Random, sound: tuple[bytes, ...]) -> bytes:  # noqa: PLR0911
    """One change of one of eight kinds, half of them in the first 200 bytes, where headers are."""
    at = dice.randrange(min(200, len(data))) if dice.random() < 0.5 else dice.randrange(len(data))
    kind = dice.randrange(8)
    if kind == 0:  # a bit flipped
        return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]
    if kind == 1:  # cut
        return data[:at]
    if kind == 2:  # a number of a header changed
        width, order = dice.choice((1, 2, 4)), dice.choice(ORDERS)
        return (
            data[:at]
            + (dice.choice(NUMBERS) & (1 << 8 * width) - 1).to_bytes(width, order)
            + data[at + width :]
        )
    if kind == 3:  # spliced with another file
        other = dice.choice(sound)
        return data[:at] + other[dice.randrange(len(other)) :]
    if kind == 4:  # bytes left out
        return data[:at] + data[at + dice.randint(1, 64) :]
    if kind == 5:  # bytes repeated
        return data[: at + dice.randint(1, 64)] + data[at:] * dice.randint(1, 3)
    if kind == 6:  # another format's signature, or a word of its
        word = dice.choice((*SUFFIXES, *WORDS))
        return word + data[len(word) :] if dice.random() < 0.3 else data[:at] + word + data[at + len(word) :]
    return data[:at] + dice.randbytes(dice.randint(1, 64)) + data[at:]  # noise put in
