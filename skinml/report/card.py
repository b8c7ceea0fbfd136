"""A model card as Markdown and as one HTML page, from sections whose items all say something.

What stands in it is decided in `card_items`. Here it is checked that no item is empty, and written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skinml import DISCLAIMER
from skinml.report.html import render

TEMPLATE = Path(__file__).with_name("templates") / "card.html"

NOT_REPORTED = "Not reported."
"""What an item says if nobody told skinml. An empty item would leave open whether it was forgotten."""


@dataclass(frozen=True)
class Table:
    """A table of texts: a head, and rows that are as long."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A picture beside the card: its path relative to the card, and what it shows."""

    file: str
    caption: str


_MARKS = re.compile(r"[\\\[\]*]|^[#+-]")
"""What Markdown reads as markup, also at the start of a paragraph."""

Block = str | Table | Picture
"""A paragraph, a table or a picture."""


@dataclass(frozen=True)
class Item:
    """One thing that a reader of models asks for, and the answer."""

    name: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Section:
    """Items under one heading."""

    title: str
    items: Sequence[Item]


@dataclass(frozen=True)
class Card:
    """A model card."""

    title: str
    summary: str
    sections: Sequence[Section]


def check_card(card: Card) -> None:
    """Refuse a card with an item that says nothing.

    Raises:
        ValueError: an item has no block, or a blank paragraph, or a table without rows; it is named.

    """
    for section in card.sections:
        if not section.items:
            raise ValueError(f"model card: the section {section.title!r} has no item")
        for item in section.items:
            if not item.blocks or not all(map(_says_something, item.blocks)):
                raise ValueError(
                    f"model card: {section.title}, {item.name}: is empty; write {NOT_REPORTED!r} if unknown"
                )


def _says_something(block: Block) -> bool:
    if isinstance(block, str):
        return bool(block.strip())
    if isinstance(block, Picture):
        return bool(block.file and block.caption.strip())
    return bool(block.rows) and all(len(row) == len(block.head) for row in block.rows)


def to_markdown(card: Card) -> str:
    """The card as Markdown. Raises ValueError as `check_card`."""
    check_card(card)
    lines = [f"# {card.title}", f"**{DISCLAIMER}**", _escaped(card.summary)]
    for section in card.sections:
        lines.append(f"## {section.title}")
        for item in section.items:
            lines.append(f"### {item.name}")
            lines += [text for block in item.blocks for text in _markdown(block)]
    return "\n\n".join(lines) + "\n"


def _markdown(block: Block) -> Iterator[str]:
    if isinstance(block, str):
        yield _escaped(block)
    elif isinstance(block, Picture):
        yield f"![{_escaped(block.caption)}]({block.file})"
    else:
        head, *rows = ([_cell(cell) for cell in row] for row in (block.head, *block.rows))
        rows = [head, ["---"] * len(head), *rows]
        yield "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(text: str) -> str:
    return _escaped(text).replace("\n", " ").replace("|", "\\|")


def _escaped(text: str) -> str:
    """Text from metadata or flags must not become markup: HTML, a link, a picture from elsewhere, a heading."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")
    return _MARKS.sub(r"\\\g<0>", " ".join(plain.split()))


def to_html(card: Card) -> str:
    """The card as one HTML page: style inline, no script, pictures as links beside it.

    Raises:
        ValueError: as `check_card`.

    """
    check_card(card)
    kinds: dict[str, Any] = {
        "is_text": lambda block: isinstance(block, str),
        "is_table": lambda block: isinstance(block, Table),
    }
    return render(TEMPLATE, card=card, disclaimer=DISCLAIMER, **kinds)
