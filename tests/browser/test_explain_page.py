"""The page of `explain` as a person sees it: headless Chromium opens it, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.test_prefect_ui import CHROMIUM, QUIET
from tests.command import CommandLine
from tests.conftest import HOSTILE_NAME


@pytest.fixture
def page() -> Iterator[Page]:
    """A page that is offline; what it asks for and says is in `asked` and `said`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser.new_context(offline=True, viewport={"width": 1100, "height": 900}).new_page()
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("image", ["known", HOSTILE_NAME])
def test_the_page_shows_everything_and_asks_for_nothing(
    image: str, night: Path, tmp_path: Path, page: Page, skinml: CommandLine
) -> None:
    result = skinml("--workspace", night, "explain", image).result
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("console", lambda message: said.append(message.text))
    page.goto(Path(result["files"][0]).as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [page.url]
    assert said == [], "nothing ran, and the content policy refused nothing"

    expect(page.get_by_text("Research use only: skinml is not a medical device.").first).to_be_visible()
    expect(page.get_by_text("not where the lesion is").first).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text(image)
    pictures = page.locator("img")
    assert pictures.count() == 3 + len(result["nearest"])
    for number in range(pictures.count()):
        assert pictures.nth(number).evaluate("image => image.complete && image.naturalWidth") > 0
        assert pictures.nth(number).get_attribute("alt")
    for width in (1100, 400):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, "nothing is cut off or has to be scrolled to the side"
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        with Image.open(tmp_path / "page.png") as shot:
            assert len(shot.convert("RGB").getcolors(1 << 24) or []) > 500
