"""The page over all nights: counts, health and estimates of every scoring run, with trends; fifty to a page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skinml import DISCLAIMER
from skinml.layout import night_summary_url, nights_url
from skinml.monitoring.health import DRIFTED
from skinml.records.export import FLOWS
from skinml.report.html import TEMPLATES, render
from skinml.report.night.night import Night
from skinml.storage.objects import names, read_many, write_bytes
from skinml.storage.urls import as_uri

TEMPLATE = TEMPLATES / "nights.html"

ON_A_PAGE = 50

IN_TRENDS = 180
"""Nights in the pictures: half a year."""

COLUMNS = [
    *(
        "run_id",
        "flow",
        "status",
        "started_at",
        "listed",
        "skipped",
        "done",
        "quarantined",
        "images_per_second",
    ),
    *("model_version", "health", "parameters", "error"),
]


def summary(night: Night) -> bytes:
    """What the page over all nights needs of one that has a page: JSON."""
    found = night.estimate
    told = {
        "run_id": night.run["run_id"],
        "estimate": None if found is None else found.balanced_accuracy,
        "interval": None if found is None else found.interval,
    }
    return json.dumps(told).encode()


def write_summary(workspace: str, night: Night) -> None:
    """Leave the summary of a night whose page is written. Each night has a file of its own, so none is lost."""
    write_bytes(night_summary_url(workspace, night.run["run_id"]), summary(night))


def read_summaries(workspace: str) -> dict[str, dict[str, Any]]:
    """The summaries of all nights that have a page, by run_id; one that cannot be read is left out."""
    folder = nights_url(workspace)
    files = [f"{folder}/{name}" for name in names(folder) if name.endswith(".json")]
    found = {}
    for read in read_many(map(as_uri, files), [1024] * len(files)):
        try:
            told = json.loads(read.data or b"")
            found[str(told["run_id"])] = told
        except (ValueError, KeyError, TypeError):
            continue
    return found


def page_names(count: int) -> list[str]:
    """The files of the pages: index.html, then nights-2.html and so on; at least one."""
    pages = max(1, math.ceil(count / ON_A_PAGE))
    return ["index.html", *(f"nights-{number}.html" for number in range(2, pages + 1))]


def nights_pages(runs: pa.Table, summaries: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The pages by their name, the first one has the newest nights and the trends.

    Args:
        runs: the table `runs`, at least COLUMNS.
        summaries: of the nights that have a page.
    """
    scoring = runs.filter(pc.is_in(runs["flow"], pa.array(FLOWS, pa.string()))).select(COLUMNS)
    rows = [
        _row(row, summaries.get(row["run_id"]))
        for row in scoring.sort_by([("started_at", "descending")]).to_pylist()
    ]
    files = page_names(len(rows))
    latest = [row for row in rows if row["status"] == "completed" and not row["backfill"]][:IN_TRENDS][::-1]
    return {
        name: render(
            TEMPLATE,
            title="Nights",
            disclaimer=DISCLAIMER,
            nights=rows[number * ON_A_PAGE : (number + 1) * ON_A_PAGE],
            trends=trends(latest) if number == 0 and len(latest) > 1 else [],
            trend_nights=len(latest),
            page=number + 1,
            pages=len(files),
            names=files,
        )
        for number, name in enumerate(files)
    }


def _row(row: Mapping[str, Any], told: Mapping[str, Any] | None) -> dict[str, Any]:
    estimate = None if told is None else told.get("estimate")
    return {
        **row,
        "started": f"{row['started_at']:%Y-%m-%d %H:%M}",
        "link": None if told is None else f"{row['run_id']}/index.html",
        "estimated": estimate,
        "estimate": "-" if estimate is None else f"{estimate:.2f}",
        "backfill": '"backfill": true' in (row["parameters"] or ""),
    }


def trends(nights: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Pictures of figures over nights: points of a line, marks, and the same in words.

    Args:
        nights: rows, the oldest first, at least two.
    """
    share = [night["quarantined"] / max(1, night["done"] + night["quarantined"]) for night in nights]
    return [
        _trend("Images scored", nights, [float(night["done"]) for night in nights], "{:,.0f}"),
        _trend("Share of the new images that could not be used", nights, share, "{:.1%}"),
        _trend(
            "Estimated balanced accuracy", nights, [night["estimated"] for night in nights], "{:.2f}", most=1.0
        ),
        _trend("Images per second", nights, [float(night["images_per_second"]) for night in nights], "{:,.0f}"),
    ]


def _trend(
    title: str,
    nights: Sequence[Mapping[str, Any]],
    values: Sequence[float | None],
    form: str,
    most: float | None = None,
) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    if not known:
        return {"title": title, "said": "Not known for these nights.", "lines": [], "dots": []}
    top = most or max(known) or 1.0
    step = 1000 / len(values)
    places = [
        None if value is None else (step * (number + 0.5), 100 - 100 * value / top)
        for number, value in enumerate(values)
    ]
    lines: list[list[str]] = [[]]
    for place in places:
        if place is None:
            lines.append([])
        else:
            lines[-1].append(f"{place[0]:.1f},{place[1]:.1f}")
    dots = [
        _dot(step * (number + 0.5), place, min(step * 0.6, 8.0), night["health"] == DRIFTED)
        for number, (night, place) in enumerate(zip(nights, places, strict=True))
        if place is not None or night["health"] == DRIFTED
    ]
    newest = next(value for value in reversed(values) if value is not None)
    low, high = form.format(min(known)), form.format(max(known))
    said = f"{title}: newest {form.format(newest)}, lowest {low}, highest {high}, {len(known)} nights."
    drawn = [" ".join(line) for line in lines if line]
    return {"title": title, "said": said.replace("%", " %"), "lines": drawn, "dots": dots}


def _dot(middle: float, place: tuple[float, float] | None, wide: float, drifted: bool) -> dict[str, Any]:
    """The mark of a night: a small one on the line, or one as tall as the picture if the night has drifted."""
    top = 0.0 if drifted or place is None else min(96.0, max(0.0, place[1] - 2))
    sizes = {"x": middle - wide / 2, "y": top, "width": wide, "height": 100.0 if drifted else 4.0}
    return {**{name: f"{size:.1f}" for name, size in sizes.items()}, "drifted": drifted}
