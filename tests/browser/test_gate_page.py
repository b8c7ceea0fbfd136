"""The page of a retraining's verdict as a person sees it: headless Chromium opens it, without a network."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from skinml.gate import judge_challenger
from skinml.report.gate_page import wanted_thumbnails, write_gate_page
from tests.browser.test_prefect_ui import CHROMIUM, QUIET
from tests.unit.gate.made_up import BETTER, CHAMPION, QUICK


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_shows_everything_and_asks_for_nothing(tmp_path: Path) -> None:
    verdict = judge_challenger(CHAMPION, BETTER, looks_spent=2, rules=QUICK)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(buffer, "PNG")
    thumbnails = dict.fromkeys(wanted_thumbnails(verdict)[:5], buffer.getvalue())
    [written, *_] = write_gate_page(
        str(tmp_path),
        verdict,
        thumbnails,
        champion="20261127T200710Z-559f44",
        challenger="20261127T205702Z-6173ba",
    )
    asked: list[str] = []
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_context(offline=True).new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        for width in (1100, 400):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(Path(written).as_uri())
            expect(page.get_by_text("Research use only: skinml is not a medical device.")).to_be_visible()
            expect(page.get_by_role("heading", level=1)).to_contain_text("Promoted")
            expect(page.get_by_text("look 3 of 20").first).to_be_visible()
            pictures = page.locator("img")
            assert pictures.count() == 6
            for number in range(6):
                assert pictures.nth(number).evaluate("image => image.complete && image.naturalWidth") > 0
                assert pictures.nth(number).get_attribute("alt")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("link", name="disagreements.csv").wait_for()
        browser.close()
    assert [url for url in asked if not url.startswith(("data:", Path(written).as_uri()))] == []
    assert said == [], "nothing ran, and the content policy refused nothing"
