"""Show a run in the Prefect UI: progress, tables, pictures, places. Outside a run only the progress bar."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from skinml import DISCLAIMER
from tasks.orchestration import go_on_without, under_prefect
from tasks.progress import Advance, progress_bar

SECONDS_BETWEEN_UPDATES = 1.0


class Progress:
    """How much of a stage is done: a bar on the terminal and an artifact that moves. It has state: a class."""

    def __init__(self, show: Advance, total: int, artifact: UUID | None, done: int = 0) -> None:
        self._show = show
        self._total = total
        self._done = done
        self._artifact = artifact
        self._updated = time.monotonic()

    def advance(self, steps: int) -> None:
        """Count finished steps; the artifact follows once a second, and at the end."""
        self._show(steps)
        self._done += steps
        due = time.monotonic() - self._updated > SECONDS_BETWEEN_UPDATES or self._done >= self._total
        if self._artifact is not None and due and under_prefect():
            self._updated = time.monotonic()
            from prefect.artifacts import update_progress_artifact

            with _never_in_the_way():
                update_progress_artifact(self._artifact, progress=100.0 * self._done / self._total)


@contextmanager
def progress(key: str, description: str, total: int, unit: str, done: int = 0) -> Iterator[Progress]:
    """Show the progress of a long stage.

    Args:
        key: the artifact's key: lower case, digits and dashes.
        description: what is being done.
        total: steps in all.
        unit: what a step is.
        done: steps of an earlier run, which count as done and not for the speed.
    """
    artifact: UUID | None = None
    if under_prefect():
        from prefect.artifacts import create_progress_artifact

        with _never_in_the_way():
            made = create_progress_artifact(progress=0.0, key=key, description=f"{description}: {total} {unit}")
            artifact = made if isinstance(made, UUID) else None
    with progress_bar(description, total, unit, done) as show:
        yield Progress(show, total, artifact, done)


def show_table(key: str, description: str, rows: list[dict[str, Any]]) -> None:
    """Show a small table."""
    if under_prefect():
        from prefect.artifacts import create_table_artifact

        with _never_in_the_way():
            table = [{name: _rounded(value) for name, value in row.items()} for row in rows]
            create_table_artifact(table=table, key=key, description=f"{description} {DISCLAIMER}")


def show_places(key: str, title: str, places: Mapping[str, str]) -> None:
    """Show where results lie: what to where, as text to copy.

    Not as links: a browser opens neither file:// from a page of a server ("Not allowed to load local resource")
    nor s3://.
    """
    if under_prefect() and places:
        lines = [f"- {what}: `{url}`" for what, url in places.items()]
        _show_page(key, title, lines)


def show_picture(key: str, title: str, picture: bytes, *notes: str) -> None:
    """Show a PNG or JPEG file of less than about 150 kB, with notes below it.

    It is a page with the picture in it. Prefect's own image artifact shows a data: URI too, and prints all of
    its text over the page. The server stores it three times: as artifact, as the newest of its key, as event.
    """
    if under_prefect():
        from skinml.report.embedded import data_uri  # and with it Pillow

        _show_page(key, title, [f"![{title}]({data_uri(picture)})", *(f"\n{note}" for note in notes)])


def _show_page(key: str, title: str, lines: Sequence[str]) -> None:
    from prefect.artifacts import create_markdown_artifact

    with _never_in_the_way():
        create_markdown_artifact("\n".join(lines), key=key, description=f"{title}. {DISCLAIMER}")


def _rounded(value: Any) -> Any:
    """Four digits are what a person reads; the tables have them all."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


@contextmanager
def _never_in_the_way() -> Iterator[None]:
    """An artifact that fails does not stop the work, and a dead server is not asked again and again."""
    try:
        yield
    except Exception as error:
        go_on_without(error)
