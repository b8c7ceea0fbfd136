"""Write the page of a retraining's verdict: the decision, its criteria, changed lesions and a worklist."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from skinml import DISCLAIMER
from skinml.gate.verdict import ChangedLesion, Verdict
from skinml.labels import DIAGNOSES, MALIGNANT
from skinml.models.floors import Criterion
from skinml.records.export_files import as_text
from skinml.report.canvas import DOTS_PER_INCH
from skinml.report.gate_figure import draw_criteria, drawn
from skinml.report.html import render
from skinml.storage.objects import write_bytes
from skinml.storage.urls import normalise

PAGE, PICTURE, WORKLIST = "index.html", "criteria.png", "disagreements.csv"

TEMPLATE = Path(__file__).with_name("templates") / "gate.html"

SHOWN_LESIONS = 60
"""Changed lesions on the page: a page with hundreds of pictures is slow, and nobody reads it to the end."""

SHOWN_DISAGREEMENTS = 100
"""Of the worklist on the page; the CSV beside it has all."""

HEADINGS = {
    "promote": "Promoted: the challenger is champion now",
    "keep": "Kept: the champion stays",
    "propose": "Proposed: a person decides",
}


def write_gate_page(
    folder: str,
    verdict: Verdict,
    thumbnails: Mapping[str, bytes],
    *,
    champion: str,
    challenger: str,
    decision: str | None = None,
    new_lesions: str = "",
) -> list[str]:
    """Write index.html, criteria.png and disagreements.csv; their URLs, the page first.

    Args:
        folder: a path or a URL.
        verdict: what the gate found.
        thumbnails: PNG or JPEG of images by image_id; those of the lesions in `wanted_thumbnails` are shown.
        champion: its version.
        challenger: its version.
        decision: the heading, if something else was decided in the end: `--approve human` makes a proposal
            ("propose") of what the gate would promote. One of promote, keep, propose.
        new_lesions: how many labelled lesions had come, in words.
    """
    where = normalise(folder)
    picture = _picture(verdict, champion, challenger)
    page = _page(verdict, thumbnails, champion, challenger, decision or verdict.decision, picture, new_lesions)
    files = {PAGE: page.encode(), PICTURE: picture, WORKLIST: worklist(verdict)}
    for name in reversed(files):  # the page last, so that it never lacks what it links to
        write_bytes(f"{where}/{name}", files[name])
    return [f"{where}/{name}" for name in files]


def wanted_thumbnails(verdict: Verdict) -> list[str]:
    """The images whose thumbnails the page shows: of the first lesions that changed, malignant ones first."""
    return [image.image_id for lesion in shown_lesions(verdict) for image in lesion.images]


def shown_lesions(verdict: Verdict) -> list[ChangedLesion]:
    """The changed lesions on the page: malignant ones first, of these those that got worse, at most 60."""
    order = sorted(verdict.changed, key=lambda one: (one.dx not in MALIGNANT, one.better))
    return order[:SHOWN_LESIONS]


def worklist(verdict: Verdict) -> bytes:
    """The images on which the two models disagree, as CSV; the header alone if there are none.

    An id that begins like a formula gets a `'` before it: a spreadsheet would execute it.
    """
    fields = ["image_id", "lesion_id", "dx", "champion", "challenger"]
    numbers = ["p_malignant_champion", "p_malignant_challenger"]
    schema = pa.schema([*((name, pa.string()) for name in fields), *((name, pa.float64()) for name in numbers)])
    buffer = io.BytesIO()
    rows = [one.model_dump() for one in verdict.disagreements]
    pyarrow.csv.write_csv(as_text(pa.Table.from_pylist(rows, schema)), buffer)
    return buffer.getvalue()


def _picture(verdict: Verdict, champion: str, challenger: str) -> bytes:
    lesions = sum(verdict.lesions.values())
    title = f"{challenger} against {champion}, n = {lesions:,} test lesions, {verdict.look_in_words()}"
    buffer = io.BytesIO()
    draw_criteria(title, verdict.criteria).savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()


def _page(
    verdict: Verdict,
    thumbnails: Mapping[str, bytes],
    champion: str,
    challenger: str,
    decision: str,
    picture: bytes,
    new_lesions: str,
) -> str:
    return render(
        TEMPLATE,
        disclaimer=DISCLAIMER,
        heading=HEADINGS[decision],
        decision=decision,
        verdict=verdict,
        champion=champion,
        challenger=challenger,
        picture=_inline(picture),
        new_lesions=new_lesions,
        has_picture=bool(drawn(verdict.criteria)),
        criteria=[_row(one) for one in verdict.criteria],
        lesions=", ".join(f"{name} {verdict.lesions.get(name, 0)}" for name in DIAGNOSES),
        changed=[_lesion(one, thumbnails) for one in shown_lesions(verdict)],
        better=sum(one.better for one in verdict.changed),
        worse=sum(not one.better for one in verdict.changed),
        disagreements=verdict.disagreements[:SHOWN_DISAGREEMENTS],
        worklist=WORKLIST,
    )


def _row(one: Criterion) -> dict[str, str]:
    """The texts of a criterion; a dash for what it does not have."""
    low, high = one.interval or (None, None)
    large = max(abs(one.champion or 0), abs(one.challenger or 0)) > 1
    show = "{:,.0f}" if large else "{:.3f}"
    return {
        "criterion": one.criterion,
        "champion": "-" if one.champion is None else show.format(one.champion),
        "challenger": "-" if one.challenger is None else show.format(one.challenger),
        "difference": "-" if one.difference is None else show.replace(":", ":+").format(one.difference),
        "interval": "-" if low is None or high is None else f"{low:+.3f} to {high:+.3f}",
        "margin": "-" if one.margin is None else show.format(one.margin),
        "verdict": one.verdict,
    }


def _lesion(one: ChangedLesion, thumbnails: Mapping[str, bytes]) -> dict[str, Any]:
    images = [
        {"about": image, "picture": _inline(data) if (data := thumbnails.get(image.image_id)) else None}
        for image in one.images
    ]
    return {"about": one, "malignant": one.dx in MALIGNANT, "images": images}


def _inline(data: bytes) -> str:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
