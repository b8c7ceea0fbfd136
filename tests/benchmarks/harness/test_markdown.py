"""A benchmark writes between its own markers and leaves the rest of a document alone."""

from __future__ import annotations

import pytest

from benchmarks.harness import markdown

TEXT = "top\n<!-- prepare -->\nold\n<!-- /prepare -->\n<!-- score -->\nkept\n<!-- /score -->\n"


def test_rendering_leaves_the_rest_of_the_document_alone() -> None:
    after = markdown.put_between(TEXT, "prepare", "new")
    assert after == TEXT.replace("old", "new")
    with pytest.raises(ValueError, match="score"):
        markdown.put_between("no markers", "score", "new")


def test_an_emptied_document_keeps_its_prose_and_markers() -> None:
    assert markdown.emptied(TEXT) == TEXT.replace("old\n", "").replace("kept\n", "")
    assert markdown.emptied("prose") == "prose"
