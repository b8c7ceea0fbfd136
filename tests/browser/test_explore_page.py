"""The page of the samples in a browser without a network: it asks for nothing, and fits a phone and paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.test_prefect_ui import CHROMIUM, QUIET
from tests.command import CommandLine
from tests.conftest import HOSTILE_NAME
from tests.flows.test_explore import made
from tests.unit.exploration.made import make_workspace
from tests.unit.exploration.test_choose import HEAD, ranked


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser.new_context(offline=True).new_page()
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_shows_everything_and_asks_for_nothing(
    skinml: CommandLine, tmp_path: Path, page: Page
) -> None:
    workspace = make_workspace(tmp_path / "workspace", made(tmp_path / "images"))
    ranked(workspace, 1, HEAD + "HAM_0000005,df,mel,-0.5,0.2,0.7,2,ISIC_0000010 ISIC_0000011,histo,True\n")
    result = skinml("--workspace", workspace, "explore").result
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("console", lambda message: said.append(message.text))
    page.goto(Path(result["files"][0]).as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [page.url]
    assert said == [], "nothing ran, and the content policy refused nothing"

    pictures = page.locator("img")
    for number in range(pictures.count()):
        assert pictures.nth(number).evaluate("image => image.complete && image.naturalWidth") > 0
        assert pictures.nth(number).get_attribute("alt")
    expect(page.get_by_text(HOSTILE_NAME).first).to_be_visible()
    for link in page.locator("nav a").all():
        assert page.locator(str(link.get_attribute("href"))).count() == 1
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Diagnosis, sex, body site and age")
    for width, scheme, media in ((1100, "light", "screen"), (400, "dark", "screen"), (800, "light", "print")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, media=media)  # type: ignore[arg-type]
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, "nothing is cut off or has to be scrolled to the side"
    page.locator("summary").first.click()
    expect(page.get_by_role("rowheader", name="akiec").first).to_be_visible()
