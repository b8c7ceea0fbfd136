"""Tables of metadata as they really come, and broken ones: the bytes of each, and what must become of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from skinml.dataset.metadata import read_metadata
from skinml.errors import RequestError

HEAD = "lesion_id,image_id,dx,dx_type,age,sex,localization"
ROWS = [
    f"HAM_{n // 2},ISIC_{n},{dx},histo,{40 + n}.0,male,back" for n, dx in enumerate(("nv", "mel", "bkl", "nv"))
]
PLAIN = "\n".join([HEAD, *ROWS, ""])


@dataclass(frozen=True)
class Table:
    """The bytes of a table, and words of its refusal; None if its four rows are read."""

    data: bytes
    refused: str | None = None


def _changed(line: int, old: str, new: str) -> bytes:
    lines = PLAIN.split("\n")
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new, 1)
    return "\n".join(lines).encode()


def _one_hot(lesions: bool) -> str:
    classes = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    lines = [",".join(["image", *classes, *(["lesion_id"] if lesions else [])])]
    for row in ROWS:
        lesion, image, dx = row.split(",")[:3]
        ones = ["1.0" if name.lower() == dx else "0.0" for name in classes]
        lines.append(",".join([image, *ones, *([lesion] if lesions else [])]))
    return "\n".join(lines)


TABLES: dict[str, Table] = {
    "plain": Table(PLAIN.encode()),
    "tabs, quoted": Table(
        "\n".join('"' + line.replace(",", '"\t"') + '"' for line in PLAIN.split("\n")[:-1]).encode()
    ),
    "semicolons, CR LF, BOM": Table(PLAIN.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig")),
    "decimal commas": Table(PLAIN.replace(",", ";").replace(".0", ",0").encode()),
    "sep= line": Table(("sep=;\n" + PLAIN.replace(",", ";")).encode()),
    "pipes": Table(PLAIN.replace(",", "|").encode()),
    "UTF-16": Table(PLAIN.encode("utf-16")),
    "UTF-16 without its mark": Table(PLAIN.encode("utf-16-le")),
    "Windows-1252": Table(PLAIN.replace("back", "Rücken").encode("cp1252")),
    "CR alone": Table(PLAIN.replace("\n", "\r").encode()),
    "blank lines": Table((PLAIN.replace("\n", "\n\n") + "\n \n,,,,,,\n").encode()),
    "names in capitals": Table(PLAIN.replace(HEAD, HEAD.upper()).encode()),
    "age NaN": Table(_changed(2, "41.0", "NaN")),
    "age 85+": Table(_changed(2, "41.0", "85+")),
    "age unknown, sex NA": Table(_changed(2, "41.0,male", "unknown,NA")),
    "a diagnosis in capitals": Table(_changed(2, "mel", "MEL")),
    "one-hot with lesions": Table(_one_hot(lesions=True).encode()),
    "one-hot alone": Table(_one_hot(lesions=False).encode(), "has no column lesion_id"),
    "two 1s in a row": Table(
        _one_hot(lesions=True).replace("1.0,0.0", "1.0,1.0", 1).encode(), "one class must be 1"
    ),
    "age 200": Table(_changed(3, "42.0", "200"), "line 4 (ISIC_2): '200': age is not a number of years"),
    "age is words": Table(_changed(3, "42.0", "forty"), "line 4 (ISIC_2)"),
    "a class of others": Table(_changed(2, "mel", "scc"), "--drop scc"),
    "two columns dx": Table(PLAIN.replace("dx_type", "dx").encode(), "has 2 columns dx"),
    "no image_id": Table(PLAIN.replace("image_id", "picture").encode(), "has no column image_id"),
    "a blank image_id": Table(_changed(2, "ISIC_1", ""), "line 3 (no image_id): image_id is blank"),
    "a blank lesion_id": Table(_changed(2, "HAM_0", ""), "line 3 (ISIC_1): lesion_id is blank"),
    "a value too many": Table(_changed(2, "back", "back,left"), "line 3"),
    "a value too few": Table(_changed(2, ",back", ""), "line 3"),
    "a quote that is not closed": Table(_changed(2, "HAM_0", '"HAM_0') + b"x,y\n" * 200_000, "quote"),
    "NUL characters": Table(_changed(2, "male", "m\0le"), "line 3: has NUL characters"),
    "the header alone": Table(f"{HEAD}\n".encode(), "has no rows"),
    "nothing": Table(b"", "is empty"),
    "a zip file": Table(b"PK\x03\x04" + bytes(100), "a zip file"),
    "an image": Table(b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40, "--metadata"),
    "one line of 4 MB": Table(b"a" * 4_000_000, "longer than"),
}


def as_expected(url: str, table: Table) -> str:
    """Read a table that was put at `url`: "" where it ends as it should, else what came instead."""
    try:
        read = read_metadata([url])
    except RequestError as error:
        said = str(error)
        fits = table.refused is not None and table.refused in said and "\n" not in said and len(said) < 2_000
        return "" if fits else said
    rows = len(read.rows)
    return "" if table.refused is None and rows == len(ROWS) else f"{rows} rows were read"


def read_all(place: str, put: Callable[[str, bytes], None]) -> dict[str, tuple[str, float]]:
    """Put every table at a place and read it: what is not as expected, and CPU seconds, by name."""
    found = {}
    for number, (name, table) in enumerate(TABLES.items()):
        url = f"{place}/{number:02}.csv"
        put(url, table.data)
        started = time.process_time()
        found[name] = (as_expected(url, table), time.process_time() - started)
    return found
