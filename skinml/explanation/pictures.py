"""The pictures of an explanation: the image, both maps, the nearest training lesions."""

from __future__ import annotations

import numpy as np

from skinml.explanation.drawing import EDGE, RGB, Panel, enlarge, figure, gallery, overlay, png
from skinml.explanation.explain import Explanation
from skinml.explanation.nearest import Nearest
from skinml.explanation.network import Activation
from skinml.explanation.occlusion import Occlusion
from skinml.strict_json import printable

IMAGE, ACTIVATION, OCCLUSION, NEAREST = "image.png", "activation.png", "occlusion.png", "nearest.png"

MOST_NUMBERS = 49
"""Cells of a class activation map that have their numbers written on them."""

USED = "The map shows what the network used, not where the lesion is."

COLOURS = "Vermillion: used for it; blue: against it."


def pictures_of(about: Explanation) -> dict[str, bytes]:
    """PNG files by name: those that can be drawn."""
    found: dict[str, bytes] = {}
    if about.view is None or about.decoded is None:
        return found
    name, size = printable(str(about.scored.row["image_id"]))[:60], len(about.decoded.pixels)
    found[IMAGE] = png(about.view)
    seen = Panel(f"What the network sees: {size} x {size} px", enlarge(about.decoded.pixels), size)
    if about.activation is not None:
        title = f"{name}: class activation map"
        panel = _activation(about.view, about.activation, about.diagnosis, size)
        found[ACTIVATION] = figure(title, [seen, panel], _about_activation(about.activation, about.diagnosis))
    if about.occlusion is not None:
        panel = _occlusion(about.view, about.occlusion, about.diagnosis, size)
        notes = _about_occlusion(about.occlusion, about.diagnosis)
        found[OCCLUSION] = figure(f"{name}: occlusion map", [seen, panel], notes)
    if about.nearest is not None and about.thumbnails:
        found[NEAREST] = _nearest(name, about.nearest, about.thumbnails)
    return found


def _activation(view: RGB, activation: Activation, diagnosis: str, size: int) -> Panel:
    cells = activation.cells
    height, width = cells.shape
    limit = float(np.abs(cells).max()) or 1.0
    texts = [
        ((column + 0.5) * EDGE / width, (line + 0.5) * EDGE / height, f"{value:+.2f}")
        for (line, column), value in np.ndenumerate(cells)
    ]
    shown = texts if len(texts) <= MOST_NUMBERS else []
    title = f"{diagnosis}: {height} x {width} cells"
    return Panel(title, overlay(view, cells, limit), size, limit, "score", shown)


def _about_activation(activation: Activation, diagnosis: str) -> list[str]:
    height, width = activation.cells.shape
    return [
        f"Cells and bias {activation.bias:+.2f} add up to {activation.score:+.2f}: the log of the probability "
        f"of {diagnosis} minus the mean log of all seven. {COLOURS}",
        f"{USED} n = 1 image, {height} x {width} cells.",
    ]


def _occlusion(view: RGB, occlusion: Occlusion, diagnosis: str, size: int) -> Panel:
    limit = float(np.abs(occlusion.change).max()) or 1.0
    coloured = overlay(view, occlusion.change, limit)
    return Panel(f"{diagnosis}: change if hidden", coloured, size, limit, "log-odds")


def _about_occlusion(occlusion: Occlusion, diagnosis: str) -> list[str]:
    return [
        f"Change of the log-odds of {diagnosis} ({occlusion.log_odds:+.2f} for the whole image) if a grey "
        f"square of {occlusion.patch} px hides a place. {COLOURS}",
        f"{USED} n = 1 image, {occlusion.calls} squares, {occlusion.stride} px apart.",
    ]


def _nearest(name: str, nearest: Nearest, thumbnails: list[RGB]) -> bytes:
    shown = [
        (pixels, [one.image_id, f"{one.dx}, distance {one.distance:.3f}"])
        for one, pixels in zip(nearest.lesions, thumbnails, strict=True)
    ]
    note = f"n = {len(shown)} lesions, the nearest in {nearest.images:,} training images; dx: their label."
    return gallery(f"{name}: nearest training lesions", shown, [note])
