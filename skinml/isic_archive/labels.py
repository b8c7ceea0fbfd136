"""Write the archive's metadata twice: as its own export has it, and with HAM10000's columns.

What the archive has of HAM10000_metadata.csv, and what differs:

- dx: from diagnosis_1 to diagnosis_5. The archive calls some of HAM10000's akiec squamous cell carcinoma; in
  this collection that is akiec (`skinml.dataset.diagnosis_names`).
- dx_type: from diagnosis_confirm_type.
- lesion_id: the archive's own, such as IL_1234567, not HAM_0000118. It groups the same images.
- localization: anatom_site_general or the most specific of anatom_site_1 to 5, coarser than HAM10000's.
- dataset: the attribution. The archive does not say from which of the four sources (vidir_modern, ...) an image
  is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pandas as pd

from skinml.dataset.metadata_table import parse_table
from skinml.isic_archive.pages import ArchiveImage
from skinml.labels import DIAGNOSES

EXPORT, HAM10000_FORM = "isic_metadata.csv", "HAM10000_metadata.csv"

_FIRST = ("isic_id", "attribution", "copyright_license")
_IN_HAM10000 = {"scc": "akiec"}


def as_export(images: Sequence[ArchiveImage]) -> bytes:
    """Return CSV with the columns of an export of the archive, one row per image, in order of isic_id."""
    names = sorted({name for image in images for name in image.metadata} - {*_FIRST})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*_FIRST, *names])
    for image in sorted(images, key=lambda one: one.isic_id):
        values = (_text(image.metadata.get(name)) for name in names)
        writer.writerow([image.isic_id, image.attribution, image.licence, *values])
    return buffer.getvalue().encode()


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def as_ham10000(export: bytes) -> tuple[bytes, int]:
    """Return CSV with HAM10000's columns, and how many rows have a diagnosis that is none of the seven.

    Args:
        export: from `as_export`.
    """
    rows = parse_table(export, EXPORT).rows
    dx = rows["dx"].map(lambda name: _IN_HAM10000.get(name, name))
    columns = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "source")
    table = rows.assign(dx=dx).reindex(columns=list(columns)).rename(columns={"source": "dataset"})
    table["age"] = pd.to_numeric(table["age"])
    text = table.to_csv(index=False, lineterminator="\n")
    return text.encode(), int((~dx.isin(DIAGNOSES)).sum())
