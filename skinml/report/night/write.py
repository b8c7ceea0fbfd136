"""Make the page of a night in its workspace, and the page over all nights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from skinml import tables
from skinml.layout import report_url, reports_url
from skinml.report.night.links import Linker
from skinml.report.night.night import read_night
from skinml.report.night.nights import nights_pages, read_summaries, write_summary
from skinml.report.night.page import night_page
from skinml.report.night.scored import MOST_ROWS
from skinml.report.night.thumbnails import OnWorkers, data_uri, make_thumbnails, picture_again
from skinml.storage.objects import write_bytes

logger = logging.getLogger("skinml.report")


def write_night(
    workspace: str, run: Mapping[str, Any], needed: int, on_workers: OnWorkers, most: int = MOST_ROWS
) -> list[str]:
    """Write the page of a run and the pages over all nights; their URLs, the night's page first.

    The files are written in an order in which none lacks what it links to. Making a page again replaces it.

    Args:
        workspace: normalised URL.
        run: its row, from `night.find_night`.
        needed: new lesions at which a retraining is due.
        on_workers: makes thumbnails of a large night.
        most: rows in the worklist.
    """
    runs = tables.read(workspace, "runs")
    night = read_night(workspace, run, runs, needed, most)
    page = report_url(workspace, run["run_id"])
    folder = page.rpartition("/")[0]
    thumbnails = make_thumbnails(night.scored.worklist, folder, on_workers)
    rows = night.scored.drifted.to_pylist()
    furthest = [data_uri(picture_again(rows[one.row])) for one in night.furthest]
    write_bytes(page, night_page(night, thumbnails, furthest, Linker(folder)).encode())
    write_summary(workspace, night)
    return [page, *write_nights(workspace)]


def write_nights(workspace: str) -> list[str]:
    """Write the pages over all nights, the first one last; their URLs, the first one first."""
    pages = nights_pages(tables.read(workspace, "runs"), read_summaries(workspace))
    urls = {name: f"{reports_url(workspace)}/{name}" for name in pages}
    for name in reversed(list(pages)):
        write_bytes(urls[name], pages[name].encode())
    return list(urls.values())
