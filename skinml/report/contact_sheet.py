"""Draw the contact sheet of a run: its most suspicious images with rank, p_malignant and predicted diagnosis.

With Pillow alone, since the base install has no matplotlib. It is drawn from pixels, so that nothing of a
file's own metadata (EXIF can hold a patient's name or place) gets into the picture.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from skinml import DISCLAIMER
from skinml.words import several

COLUMNS = 5

EDGE = 168
"""The longer edge of an image in px: ten of them make a picture of about 60 kB."""

GAP, BELOW, TOP = 16, 42, 66
"""Space between tiles, for the two lines below each, and for the title, in px."""

INK, GREY, BLANK = (20, 20, 20), (90, 90, 90), (236, 236, 236)

CAPTION = "p: p_malignant (akiec + bcc + mel), 0 to 1; below: the predicted diagnosis"

QUALITY = 85
"""Of the JPEG."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One image of the sheet.

    Attributes:
        pixels: uint8 (h, w, 3) of any size, drawn in its own proportions; None for a blank tile.
        p_malignant: 0 to 1.
        predicted_dx: the most likely diagnosis.
        why_blank: the reason if there are no pixels.
    """

    pixels: NDArray[np.uint8] | None
    p_malignant: float
    predicted_dx: str
    why_blank: str = ""


def draw_contact_sheet(title: str, tiles: Sequence[Tile]) -> bytes:
    """Return the sheet as a JPEG file without metadata, rows of COLUMNS tiles in the given order.

    Example:
        >>> grey = np.full((45, 60, 3), 128, np.uint8)
        >>> sheet = draw_contact_sheet("Two images", [Tile(grey, 0.9, "mel"), Tile(None, 0.8, "bcc", "gone")])
        >>> Image.open(io.BytesIO(sheet)).size
        (936, 276)
    """
    pictures = [_fitted(tile) for tile in tiles]
    tall = max((picture.height for picture in pictures if picture is not None), default=EDGE // 2)
    rows = -(-len(tiles) // COLUMNS)
    height = TOP + rows * (tall + BELOW + GAP) + 26
    sheet = Image.new("RGB", (GAP + COLUMNS * (EDGE + GAP), height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 12), title, INK, _font(20))
    draw.text((GAP, 40), CAPTION, GREY, _font(13))
    for number, (tile, picture) in enumerate(zip(tiles, pictures, strict=True)):
        row, column = divmod(number, COLUMNS)
        left, bottom = GAP + column * (EDGE + GAP), TOP + row * (tall + BELOW + GAP) + tall
        if picture is None:
            draw.rectangle((left, bottom - tall, left + EDGE - 1, bottom - 1), BLANK, GREY)
            middle = (left + EDGE // 2, bottom - tall // 2)
            draw.multiline_text(middle, _wrapped(tile.why_blank), GREY, _font(13), anchor="mm", align="center")
        else:
            corner = (left + (EDGE - picture.width) // 2, bottom - picture.height)  # close to its caption
            sheet.paste(picture, corner)
        draw.text((left, bottom + 4), f"{number + 1}.  p = {tile.p_malignant:.2f}", INK, _font(15))
        draw.text((left, bottom + 23), tile.predicted_dx, GREY, _font(13))
    draw.text((GAP, height - 24), f"n = {several(len(tiles), 'image')}. {DISCLAIMER}", GREY, _font(13))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def _fitted(tile: Tile) -> Image.Image | None:
    """The image in its own proportions, as large as a tile lets it be."""
    if tile.pixels is None:
        return None
    height, width = tile.pixels.shape[:2]
    scale = EDGE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Image.fromarray(tile.pixels).resize(size, Image.Resampling.BICUBIC)


def _wrapped(text: str) -> str:
    """The text in lines that fit into a tile."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _font(13).getlength(longer) > EDGE - 16:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
