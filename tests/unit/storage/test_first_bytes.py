"""Tests of skinml/storage/first_bytes.py: what an image begins with, and what is looked at."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from skinml.storage.first_bytes import LENGTH, are_an_image, read_first


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "JPEG2000", "AVIF"])
def test_what_pillow_writes_is_an_image(form: str) -> None:
    buffer = io.BytesIO()
    try:
        Image.new("RGB", (8, 8), "red").save(buffer, form)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {form}")
    assert are_an_image(buffer.getvalue()[:LENGTH])
    assert not are_an_image(b"x" + buffer.getvalue()[:LENGTH])


def test_formats_that_pillow_does_not_write() -> None:
    assert are_an_image(bytes(128) + b"DICM")
    assert are_an_image(b"\0\0\0\x18ftypheic")
    assert are_an_image(b"\0\0\0\x0cJXL \r\n\x87\n")
    for other in (
        b"",
        b"\xff",
        b"BM is how this text begins",
        b"\0\0\0\x18ftypisom",
        b"RIFF\0\0\0\0WAVE",
        b"%PDF",
    ):
        assert not are_an_image(other)


def test_only_a_plain_file_is_read_and_no_more_than_is_needed(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"x" * 1_000)
    (tmp_path / "link").symlink_to("plain")
    os.mkfifo(tmp_path / "pipe")
    assert read_first(f"{tmp_path}/plain") == b"x" * LENGTH
    for name in ("link", "pipe", "nothing", "."):
        assert read_first(f"{tmp_path}/{name}") == b""
