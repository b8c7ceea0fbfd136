"""The page of a night as a person uses it: headless Chromium opens it from disk, without a network."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from skinml.report.night import thumbnails
from skinml.requests.reporting import ReportRequest
from tasks.report import make_page
from tests.browser.test_prefect_ui import CHROMIUM, QUIET
from tests.unit.report.night.made_up import HOSTILE, MadeUpNight, add_night

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

IMAGES, GONE = 260, 3

HEALTH = {
    "sentence": "do not trust this run's scores: median brightness (0 to 1) is lower",
    "measures": [
        {
            "measure": "brightness",
            "drifted": True,
            "change": "less",
            "tonight": 0.1,
            "reference": 0.6,
            "psi": 3.0,
        }
    ],
    "flags": {"dark": 9},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MadeUpNight]:
    """The page of a drifted night of 260 images with hostile names, three of them gone, with sprites."""
    folder = tmp_path_factory.mktemp("night")
    workspace = str(folder / "workspace")
    night = add_night(
        *(workspace, folder / "archive", IMAGES),
        hostile=True,
        gone=GONE,
        quarantined=2,
        health="drifted",
        health_detail=json.dumps(HEALTH),
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(thumbnails, "IN_PAGE", 200)
        files = make_page(workspace, None, ReportRequest())
    return Path(files[0]), night


class Opened:
    """A page, what it asked for, and what the console and dialogs said."""

    def __init__(self, browser: Browser, path: Path, **context: Any) -> None:
        self.page: Page = browser.new_context(
            offline=True, **{"viewport": {"width": 1280, "height": 900}, **context}
        ).new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def ids(self) -> list[str]:
        """The ids of the rows that are shown, without the word on the button."""
        return self.page.locator("#rows .id bdi").all_text_contents()


@pytest.fixture
def opened(browser: Browser, made: tuple[Path, MadeUpNight]) -> Iterator[Opened]:
    opened = Opened(browser, made[0])
    yield opened
    assert opened.said == [], "nothing of the archive ran, and the content policy refused nothing"
    opened.page.context.close()


def test_it_shows_the_night_and_asks_for_nothing_but_its_images(
    opened: Opened, made: tuple[Path, MadeUpNight]
) -> None:
    page, (path, night) = opened.page, made
    assert opened.ids() == night.image_ids[:50]
    for said in (
        "Research use only: skinml is not a medical device.",
        "The order is no triage: a low place does not mean benign.",
        "Do not trust this run's scores",
        "262 listed = 0 skipped + 260 scored + 2 quarantined",
        "Copy the file again from where it came from.",
        "3 images have no picture",
        "No estimate: this night has drifted",
    ):
        expect(page.get_by_text(said).first).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Do not trust")
    outside = [url for url in opened.asked if not url.startswith(("data:", path.parent.as_uri()))]
    assert outside == []


def test_it_sorts_filters_pages_and_keeps_that_in_its_address(
    opened: Opened, made: tuple[Path, MadeUpNight]
) -> None:
    page, names = opened.page, made[1].image_ids
    page.get_by_role("button", name="Next").first.click()
    assert opened.ids() == names[50:100]
    page.get_by_label("Images on a page").select_option("100")
    page.get_by_role("button", name="Last").first.click()
    assert opened.ids() == names[200:]
    pictures = page.locator("#rows img:visible")
    pictures.nth(3).scroll_into_view_if_needed()
    expect(pictures.nth(3)).to_have_js_property("naturalWidth", 960)  # a sprite
    page.locator("th[data-sort=mel] button").click()
    shares = [float(text) for text in page.locator("#rows [data-label=mel] .number").all_text_contents()]
    assert shares == sorted(shares, reverse=True)
    expect(page.locator("th[data-sort=mel]")).to_have_attribute("aria-sort", "descending")
    page.locator("#dx").select_option("nv")
    assert set(page.locator("#rows .diagnosis").all_text_contents()) == {"nv"}
    page.locator("#flag").select_option("dark")
    assert set(page.locator("#rows .flags").all_text_contents()) <= {"dark"}
    there, rows = page.url, opened.ids()
    page.goto("about:blank")
    page.goto(there)
    assert opened.ids() == rows
    page.get_by_role("button", name="Clear filter").click()
    assert opened.ids() == names[:50]
    page.get_by_label("p(malignant) at least").fill("0.9")
    numbers = [float(text) for text in page.locator("#rows .malignancy .number").all_text_contents()]
    assert numbers
    assert min(numbers) >= 0.9
    page.get_by_label("p(malignant) at least").fill("0")
    page.get_by_label("Find in id or path").fill("isic_0000200")
    assert opened.ids() == ["ISIC_0000200"]
    page.get_by_label("Find in id or path").fill("nowhere")
    expect(page.locator("#count")).to_have_text("0 of 260 images")


def test_the_keyboard_alone_reaches_every_image_and_its_details(
    opened: Opened, made: tuple[Path, MadeUpNight]
) -> None:
    page, names = opened.page, made[1].image_ids
    for _ in range(3):
        page.keyboard.press("j")
    page.keyboard.press("k")
    focused = "document.activeElement.querySelector('.id bdi').textContent"
    assert page.evaluate(focused) == names[1]
    page.keyboard.press("Enter")
    details = page.locator("tr.details")
    expect(details.get_by_role("button", name="Copy id")).to_be_visible()
    expect(details.locator("dd").first).to_have_text(names[1])
    page.keyboard.press("Enter")
    expect(details).to_have_count(0)
    for _ in range(49):
        page.keyboard.press("j")
    assert page.evaluate(focused) == names[50], "the next page"
    page.keyboard.press("f")
    page.keyboard.type("jk")
    assert page.get_by_label("Find in id or path").input_value() == "jk", "in a field, letters are letters"
    page.get_by_label("Find in id or path").fill("")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('tr.row')")


def test_hostile_names_are_shown_as_they_are_and_saved_so_that_no_spreadsheet_runs_them(
    opened: Opened,
) -> None:
    page = opened.page
    for name in HOSTILE:
        page.get_by_label("Find in id or path").fill(name)
        assert name in opened.ids()
        page.locator("#rows").get_by_role("button").first.click()
        expect(page.locator("tr.details dd").first).to_have_text(name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.get_by_label("Find in id or path").fill("=HYPER")
    page.evaluate(
        "navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }"
    )
    page.locator("#rows").get_by_role("button").first.click()
    page.get_by_role("button", name="Copy id").click()
    assert page.evaluate("window.copied") == "=HYPERLINK(1)"
    expect(page.locator("#said")).to_have_text("Copied.")
    page.get_by_label("Find in id or path").fill("")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == IMAGES
    ids = [row["image_id"] for row in rows]
    assert "'=HYPERLINK(1)" in ids
    assert not [one for one in ids if one.startswith(("=", "+", "-", "@"))]
    assert set(HOSTILE) - set(ids) == {"=HYPERLINK(1)"}
    assert {row["health"] for row in rows} == {"drifted"}


def test_the_original_opens_beside_its_details(opened: Opened) -> None:
    page = opened.page
    page.get_by_label("Find in id or path").fill("ISIC_0000100")
    page.locator("#rows").get_by_role("button").first.click()
    link = page.get_by_role("link", name="Open original")
    assert link.get_attribute("href") == "../../../archive/ISIC_0000100.jpg"
    expect(page.locator("img.original")).to_have_js_property("naturalWidth", 60)


def test_a_phone_and_a_dark_room_and_paper(browser: Browser, made: tuple[Path, MadeUpNight]) -> None:
    opened = Opened(browser, made[0], viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark == "rgb(20, 23, 26)"
    page.locator("#rows").get_by_role("button").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "with details"
    assert page.get_by_role("row").count() >= 50, "a grid is still a table to a screen reader"
    page.set_viewport_size({"width": 800, "height": 1000})
    page.emulate_media(media="print", color_scheme="light")
    expect(page.locator("#controls")).to_be_hidden()
    expect(page.locator("#rows img").first).to_be_visible()
    expect(page.get_by_text("The order is no triage").first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 with its margins
    assert page.evaluate("document.querySelector('#table').scrollWidth") <= 718, "nothing is cut off on paper"
    assert opened.said == []
    page.context.close()


def test_without_javascript_the_first_two_hundred_rows_stand_there(
    browser: Browser, made: tuple[Path, MadeUpNight]
) -> None:
    opened = Opened(browser, made[0], java_script_enabled=False)
    assert opened.ids() == made[1].image_ids[:200]
    expect(opened.page.locator("#controls")).to_be_hidden()
    expect(opened.page.get_by_text("Without JavaScript this page shows the first 200 images.")).to_be_visible()
    opened.page.context.close()


def test_the_page_over_all_nights_leads_to_it(browser: Browser, made: tuple[Path, MadeUpNight]) -> None:
    opened = Opened(browser, made[0].parents[1] / "index.html")
    opened.page.get_by_role("link", name=made[1].run_id).click()
    expect(opened.page.get_by_role("heading", level=1)).to_contain_text("Night of 2026-11-28")
    opened.page.get_by_role("link", name="All nights").click()
    expect(opened.page.get_by_role("heading", level=1)).to_have_text("Nights")
    assert opened.said == []
    opened.page.context.close()


@pytest.mark.drill
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm, which fetches axe-core")
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(
    browser: Browser, made: tuple[Path, MadeUpNight], width: int, scheme: str, tmp_path: Path
) -> None:
    """All of axe's rules, on the page of the night with details open, and on the page over all nights."""
    subprocess.run(["npm", "pack", "axe-core"], cwd=tmp_path, check=True, capture_output=True)
    [package] = tmp_path.glob("axe-core-*.tgz")
    with tarfile.open(package) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        axe = member.read().decode()
    for path in (made[0], made[0].parents[1] / "index.html"):
        viewport = {"width": width, "height": 900}
        opened = Opened(browser, path, viewport=viewport, color_scheme=scheme, bypass_csp=True)
        if path == made[0]:
            opened.page.locator("#rows").get_by_role("button").first.click()
        opened.page.evaluate(f"{axe};0")
        found = opened.page.evaluate("axe.run(document)")
        assert len(found["passes"]) > 20
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
        opened.page.context.close()
