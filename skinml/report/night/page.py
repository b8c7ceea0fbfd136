"""Render the page of a night from what was gathered about it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from skinml import DISCLAIMER
from skinml.labels import DIAGNOSES, MALIGNANT
from skinml.monitoring.estimated_performance import ASSUMPTION
from skinml.monitoring.flags import count_flags
from skinml.monitoring.reference import count_bins
from skinml.report.card_items import EXCLUDED
from skinml.report.html import TEMPLATES, render
from skinml.report.night.columns import as_json, packed
from skinml.report.night.links import Linker
from skinml.report.night.night import Night, class_counts
from skinml.report.night.thumbnails import ACROSS, HEIGHT, IN_SPRITE, WIDTH, Thumbnails
from skinml.report.night.words import MEANINGS, card_in_short, law, sentence_of, shown_month, tiles_of
from skinml.schemas import FLAGS, PROBABILITY_COLUMNS

TEMPLATE, PROGRAM = TEMPLATES / "night.html", TEMPLATES / "worklist.js"

PLAIN_ROWS = 200
"""Rows that stand in the page as HTML, for browsers without JavaScript."""


def night_page(night: Night, thumbnails: Thumbnails, furthest: list[str | None], linker: Linker) -> str:
    """The page.

    Args:
        night: what it says.
        thumbnails: of its worklist.
        furthest: data: URIs of thumbnails of the images that drifted most; None if there is none.
        linker: finds the links from the page to its images.
    """
    run, scored = night.run, night.scored
    shown = len(scored.worklist)
    about = {
        "run": run["run_id"],
        "model": run["model_version"],
        "health": run["health"],
        "inPage": len(thumbnails.in_page),
        "sprite": {"of": IN_SPRITE, "across": ACROSS, "width": WIDTH, "height": HEIGHT},
        "malignantOnes": MALIGNANT,
    }
    data = packed(scored.worklist, linker, thumbnails.in_page, thumbnails.gone, about)
    manifest = night.model.manifest
    outcomes_run, months = night.outcomes or ("", [])
    page: str = render(
        TEMPLATE,
        program=PROGRAM.read_text(encoding="utf-8") if shown else "",
        title=f"Night of {run['started_at']:%Y-%m-%d}, {run['started_at']:%H:%M} UTC",
        disclaimer=DISCLAIMER,
        drifted=night.has_drifted,
        sentence=sentence_of(night),
        tiles=tiles_of(night),
        law=law(run),
        run_id=run["run_id"],
        model_version=run["model_version"] or "not known",
        backfill=bool(night.parameters.get("backfill")),
        images=scored.images,
        shown=shown,
        nothing=_nothing(run),
        gone=_gone(thumbnails),
        plain_rows=plain_rows(night, thumbnails),
        blank=_blank(),
        diagnoses=DIAGNOSES,
        flag_names=FLAGS,
        furthest=_furthest(night, furthest),
        mix=_mix(night),
        confidence=_confidence(night),
        reference=_reference(night),
        estimate=night.estimate,
        why_no_estimate=night.why_no_estimate,
        tested=_tested(night),
        assumption=ASSUMPTION,
        outcomes_run=outcomes_run,
        months=[shown_month(month) for month in months],
        measures=[_measure(one) for one in run["health_detail"].get("measures", [])],
        flags=_flags(night),
        quarantine=night.quarantine,
        card=card_in_short(night.model),
        card_link=None if manifest is None else f"../../models/{manifest.name}/{manifest.version}/card.html",
        excluded=EXCLUDED,
        until_retraining=night.until_retraining,
        data=as_json(data) if shown else "{}",
    )
    return page


def plain_rows(night: Night, thumbnails: Thumbnails) -> list[dict[str, Any]]:
    """The first rows of the worklist as values of the template."""
    rows = night.scored.worklist.slice(0, PLAIN_ROWS).to_pylist()
    return [_row(place, row, thumbnails.uri(place)) for place, row in enumerate(rows)]


def _row(place: int, row: Mapping[str, Any], thumbnail: str | None) -> dict[str, Any]:
    malignant = row["p_malignant"] or 0.0
    return {
        "place": place + 1,
        "alt": f"Image {row['image_id']}",
        "thumbnail": thumbnail,
        "image_id": row["image_id"],
        "malignant": f"{malignant:.3f}",
        "malignant_share": malignant,
        "dx": row["predicted_dx"],
        "probabilities": [
            {
                "dx": name,
                "text": f"{row[column] or 0.0:.2f}",
                "share": row[column] or 0.0,
                "malignant": name in MALIGNANT,
            }
            for name, column in zip(DIAGNOSES, PROBABILITY_COLUMNS, strict=True)
        ],
        "confidence": f"{row['confidence'] or 0.0:.2f}",
        "flags": [word for word in (row["flags"] or "").split(",") if word],
        "uri": row["uri"],
    }


def _blank() -> dict[str, Any]:
    """A row without values, which the program in the page copies and fills."""
    probabilities = [
        {"dx": name, "text": "", "share": 0.0, "malignant": name in MALIGNANT} for name in DIAGNOSES
    ]
    empty = dict.fromkeys(("place", "alt", "image_id", "malignant", "dx", "confidence", "uri"), "")
    return {**empty, "thumbnail": None, "malignant_share": 0.0, "probabilities": probabilities, "flags": []}


def _nothing(run: Mapping[str, Any]) -> str:
    if not run["listed"]:
        return "The archive had no images."
    if run["quarantined"]:
        return "No image was scored: all new images are in the quarantine. What to do stands below."
    return "No image was scored: all listed images were scored or set aside before."


def _gone(thumbnails: Thumbnails) -> str:
    if thumbnails.why:
        return f"There are no pictures: {thumbnails.why}."
    count = len(thumbnails.gone)
    if not count:
        return ""
    which = "1 image has" if count == 1 else f"{count:,} images have"
    return f"{which} no picture, because the file is gone, was changed since, or cannot be read."


def _furthest(night: Night, thumbnails: list[str | None]) -> list[dict[str, Any]]:
    rows = night.scored.drifted.to_pylist()
    return [
        {"image_id": rows[one.row]["image_id"], "why": one.in_words(), "thumbnail": thumbnail}
        for one, thumbnail in zip(night.furthest, thumbnails, strict=True)
    ]


def _mix(night: Night) -> list[dict[str, Any]]:
    counts, usual = class_counts(night.scored), night.model.usual
    before = [None] * len(counts) if usual is None else [one / usual.images for one in usual.predicted]
    return [
        {"name": name, "images": count, "share": count / max(1, night.scored.images), "before": share}
        for name, count, share in zip(DIAGNOSES, counts, before, strict=True)
    ]


def _confidence(night: Night) -> list[dict[str, Any]]:
    """The share of images in each bin of the reference."""
    if night.model.usual is None or not night.scored.images:
        return []
    bins = night.model.usual.measures["confidence"]
    tonight = count_bins(bins.edges, night.scored.confidence.astype(np.float64)) / night.scored.images
    before = np.array(bins.counts) / sum(bins.counts)
    edges = [f"{edge:.2f}" for edge in bins.edges]
    names = [f"up to {edges[0]}", *(f"{low} to {high}" for low, high in pairwise(edges))]
    names.append(f"above {edges[-1]}")
    return [
        {"name": name, "share": share, "before": other}
        for name, share, other in zip(names, tonight.tolist(), before.tolist(), strict=True)
    ]


def _reference(night: Night) -> str:
    usual = night.model.usual
    return "not known" if usual is None else f"the {usual.images:,} images that the model was tested on"


def _tested(night: Night) -> float | None:
    measured = night.model.measured or {}
    judged = measured.get("honest") or measured
    value = (judged.get("metrics") or {}).get("balanced_accuracy")
    return None if value is None else float(value)


def _measure(one: Mapping[str, Any]) -> dict[str, Any]:
    """A measure of `health_detail` as texts."""
    return {
        "measure": str(one.get("measure")).replace("_", " "),
        "drifted": bool(one.get("drifted")),
        "change": one.get("change") or "",
        "tonight": _short(one.get("tonight")),
        "reference": _short(one.get("reference")),
        "psi": f"{one.get('psi') or 0.0:.2f}",
    }


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _flags(night: Night) -> list[dict[str, Any]]:
    counts = night.run["health_detail"].get("flags") or count_flags(
        words or "" for words in night.scored.worklist["flags"].to_pylist()
    )
    return [
        {"name": name, "images": counts[name], "meaning": MEANINGS.get(name, "")}
        for name in FLAGS
        if counts.get(name)
    ]
