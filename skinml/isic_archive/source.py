"""Describe a folder of fetched images: metadata, manifest, licence, and SOURCE.json for model cards."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from skinml import __version__
from skinml.isic_archive.download import IMAGES, Progress
from skinml.isic_archive.journal import MANIFEST, write_manifest
from skinml.isic_archive.labels import EXPORT, HAM10000_FORM, as_export, as_ham10000
from skinml.isic_archive.licence import CITATION, LICENCE, notice
from skinml.isic_archive.pages import Collection
from skinml.records.data_sources import SOURCE
from skinml.storage.objects import write_bytes

LICENCE_FILE = "LICENCE.txt"


def write_description(
    folder: Path, base: str, collection: Collection, progress: Progress, limited: bool
) -> list[str]:
    """Write metadata, licence, manifest and, last, SOURCE.json; the files and the folder of images.

    Args:
        folder: with the images.
        base: the interface's address.
        collection: what was fetched.
        progress: what there is.
        limited: whether only some images were asked for.
    """
    export = as_export(progress.images)
    ham10000, others = as_ham10000(export)
    files = {
        EXPORT: export,
        HAM10000_FORM: ham10000,
        LICENCE_FILE: notice([image.attribution for image in progress.images]).encode(),
    }
    for name, data in files.items():
        write_bytes(str(folder / name), data)
    files[MANIFEST] = write_manifest(folder, progress.fetched.values())
    about = {
        "data_source": f"{collection.name}, from the ISIC archive (collection {collection.number}). {CITATION}",
        "data_licence": LICENCE,
        "collection": {"id": collection.number, "name": collection.name, "doi": collection.doi},
        "interface": base,
        "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "images": len(progress.fetched),
        "bytes": sum(one.size_bytes for one in progress.fetched.values()),
        "complete": not limited,
        "licences": dict(Counter(one.licence for one in progress.fetched.values())),
        "diagnoses_that_are_none_of_the_seven": others,
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "skinml": __version__,
    }
    write_bytes(str(folder / SOURCE), json.dumps(about, indent=1, ensure_ascii=False).encode())
    return [str(folder / IMAGES), *(str(folder / name) for name in (*files, SOURCE))]
