"""Draw images side by side: the grid of examples, near-duplicates, suspicious labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from skinml.exploration.choose import EXAMPLES, Pairs, Suspicious
from skinml.exploration.thumbnails import RGB
from skinml.labels import DIAGNOSES, MALIGNANT
from skinml.report.canvas import GREY, ORANGE, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GONE = "cannot be\nread now"


@dataclass(frozen=True)
class Tile:
    """One image of a figure: its pixels (None if it cannot be read), and one or two lines below it."""

    pixels: RGB | None
    said: str
    marked: bool = False


def draw_examples(samples: pd.DataFrame, thumbnails: Mapping[str, RGB]) -> Figure:
    """Draw EXAMPLES images of each diagnosis, a row each.

    Args:
        samples: image_id, dx and uri of the examples.
        thumbnails: pixels by uri.
    """
    figure = blank(8.4, 10.4)
    figure.suptitle(
        f"Examples: {EXAMPLES} images of each diagnosis, at random", x=0.01, ha="left", fontweight="bold"
    )
    _place(figure, left=0.09, space=0.2)
    grid = figure.subplots(len(DIAGNOSES), EXAMPLES, squeeze=False)
    for row, name in zip(grid, DIAGNOSES, strict=True):
        images = samples[samples["dx"] == name]
        row[0].set_ylabel(name, fontsize=11, rotation=0, ha="right", va="center", labelpad=12)
        tiles = [
            Tile(thumbnails.get(str(uri)), str(image_id))
            for uri, image_id in zip(images["uri"], images["image_id"], strict=True)
        ]
        for number, axes in enumerate(row):
            missing = f"no image\nof {name}" if not tiles else "no further\nimage"
            _draw(axes, tiles[number] if number < len(tiles) else None, missing)
    return figure


def draw_pairs(samples: pd.DataFrame, pairs: Pairs, thumbnails: Mapping[str, RGB]) -> Figure:
    """Draw pairs of near-duplicates side by side, two pairs a row; orange: two lesions or two diagnoses.

    Args:
        samples: image_id, lesion_id, dx and uri, all rows.
        pairs: positions of rows in `samples`.
        thumbnails: pixels by uri.
    """
    tiles: list[Tile] = []
    for pair in pairs.shown.to_dict("records"):
        ends = [samples.iloc[int(pair[end])] for end in ("first", "second")]
        differ = ends[0]["lesion_id"] != ends[1]["lesion_id"] or ends[0]["dx"] != ends[1]["dx"]
        distance = "identical" if pair["kind"] == "identical" else f"{pair['distance']} bits apart"
        for end, words in zip(ends, (f"{ends[0]['dx']}, {distance}", str(ends[1]["dx"])), strict=True):
            said = f"{end['image_id']}\n{end['lesion_id']}, {words}"
            tiles.append(Tile(thumbnails.get(str(end["uri"])), said, bool(differ)))
    found = f"{pairs.identical:,} identical and {pairs.near:,} near pairs"
    title = f"Images that are one photograph: {found} (orange: two lesions)"
    return _grid(title, tiles, 4)


def draw_suspicious(samples: pd.DataFrame, found: Suspicious, thumbnails: Mapping[str, RGB]) -> Figure:
    """Draw the most suspicious labels; orange: a malignant label, or a malignant suggestion.

    Args:
        samples: image_id and uri, all rows.
        found: the labels.
        thumbnails: pixels by uri.
    """
    tiles: list[Tile] = []
    for row in found.rows.to_dict("records"):
        sample, dx, other = samples.iloc[int(row["position"])], row["dx"], row["suggested_dx"]
        said = f"{sample['image_id']}\n{dx}, or {other} ({row['p_suggested']:.2f})?"
        malignant = (dx in MALIGNANT) != (other in MALIGNANT)
        tiles.append(Tile(thumbnails.get(str(sample["uri"])), said, malignant))
    title = "The most suspicious labels (orange: malignant or not is in question)"
    return _grid(title, tiles, 5)


def _grid(title: str, tiles: Sequence[Tile], columns: int) -> Figure:
    rows = -(-len(tiles) // columns)
    figure = blank(2.15 * columns, 0.9 + 2.0 * rows)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=10)
    _place(figure, left=0.02, space=0.42)
    for number, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        if number < len(tiles):
            _draw(axes, tiles[number], "")
        else:
            axes.set_axis_off()
    return figure


def _place(figure: Figure, left: float, space: float) -> None:
    """Place tiles by hand: matplotlib's layout takes 2 s for 35 of them."""
    figure.set_layout_engine(None)
    height = figure.get_figheight()
    figure.subplots_adjust(left, 0.6 / height, 0.98, 1 - 0.45 / height, wspace=0.06, hspace=space)


def _draw(axes: Axes, tile: Tile | None, missing: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    if tile is None or tile.pixels is None:
        axes.text(0.5, 0.5, missing if tile is None else GONE, ha="center", va="center", fontsize=8, color=GREY)
        axes.set_box_aspect(0.75)
    else:
        axes.imshow(tile.pixels, interpolation="none")
    marked = tile is not None and tile.marked
    axes.spines[:].set_color(ORANGE if marked else GREY)
    axes.spines[:].set_linewidth(2.5 if marked else 0.6)
    if tile is not None:
        axes.set_xlabel("\n".join(line[:34] for line in tile.said.split("\n")), fontsize=7)
