"""The rows of a worklist as compact JSON, for the program in the page.

A row of 50,000 is about 40 bytes: probabilities are one byte each, folders and suffixes are written once. The
text stands in the page in a `<script type="application/json">`, which a browser never executes. So the page
runs nothing but our own program, whose hash is in its Content-Security-Policy, and needs no file beside it. (A
data file in `<script src>` would need 'self', which lets every script in the folder run.)
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skinml.labels import DIAGNOSES
from skinml.report.night.links import Linker
from skinml.schemas import FLAGS, PROBABILITY_COLUMNS

NONE = 255
"""The byte of a row whose name is not its image_id and a known suffix."""


def packed(
    rows: pa.Table,
    linker: Linker,
    thumbnails: Sequence[str | None],
    gone: Sequence[int],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The columns of a worklist.

    Args:
        rows: in the order of the page, `scored.COLUMNS`.
        linker: finds the link from the page to an image.
        thumbnails: of the first rows, base64 of WebP; None if there is none.
        gone: positions of rows without a thumbnail.
        about: what else the program needs to know.

    Returns:
        - ids: image_ids.
        - folders: uri and link of each folder; link is None if a browser cannot open it.
        - folder: of each row, uint16, base64, little-endian as all numbers.
        - suffixes, suffix: `.jpg` and so on; of each row, uint8.
        - names: the last part of the uri of rows whose suffix is NONE, by position.
        - p: probabilities, uint8 (n, 7), 255 is 1.
        - malignant, confidence: uint16, 65535 is 1.
        - dx: class numbers, uint8.
        - flags: one bit for each of FLAGS, uint16.
        - thumbnails, gone: as given.
    """
    uris, ids = rows["uri"].to_pylist(), rows["image_id"].to_pylist()
    folders: dict[str, int] = {}
    suffixes: dict[str, int] = {}
    folder, suffix = np.zeros(len(uris), "<u2"), np.zeros(len(uris), np.uint8)
    names: dict[int, str] = {}
    for place, (uri, image_id) in enumerate(zip(uris, ids, strict=True)):
        head, _, name = uri.rpartition("/")
        folder[place] = folders.setdefault(f"{head}/", len(folders))
        ending = name.removeprefix(image_id)
        if name.startswith(image_id) and (ending in suffixes or len(suffixes) < NONE):
            suffix[place] = suffixes.setdefault(ending, len(suffixes))
        else:
            suffix[place], names[place] = NONE, name
    probabilities = np.stack([_numbers(rows, name) for name in PROBABILITY_COLUMNS], axis=1)
    return {
        **about,
        "diagnoses": DIAGNOSES,
        "flagNames": FLAGS,
        "ids": ids,
        "folders": [[uri, linker.folder(uri)] for uri in folders],
        "folder": encoded(folder),
        "suffixes": list(suffixes),
        "suffix": encoded(suffix),
        "names": names,
        "p": encoded(np.rint(probabilities * 255).astype(np.uint8)),
        "malignant": encoded(np.rint(_numbers(rows, "p_malignant") * 65535).astype("<u2")),
        "confidence": encoded(np.rint(_numbers(rows, "confidence") * 65535).astype("<u2")),
        "dx": encoded(_positions(rows["predicted_dx"].to_pylist(), DIAGNOSES)),
        "flags": encoded(flag_bits(rows["flags"].to_pylist())),
        "thumbnails": list(thumbnails),
        "gone": list(gone),
    }


def as_json(columns: Mapping[str, Any]) -> str:
    """JSON that can stand in a page: no `<`, so that no name ends the element that it stands in."""
    text = json.dumps(columns, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def encoded(numbers: NDArray[Any]) -> str:
    """Numbers as base64 of their bytes."""
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode("ascii")


def flag_bits(flags: Sequence[str | None]) -> NDArray[np.uint16]:
    """The column `flags` as bits in the order of FLAGS, uint16 (n,); a flag that is not known here is left out.

    Example:
        >>> flag_bits(["", "blurred,dark", None]).tolist()
        [0, 3, 0]
    """
    bits = {name: 1 << place for place, name in enumerate(FLAGS)}
    known: dict[str | None, int] = {}
    for words in set(flags):
        known[words] = sum(bits.get(word, 0) for word in (words or "").split(","))
    return np.fromiter((known[words] for words in flags), dtype="<u2", count=len(flags))


def _positions(values: Sequence[str | None], names: Sequence[str]) -> NDArray[np.uint8]:
    place = {name: number for number, name in enumerate(names)}
    return np.fromiter((place.get(str(value), NONE) for value in values), dtype=np.uint8, count=len(values))


def _numbers(rows: pa.Table, name: str) -> NDArray[np.float64]:
    values = rows[name].to_numpy(zero_copy_only=False).astype(np.float64)
    shares: NDArray[np.float64] = np.clip(np.nan_to_num(values), 0.0, 1.0)
    return shares
