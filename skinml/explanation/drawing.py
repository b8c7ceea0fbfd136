"""Draw maps and thumbnails as PNG files, with Pillow alone: the base install has no matplotlib.

Signed maps have two colours of Okabe & Ito, which colour-blind people tell apart: vermillion for the diagnosis,
blue against it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from skinml import DISCLAIMER

FOR, AGAINST = (213, 94, 0), (0, 114, 178)
"""Okabe & Ito's vermillion and blue."""

EDGE = 384
"""Edge of a panel in px."""

MARGIN, GAP, BAR = 56, 24, 16
"""Space for axes, between parts, and the width of a colour bar, in px."""

INK, GREY = (20, 20, 20), (90, 90, 90)

STRONGEST = 0.75
"""How much of the image the largest value covers."""

RGB = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Panel:
    """One square picture with axes.

    Attributes:
        title: above it.
        pixels: uint8 (EDGE, EDGE, 3).
        size: edge in px of the network's input, which the axes count.
        limit: largest absolute value of its colours; None: it has no colour bar.
        unit: of the colour bar.
        texts: (x, y, text), in px of the panel.

    """

    title: str
    pixels: RGB
    size: int
    limit: float | None = None
    unit: str = ""
    texts: Sequence[tuple[float, float, str]] = field(default_factory=tuple)


def enlarge(pixels: RGB, edge: int = EDGE, smooth: bool = False) -> RGB:
    """Pixels (h, w, 3) in another size; each stays a square of one colour unless `smooth`."""
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(pixels).resize((edge, edge), how))


def overlay(view: RGB, values: NDArray[np.float64], limit: float) -> RGB:
    """Colour a grey copy of an image by a map: vermillion above 0, blue below, the stronger the larger.

    Args:
        view: uint8 (EDGE, EDGE, 3).
        values: the map, (h, w); each value covers its part of the image.
        limit: the value with the strongest colour.

    """
    grey = np.repeat(np.asarray(Image.fromarray(view).convert("L"))[..., None], 3, axis=2).astype(np.float64)
    rows = np.arange(EDGE) * values.shape[0] // EDGE
    columns = np.arange(EDGE) * values.shape[1] // EDGE
    spread = values[rows[:, None], columns[None, :]] / (limit or 1.0)
    strength = (np.abs(spread).clip(0, 1) * STRONGEST)[..., None]
    colour = np.where(spread[..., None] >= 0, FOR, AGAINST)
    mixed: RGB = (grey * (1 - strength) + colour * strength).round().astype(np.uint8)
    return mixed


def figure(title: str, panels: Sequence[Panel], notes: Sequence[str]) -> bytes:
    """Panels side by side as a PNG file, with a title, axes in px, colour bars, notes and the usual warning."""
    widths = [MARGIN + EDGE + (GAP + BAR + MARGIN if panel.limit is not None else GAP) for panel in panels]
    width = sum(widths) + GAP
    lines = [line for note in (*notes, DISCLAIMER) for line in _wrapped(note, width - 2 * GAP)]
    top, height = 84, 84 + EDGE + 52 + 20 * len(lines) + GAP
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    draw.text((GAP, 16), title, INK, _font(20))
    left = 0
    for panel, taken in zip(panels, widths, strict=True):
        _draw_panel(image, draw, panel, left + MARGIN, top)
        left += taken
    for number, line in enumerate(lines):
        draw.text((GAP, top + EDGE + 48 + 20 * number), line, GREY, _font(14))
    return _png(image)


def _draw_panel(image: Image.Image, draw: ImageDraw.ImageDraw, panel: Panel, left: int, top: int) -> None:
    draw.text((left, top - 26), panel.title, INK, _font(16))
    image.paste(Image.fromarray(panel.pixels), (left, top))
    draw.rectangle((left - 1, top - 1, left + EDGE, top + EDGE), outline=GREY)
    for part in (0, 0.5, 1):
        place, shown = round(part * (EDGE - 1)), f"{part * panel.size:g}"
        draw.line((left + place, top + EDGE, left + place, top + EDGE + 5), GREY)
        draw.text((left + place, top + EDGE + 7), shown, GREY, _font(13), anchor="ma")
        draw.line((left - 6, top + place, left - 1, top + place), GREY)
        draw.text((left - 9, top + place), shown, GREY, _font(13), anchor="rm")
    draw.text((left + EDGE // 2, top + EDGE + 24), "px of the network's input", GREY, _font(13), anchor="ma")
    for x, y, text in panel.texts:
        draw.text((left + x, top + y), text, "white", _font(22), anchor="mm", stroke_width=3, stroke_fill=INK)
    if panel.limit is not None:
        _draw_bar(image, draw, panel, left + EDGE + GAP, top)


def _draw_bar(image: Image.Image, draw: ImageDraw.ImageDraw, panel: Panel, left: int, top: int) -> None:
    """The colours from +limit (top) to -limit, on the middle grey of an image."""
    values = np.linspace(1, -1, EDGE)[:, None]
    strength = np.abs(values) * STRONGEST
    colours = 128 * (1 - strength) + np.where(values >= 0, FOR, AGAINST) * strength
    bar = np.repeat(colours[:, None, :], BAR, axis=1).round().astype(np.uint8)
    image.paste(Image.fromarray(bar), (left, top))
    limit = panel.limit or 0.0
    for place, label in ((0, f"+{limit:.2g}"), (EDGE // 2, "0"), (EDGE - 1, f"-{limit:.2g}")):
        draw.text((left + BAR + 5, top + place), label, GREY, _font(13), anchor="lm")
    draw.text((left + BAR + MARGIN, top + EDGE + 24), panel.unit, GREY, _font(13), anchor="ra")


def gallery(title: str, pictures: Sequence[tuple[RGB, Sequence[str]]], notes: Sequence[str]) -> bytes:
    """Thumbnails in a row as a PNG file, with lines of text below each, notes and the usual warning."""
    edge = 144
    width = max(GAP + (edge + GAP) * len(pictures), 3 * (edge + GAP) + GAP)
    below = max(len(lines) for _, lines in pictures)
    lines = [line for note in (*notes, DISCLAIMER) for line in _wrapped(note, width - 2 * GAP)]
    image = Image.new("RGB", (width, 64 + edge + 12 + 18 * below + 16 + 20 * len(lines) + GAP), "white")
    draw = ImageDraw.Draw(image)
    draw.text((GAP, 16), title, INK, _font(20))
    for number, (pixels, texts) in enumerate(pictures):
        left = GAP + number * (edge + GAP)
        image.paste(Image.fromarray(enlarge(pixels, edge, smooth=True)), (left, 64))
        draw.rectangle((left - 1, 63, left + edge, 64 + edge), outline=GREY)
        for line, text in enumerate(texts):
            draw.text((left, 64 + edge + 8 + 18 * line), _fitting(text, edge + GAP - 6), INK, _font(13))
    for number, text in enumerate(lines):
        draw.text((GAP, 64 + edge + 28 + 18 * below + 20 * number), text, GREY, _font(14))
    return _png(image)


def png(pixels: RGB) -> bytes:
    """Pixels as a PNG file."""
    return _png(Image.fromarray(pixels))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _fitting(text: str, width: int) -> str:
    """The text, or as much of its beginning as fits into so many px."""
    if _font(13).getlength(text) <= width:
        return text
    while text and _font(13).getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most so many px."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _font(14).getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
