"""Write an explanation as files: a page of HTML that needs no other file, pictures, and the values as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from skinml import DISCLAIMER
from skinml.explanation.drawing import png
from skinml.explanation.explain import Explanation
from skinml.explanation.pictures import USED, pictures_of
from skinml.explanation.values import finite, short, values_of
from skinml.labels import DIAGNOSES, MALIGNANT, NAMES
from skinml.report.html import render
from skinml.schemas import PROBABILITY_COLUMNS

PAGE, VALUES = "index.html", "explanation.json"

TEMPLATE = Path(__file__).with_name("page.html.jinja")


def files_of(about: Explanation) -> dict[str, bytes]:
    """All files of an explanation by name: the page, the pictures that there are, the values."""
    pictures = pictures_of(about)
    values = json.dumps(finite(values_of(about)), indent=1, default=str, allow_nan=False).encode()
    return {PAGE: _page(about, pictures).encode(), **pictures, VALUES: values}


def _page(about: Explanation, pictures: Mapping[str, bytes]) -> str:
    row, known = about.scored.row, about.training
    own = known.this_image if known is not None else None
    lesion = own["lesion_id"] if own is not None else None
    nearest = about.nearest.lesions if about.nearest is not None else []
    thumbnails: list[str | None] = [_inline(png(pixels)) for pixels in about.thumbnails]
    thumbnails = thumbnails or [None] * len(nearest)
    bars = [
        {
            "dx": name,
            "name": NAMES[name],
            "malignant": name in MALIGNANT,
            "probability": row[column] or 0.0,
            "explained": name == about.diagnosis,
        }
        for name, column in zip(DIAGNOSES, PROBABILITY_COLUMNS, strict=True)
    ]
    return render(
        TEMPLATE,
        disclaimer=DISCLAIMER,
        used=USED,
        about=about,
        row=row,
        bars=bars,
        own=own,
        own_lesion=lesion,
        held_out=_is_held_out(about),
        nearest=list(zip(nearest, thumbnails, strict=True)),
        pictures={name: _inline(data) for name, data in pictures.items()},
        facts=_facts(about),
        others=[short(other) for other in about.scored.others],
    )


def _is_held_out(about: Explanation) -> bool:
    """Whether the image is a test image of a model whose test lesions were held out; the thesis's are not."""
    own = about.training.this_image if about.training is not None else None
    protocol = about.manifest.protocol if about.manifest is not None else None
    return own is not None and own["split"] == "test" and protocol == "grouped"


def _facts(about: Explanation) -> list[tuple[str, str]]:
    """The way from the row back to its cause, as names and texts."""
    row, manifest, training = about.scored.row, about.manifest, about.training
    size = f", {row['width']} x {row['height']} px" if row["width"] is not None else ""
    facts = [
        ("Image", f"{row['uri']} ({row['size_bytes'] or 0:,} bytes{size})"),
        ("etag", str(row["etag"])),
        ("SHA-256 in the row", row["sha256"] or "none: the row is of an older skinml"),
        ("SHA-256 now", f"{about.source.sha256 or 'not known'}. {about.source.sentence}"),
        ("Run", f"{row['run_id']}, scored at {row['scored_at']:%Y-%m-%d %H:%M:%S} UTC"),
        ("This row", about.scored.why),
        ("File in the table scores", about.file or "not known"),
        ("Model", f"{row['model_name']} {row['model_version']}, {row['precision'] or 'fp32'}"),
        ("Flags", row["flags"] or "none"),
    ]
    if manifest is not None:
        how = ", ".join(f"{name} {value}" for name, value in manifest.preprocessing.items())
        facts += [
            ("Preprocessing", how),
            ("Trained", f"{manifest.created_at}, run {manifest.run_id}, {manifest.protocol} protocol"),
        ]
    if about.difference is not None:
        facts.append(("Computed again", f"largest difference of a probability: {about.difference:.1e}"))
    if training is not None:
        count = f"{training.samples:,} samples" if training.samples is not None else "samples not counted"
        facts.append(
            ("Training data", f"version {training.version} of samples, dataset {training.key}, {count}")
        )
        own = training.this_image
        inside = (
            f"yes: {own['image_id']}, lesion {own['lesion_id']}, labelled {own['dx']}, split {own['split']}"
            if own is not None
            else "no"
        )
        same = "bytes" if training.same_bytes or own is None else "image_id, other bytes,"
        facts.append((f"Same {same} in the training data", inside))
    return facts


def _inline(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
