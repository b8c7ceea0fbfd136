"""Screenshots of the story, by a browser without a window."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.browser.screenshots import browser_page, save
from tests.story.site import BUCKET, Site

DRAWN_MS = 3000
"""The UI draws its charts after its last answer, and says by nothing that it has."""


@dataclass(frozen=True)
class Camera:
    """A browser and the folder of its pictures."""

    page: Page
    out: Path

    def runs(self, made: Site, name: str) -> str:
        """The list of runs."""
        return self._take(f"{made.state()['ui_url']}/runs", name, scroll=420)

    def run(self, made: Site, run: Mapping[str, Any], name: str) -> str:
        """One run."""
        return self._take(f"{made.state()['ui_url']}/runs/flow-run/{run['id']}", name)

    def report(self, made: Site, run_id: str, name: str) -> str:
        """A report, as somebody sees it who has copied it from the bucket."""
        folder = made.folder / "report"
        shutil.rmtree(folder, ignore_errors=True)
        made.store.files().get(f"{BUCKET}/workspace/reports/{run_id}/", f"{folder}/", recursive=True)
        return self._take((folder / "index.html").as_uri(), name)

    def _take(self, url: str, name: str, scroll: int = 0) -> str:
        self.page.goto(url)
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(DRAWN_MS)
        if scroll:
            self.page.mouse.wheel(0, scroll)
            self.page.wait_for_timeout(500)
        save(self.page.screenshot(), self.out / name)
        return name


@contextmanager
def taken(out: Path) -> Iterator[Camera]:
    """A camera that puts its pictures into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    with browser_page() as page:
        yield Camera(page, out)
