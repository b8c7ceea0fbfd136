"""The verb explore: one page that needs nothing else, and its figures, whatever the samples are like."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib import rc_context
from PIL import Image

from skinml.exploration.chart import as_png_and_svg
from skinml.exploration.charts import draw_lesions
from skinml.exploration.page import draw_charts
from skinml.exploration.summary import summarise
from tests.command import CommandLine
from tests.conftest import HOSTILE_NAME
from tests.unit.exploration.made import make_workspace, sample, samples_of
from tests.unit.exploration.test_choose import HEAD, ranked

CHARTS = ["panels", "lesions", "missing", "sources", "sizes", "quality"]
FIGURES = [*CHARTS, "examples", "duplicates", "suspicious"]


def made(folder: Path) -> list[dict[str, Any]]:
    """Samples with all that a page can show: a pair, a hostile name, a blank age, an image that is gone."""
    rows = samples_of(folder, 40)
    hostile = {"image_id": HOSTILE_NAME, "localization": "$\\alpha$ <b>", "dx": "df"}
    hostile |= {"phash": rows[31]["phash"], "lesion_id": "HAM_two"}
    rows.append(sample(folder / "hostile" / "x.jpg", 41, **hostile))
    rows[3] |= {"age": None, "source": None}
    (folder / "ISIC_0000010.jpg").unlink()
    return rows


def test_the_page_shows_everything_and_needs_nothing(skinml: CommandLine, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "workspace", made(tmp_path / "images"))
    ranked(workspace, 1, HEAD + "HAM_0000005,df,mel,-0.5,0.2,0.7,2,ISIC_0000010 ISIC_0000011,histo,True\n")
    result = skinml("--workspace", workspace, "explore").result
    folder = tmp_path / "workspace" / "explore"
    assert result["files"] == [
        str(folder / "index.html"),
        *(str(folder / "skinml-figures" / f"{name}.{kind}") for name in FIGURES for kind in ("png", "svg")),
    ]
    assert (result["images"], result["near_duplicate_pairs"], result["suspicious_labels"]) == (41, 1, 1)
    assert result["cannot_be_read"] >= 1

    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "default-src 'none'; img-src data:" in page
    assert "<script" not in page.lower()
    assert not re.search(r'(?:src|href)="(?!data:image/|#|skinml-figures/)', page)
    assert not re.search(r"https?://", page)
    assert HOSTILE_NAME not in page
    assert "<b>" not in page
    assert page.count("Research use only: skinml is not a medical device.") >= 2
    texts = re.findall(r'<img[^>]* alt="([^"]+)"', page)
    assert len(texts) == len(re.findall("<img", page)), "every picture has a text"
    assert any("nv 5 (12 %)" in text for text in texts), "with the numbers"
    assert "cannot be read now" in page
    assert "df, or mel?" in page
    for link in re.findall(r'href="(skinml-figures/[^"]+)"', page):
        assert (folder / link).exists()
    for name in FIGURES:
        with Image.open(folder / "skinml-figures" / f"{name}.png") as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 20
        root = ET.parse(folder / "skinml-figures" / f"{name}.svg").getroot()  # noqa: S314 - our own
        assert root.tag.endswith("svg")


def test_one_image_of_one_diagnosis_that_is_gone_is_a_page_too(skinml: CommandLine, tmp_path: Path) -> None:
    blank = dict.fromkeys(("age", "sex", "source", "phash", "dx_type"))
    [row] = samples_of(tmp_path / "images", 1, dx="mel", **blank)
    (tmp_path / "images" / "ISIC_0000000.jpg").unlink()
    workspace = make_workspace(tmp_path / "workspace", [row])
    out = tmp_path / "page"
    result = skinml("--workspace", workspace, "explore", "--out", out).result
    assert (result["images"], result["lesions"], result["cannot_be_read"]) == (1, 1, 1)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "No image is labelled akiec, bcc, bkl, df, nv, vasc" in page
    assert page.count("There is no image of this diagnosis.") == 6
    assert "Nobody has looked for wrong labels yet. Run skinml mislabelled" in page
    assert "no image has one (1 are blank)" in page
    assert not (out / "skinml-figures" / "suspicious.png").exists(), "no figure without anything in it"


def test_wrong_requests_are_refused_and_nothing_is_written(skinml: CommandLine, tmp_path: Path) -> None:
    empty = make_workspace(tmp_path / "empty", [])
    assert (
        "no samples yet; run skinml prepare first" in skinml("--workspace", empty, "explore", expect=2).stderr
    )
    assert not (tmp_path / "empty" / "explore").exists()
    workspace = make_workspace(tmp_path / "workspace", samples_of(tmp_path / "images", 1))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.docx").touch()
    refused = skinml("--workspace", workspace, "explore", "--out", tmp_path / "mine", expect=2)
    assert "has other files in it, such as thesis.docx" in refused.stderr
    nothing = skinml("--workspace", tmp_path / "nowhere", "explore", expect=2)
    assert "nothing has run there yet" in nothing.stderr


@pytest.fixture(scope="module")
def summary_rows(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    rows = pd.DataFrame(samples_of(tmp_path_factory.mktemp("images"), 60))
    rows["localization"] = [f"a very long name of a body site, number {number % 30}" for number in range(60)]
    rows["source"] = [f"clinic of a very long name {number % 25}" for number in range(60)]
    rows["width"] = [600 + number % 20 for number in range(60)]
    return rows


def test_the_same_samples_give_the_same_bytes(summary_rows: pd.DataFrame) -> None:
    first, again = (as_png_and_svg(draw_lesions(summarise(summary_rows)).figure) for _ in range(2))
    assert first == again


def test_no_word_of_a_figure_is_cut_off(summary_rows: pd.DataFrame) -> None:
    with rc_context({"text.parse_math": False}):
        for chart in draw_charts(summarise(summary_rows)):
            chart.figure.canvas.draw()
            page = chart.figure.bbox
            for axes in chart.figure.axes:
                legend = axes.get_legend()
                texts = [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title, *axes.get_yticklabels()]
                for text in (*texts, *(legend.get_texts() if legend else [])):
                    box = text.get_window_extent()
                    said = text.get_text()
                    assert not said or box.width == 0 or (box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1), said
                if legend is not None:
                    assert not legend.get_window_extent().overlaps(axes.bbox), "a legend hides nothing"
