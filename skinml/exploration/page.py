"""Make the page of the samples and the files of its figures."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from skinml import DISCLAIMER
from skinml.exploration.chart import Chart, as_png_and_svg
from skinml.exploration.charts import draw_lesions, draw_missing, draw_panels, draw_sources
from skinml.exploration.choose import EXAMPLES, Pairs, Suspicious
from skinml.exploration.folder import PAGE
from skinml.exploration.image_charts import draw_quality, draw_sizes
from skinml.exploration.pictures import draw_examples, draw_pairs, draw_suspicious
from skinml.exploration.summary import Summary
from skinml.exploration.thumbnails import RGB, as_jpeg
from skinml.labels import DIAGNOSES, MALIGNANT, NAMES
from skinml.report.embedded import data_uri
from skinml.report.html import render
from skinml.storage.listed import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).parent.parent / "report" / "templates" / "explore.html"


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that the page shows.

    Attributes:
        samples: summary.COLUMNS, one row per image.
        version: of the table `samples`.
        summary: its counts.
        examples: rows of samples.
        pairs, suspicious: positions of rows of samples.
        thumbnails: pixels by uri.
        gone: how many of the images to show cannot be read.
    """

    samples: pd.DataFrame
    version: int
    summary: Summary
    examples: pd.DataFrame
    pairs: Pairs
    suspicious: Suspicious
    thumbnails: Mapping[str, RGB]
    gone: int


def files_of(findings: Findings) -> dict[str, bytes]:
    """All files by name: the page, and each figure as PNG and SVG."""
    from matplotlib import rc_context

    # Names of body sites and images come from outside: a $ in them is no formula, and a letter that the font
    # lacks is drawn as a box, which needs no warning.
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        charts = draw_charts(findings.summary)
        figures = {chart.name: chart.figure for chart in charts} | _pictures(findings)
        files = {}
        for name, figure in figures.items():
            files[f"{FIGURES}/{name}.png"], files[f"{FIGURES}/{name}.svg"] = as_png_and_svg(figure)
    return {PAGE: _page(findings, charts, files).encode(), **files}


def draw_charts(summary: Summary) -> list[Chart]:
    """Draw all charts of the page, in its order."""
    draw = (draw_panels, draw_lesions, draw_missing, draw_sources, draw_sizes, draw_quality)
    return [chart(summary) for chart in draw]


def _pictures(findings: Findings) -> dict[str, Figure]:
    samples, thumbnails = findings.samples, findings.thumbnails
    figures = {"examples": draw_examples(findings.examples, thumbnails)}
    if len(findings.pairs.shown):
        figures["duplicates"] = draw_pairs(samples, findings.pairs, thumbnails)
    if len(findings.suspicious.rows):
        figures["suspicious"] = draw_suspicious(samples, findings.suspicious, thumbnails)
    return figures


def _page(findings: Findings, charts: Sequence[Chart], files: Mapping[str, bytes]) -> str:
    jpegs = {uri: data_uri(as_jpeg(pixels)) for uri, pixels in findings.thumbnails.items()}
    return render(
        TEMPLATE,
        disclaimer=DISCLAIMER,
        findings=findings,
        summary=findings.summary,
        charts=[(chart, _svg_uri(files[f"{FIGURES}/{chart.name}.svg"])) for chart in charts],
        folder=FIGURES,
        examples=[_of_diagnosis(findings, jpegs, name) for name in DIAGNOSES],
        examples_each=EXAMPLES,
        pairs=[_pair(findings, jpegs, row) for row in findings.pairs.shown.to_dict("records")],
        suspicious=[_suspicious(findings, jpegs, row) for row in findings.suspicious.rows.to_dict("records")],
    )


def _svg_uri(data: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(data).decode('ascii')}"


def _of_diagnosis(findings: Findings, jpegs: Mapping[str, str], name: str) -> dict[str, Any]:
    rows = findings.examples[findings.examples["dx"] == name].to_dict("records")
    return {
        "dx": name,
        "name": NAMES[name],
        "malignant": name in MALIGNANT,
        "images": [{"image_id": row["image_id"], "picture": jpegs.get(str(row["uri"]))} for row in rows],
    }


def _image(findings: Findings, jpegs: Mapping[str, str], position: int) -> dict[str, Any]:
    row = findings.samples.iloc[position]
    names = ("image_id", "lesion_id", "dx", "split", "source")
    return {name: row[name] for name in names} | {"picture": jpegs.get(str(row["uri"]))}


def _pair(findings: Findings, jpegs: Mapping[str, str], row: Mapping[Any, Any]) -> dict[str, Any]:
    both = [_image(findings, jpegs, int(row[end])) for end in ("first", "second")]
    return {
        "images": both,
        "kind": "identical files" if row["kind"] == "identical" else f"{row['distance']} of 256 bits apart",
        "lesions": both[0]["lesion_id"] != both[1]["lesion_id"],
        "diagnoses": both[0]["dx"] != both[1]["dx"],
    }


def _suspicious(findings: Findings, jpegs: Mapping[str, str], row: Mapping[Any, Any]) -> dict[str, Any]:
    return {**row, **_image(findings, jpegs, int(row["position"]))}
