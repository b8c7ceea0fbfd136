"""The hostile corpus: files that are broken, huge, mislabelled or merely odd, made anew for every test run."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from tests.hostile.broken import bombs, broken_headers, cut_short, missing_inside, no_images
from tests.hostile.content import Content
from tests.hostile.odd import metadata, odd_jpegs, odd_others, odd_pngs, odd_tiffs

MAKERS = (
    *(cut_short, missing_inside, bombs, no_images, broken_headers),
    *(odd_jpegs, odd_pngs, odd_tiffs, odd_others, metadata),
)


@cache
def contents() -> tuple[Content, ...]:
    """Everything that a file can hold, under names of which no two have the same stem: it is the image_id."""
    found = [content for make in MAKERS for content in make()]
    return tuple(
        replace(content, name=f"{content.name.rpartition('.')[2]} {content.name}") for content in found
    )
