"""Tests of skinml/report/card_items.py and card_performance.py: what the checklists ask for is answered."""

from __future__ import annotations

import re
from typing import Any

import pytest

from skinml.report.card import NOT_REPORTED, Card, Item, check_card, to_html, to_markdown
from skinml.report.card_items import model_card
from tests.unit.report.made_up import PICTURES, fields, measured

ASKED_FOR = (
    # CLEAR Derm: data, technique, assessment, application
    *("Label sources", "Image size", "Skin tone", "Where images were taken", "Unit of the split", "Subgroups"),
    *("Failures", "Images that show no lesion", "Intended use", "Availability"),
    # CLAIM 2024
    *(
        "Source",
        "Exclusions",
        "Missing values",
        "Architecture",
        "Software",
        "Recipe",
        "Calibration",
        "Explanation",
    ),
    *("Sample size", "Limits", "Protocol registration", "Ethical approval and consent"),
    # TRIPOD+AI
    *("Intended users", "Excluded use", "Diagnoses", "Age", "Sex", "Ethnicity", "Output", "Figures"),
    *(
        "Funding and conflicts of interest",
        "Patient and public involvement",
        "Evaluation elsewhere",
        "Monitoring",
    ),
    # the issue's own
    *(
        "Licence of the images",
        "Broken images",
        "Prediction sets",
        "Agreement on lesions photographed more than once",
    ),
)


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return measured(honest=False)


def _items(card: Card) -> dict[str, Item]:
    return {item.name: item for section in card.sections for item in section.items}


def test_every_item_that_the_checklists_ask_for_says_something(figures: dict[str, Any]) -> None:
    card = model_card(fields(), figures, PICTURES)
    check_card(card)
    assert not set(ASKED_FOR) - set(_items(card))


def test_what_nobody_told_is_said_to_be_not_reported(figures: dict[str, Any]) -> None:
    silent = _items(model_card(fields(), figures, PICTURES))
    for name in ("Source", "Licence of the images", "Contact", "Ethnicity"):
        assert list(silent[name].blocks) == [NOT_REPORTED], name
    told = {"data_source": "HAM10000", "data_licence": "CC BY-NC 4.0", "contact": "a@b.c", "ethics": "Vote 1"}
    spoken = _items(model_card(fields(told=told), figures, PICTURES))
    assert list(spoken["Source"].blocks) == ["HAM10000"]
    assert list(spoken["Licence of the images"].blocks) == ["CC BY-NC 4.0"]
    assert list(spoken["Ethical approval and consent"].blocks) == ["Vote 1"]


def test_figures_are_those_of_the_metrics_with_their_intervals(figures: dict[str, Any]) -> None:
    text = to_markdown(model_card(fields(), figures, PICTURES))
    value, (low, high) = figures["metrics"]["balanced_accuracy"], figures["intervals"]["balanced_accuracy"]
    assert f"| balanced accuracy | {value:.3f} ({low:.3f} to {high:.3f}) |" in text
    one, around = figures["metrics"]["per_class"]["mel"], figures["intervals"]["per_class"]["mel"]
    low, high = around["sensitivity"]
    assert f"| mel | {one['images']} | {one['sensitivity']:.3f} ({low:.3f} to {high:.3f}) |" in text
    assert "| sex: unknown |" in text
    assert "| source: made-up &lt;script&gt; |" in text


def test_the_thesis_protocol_says_the_honest_figure_first() -> None:
    found = measured(honest=True)
    found["leakage"] = {"image": 0.55, "lesion": 0.66}
    card = model_card(fields("thesis"), found, PICTURES)
    check_card(card)
    titles = [section.title for section in card.sections]
    honest = titles.index("Performance of the same recipe with whole lesions held out")
    assert honest < titles.index("Performance on the test images")
    text = to_markdown(card)
    assert "55 % were trained on too, and 66 % show a lesion that was" in text
    assert "its test figures do not generalise" in text
    assert "figures/honest/confusion_matrix.png" in text


def test_a_version_from_before_has_a_card_too() -> None:
    """Older metrics.json have no intervals, subgroups or foreign images, older manifests no description."""
    found = measured(honest=False)
    old = {name: found[name] for name in ("metrics", "leakage", "history", "best_epoch", "protocol")}
    plain = fields()
    del plain["dataset"]["description"], plain["architecture"]["licence"]
    card = model_card(plain, old, ())
    check_card(card)
    assert to_html(card).count(NOT_REPORTED) >= 8


def test_pictures_are_those_of_the_bundle(figures: dict[str, Any]) -> None:
    text = to_html(model_card(fields(), figures, PICTURES))
    assert re.findall(r'src="([^"]+)"', text) == ["figures/confusion_matrix.png", "figures/worst_misses.png"]
