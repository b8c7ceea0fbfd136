"""The Prefect UI as a person sees it: headless Chromium opens the page of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from flows.server import Server
from tests.services.deployed import last_run
from tests.services.processes import skinml_process

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
MAX_SECONDS = 90_000.0
"""Milliseconds that the page has for a sentence to appear."""


@pytest.fixture
def page() -> Iterator[Page]:
    """A page in a browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser.new_page(viewport={"width": 1400, "height": 1000})
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_run_can_be_read_in_the_browser(
    prefect_server: Server, trained: Path, tmp_path: Path, jpeg: Callable[..., bytes], page: Page
) -> None:
    archive = tmp_path / "browsed archive"
    archive.mkdir()
    (archive / "a.jpg").write_bytes(jpeg())
    workspace = shutil.copytree(trained, tmp_path / "workspace")
    environment = {"PREFECT_API_URL": prefect_server.url}
    skinml_process(
        "--workspace", workspace, "score", "--archive", archive, environment=environment, cwd=tmp_path
    )
    run = last_run(prefect_server, "score")
    assert run["name"].endswith(": 1 scored, 0 unusable")

    page.goto(f"{prefect_server.ui}/runs/flow-run/{run['id']}")
    expect(page.get_by_text(run["name"]).first).to_be_visible(timeout=MAX_SECONDS)
    expect(page.get_by_text("Usual").first).to_be_visible(timeout=MAX_SECONDS)
    expect(page.get_by_text("1 images listed").first).to_be_visible(timeout=MAX_SECONDS)  # our log, in its run
    page.get_by_text("Artifacts", exact=True).last.click()
    expect(page.get_by_text("score-counts").first).to_be_visible(timeout=MAX_SECONDS)
    picture = tmp_path / "run.png"
    page.screenshot(path=picture)
    with Image.open(picture) as image:
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 50  # a page, not a blank

    query = {"flow_runs": {"id": {"any_": [run["id"]]}}, "artifacts": {"key": {"any_": ["score-suspicious"]}}}
    [sheet] = httpx.post(f"{prefect_server.url}/artifacts/filter", json=query).json()
    page.goto(f"{prefect_server.ui}/artifacts/artifact/{sheet['id']}")
    expect(page.get_by_text("The images with the highest p_malignant").first).to_be_visible(timeout=MAX_SECONDS)
    page.wait_for_function("[...document.images].some(image => image.naturalWidth > 300)", timeout=MAX_SECONDS)
