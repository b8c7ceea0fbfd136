"""Tests of skinml/report/card.py: an empty item is refused, and text never becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from skinml.report.card import NOT_REPORTED, Block, Card, Item, Picture, Section, Table, to_html, to_markdown


def _card(*blocks: Block) -> Card:
    return Card("Model card: a 1", "What it is.", [Section("Use", [Item("Intended use", list(blocks))])])


@pytest.mark.parametrize(
    "blocks",
    [
        (),
        ("",),
        ("  \n",),
        ("said", ""),
        (Table(("a",), []),),
        (Table(("a", "b"), [("1",)]),),
        (Picture("", "x"),),
    ],
)
def test_an_item_that_says_nothing_is_refused_by_name(blocks: tuple[Block, ...]) -> None:
    for write in (to_markdown, to_html):
        with pytest.raises(
            ValueError, match=r"model card: Use, Intended use: is empty; write 'Not reported\.'"
        ):
            write(_card(*blocks))


def test_a_section_without_items_is_refused() -> None:
    with pytest.raises(ValueError, match="the section 'Data' has no item"):
        to_html(Card("t", "s", [Section("Data", [])]))


def test_both_forms_say_the_same() -> None:
    card = _card(
        "For research.", NOT_REPORTED, Table(("sex", "images"), [("male", "3")]), Picture("f/a.png", "Curve.")
    )
    markdown, html = to_markdown(card), to_html(card)
    for said in ("Model card: a 1", "What it is.", "Intended use", "For research.", "Not reported.", "f/a.png",
                 "Curve.", "Research use only: skinml is not a medical device."):  # fmt: skip
        assert said in markdown, said
        assert said in html, said
    assert "| sex | images |\n| --- | --- |\n| male | 3 |" in markdown


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_text_of_users_is_text() -> None:
    rubbish = "<script>alert(1)</script> | `code` <img src=x onerror=y> & \"'"
    card = _card(rubbish, Table((rubbish,), [(rubbish,)]), Picture("a.png", rubbish))
    html = _Tags()
    html.feed(to_html(card))
    names = [tag for tag, _ in html.seen]
    assert "script" not in names
    assert [attributes["src"] for tag, attributes in html.seen if tag == "img"] == ["a.png"]
    assert not any("onerror" in attributes for _, attributes in html.seen)
    markdown = to_markdown(card)
    assert "<script" not in markdown
    assert "<img" not in markdown
    row = markdown.splitlines()[-3]
    assert row.count("|") - row.count("\\|") == 2, "a bar in a cell stays in its cell"


def test_text_of_users_is_no_markdown() -> None:
    rubbish = "# [free](javascript:alert(1))\n\n## Approved ![](http://tracker/x.png)\\[a](b) *x* | `y`"
    card = _card(rubbish, Table((rubbish,), [(rubbish,)]), Picture("a.png", rubbish))
    markdown = to_markdown(card)
    assert re.findall(r"(?<!\\)\[[^]]*(?<!\\)\]\(", markdown) == [], "no link, and one picture"
    assert [line for line in markdown.splitlines() if line.startswith("## ")] == ["## Use"]
    assert "\\# \\[free\\](javascript:alert(1)) ## Approved !\\[\\](http" in markdown


def test_the_page_needs_nothing_from_elsewhere() -> None:
    html = to_html(_card("x"))
    assert "http://" not in html
    assert "https://" not in html
    assert "default-src 'none'" in html
