"""Names of the choices that are open when an image is decoded. Loads no decoder: a driver needs none."""

from __future__ import annotations

from typing import Literal

DecodeMode = Literal["fast", "exact"]

RESIZE_FILTER = "bicubic"
"""Catmull-Rom, anti-aliased, Pillow's default for RGB; part of the dataset key and of every model bundle."""

Colour = Literal["as_stored", "srgb"]
"""What to do with pixels that have a profile other than sRGB: keep them, or convert them."""

Aspect = Literal["stretch", "crop"]
"""What becomes of an image that is not square: `stretch` distorts it, `crop` keeps its central square."""
