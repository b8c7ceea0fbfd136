"""Remember which files were fetched, so that a killed run can be continued; write the dated manifest."""

from __future__ import annotations

import csv
import fcntl
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from threading import Lock
from typing import IO, Any

from skinml.errors import RequestError, RunError
from skinml.storage.objects import write_bytes

JOURNAL, MANIFEST = ".fetched.jsonl", "manifest.csv"


@dataclass(frozen=True)
class Fetched:
    """One file.

    Attributes:
        image_id: of the image.
        file: its path below the folder.
        size_bytes, sha256: of the file; hexadecimal.
        licence, attribution: as the archive gives them.
        fetched_at: in UTC, ISO 8601.
    """

    image_id: str
    file: str
    size_bytes: int
    sha256: str
    licence: str
    attribution: str
    fetched_at: str


class Journal:
    """The open journal of one run. It has a file and a lock: a class."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._lock = Lock()

    def add(self, fetched: Fetched) -> None:
        """Remember one file, from any thread. Raises OSError if the disk is full."""
        with self._lock:
            self._file.write(json.dumps(asdict(fetched)) + "\n")
            self._file.flush()


@contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """Open the journal of a folder for one run at a time.

    Raises:
        RequestError: another run works in the folder.
    """
    with (folder / JOURNAL).open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RequestError(f"--out {folder}: another skinml fetch works there; wait for its end") from error
        if file.tell() and not _ends_with_a_line(folder / JOURNAL):
            file.write("\n")  # a killed run has left half a line, which is ignored
        yield Journal(file)


def _ends_with_a_line(path: Path) -> bool:
    return path.read_bytes().endswith(b"\n")


def read_known(folder: Path) -> dict[str, Fetched]:
    """Return what earlier runs have fetched, by image_id: from the manifest and the journal.

    Raises:
        RunError: the manifest is not of this form.
    """
    known: dict[str, Fetched] = {}
    manifest = folder / MANIFEST
    if manifest.exists():
        try:
            with manifest.open(encoding="utf-8", newline="") as file:
                rows = [_fetched(row) for row in csv.DictReader(file)]
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{manifest}: is not a manifest of skinml fetch ({error}); move it away") from error
        known |= {one.image_id: one for one in rows}
    journal = folder / JOURNAL
    if journal.exists():
        for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                one = _fetched(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue  # half a line
            known[one.image_id] = one
    return known


def _fetched(row: dict[str, Any]) -> Fetched:
    values: dict[str, Any] = {one.name: row[one.name] for one in fields(Fetched)}
    return Fetched(**values | {"size_bytes": int(values["size_bytes"])})


def write_manifest(folder: Path, fetched: Iterable[Fetched]) -> bytes:
    """Write the manifest atomically, in order of image_id, and end the journal; the manifest's bytes."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [one.name for one in fields(Fetched)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in sorted(fetched, key=lambda one: one.image_id))
    data = buffer.getvalue().encode()
    write_bytes(str(folder / MANIFEST), data)
    (folder / JOURNAL).unlink(missing_ok=True)
    return data
