"""Hostile bytes through decode(): the corpus file by file, and what hypothesis makes of sound files."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from skinml.errors import ImageRejected, Reason
from skinml.images.budget import MAX_BYTES, MAX_PIXELS
from skinml.images.choices import DecodeMode
from skinml.images.decode import Decoded, decode
from tests.effort import examples
from tests.hostile import contents
from tests.hostile.content import DECODED, Content
from tests.hostile.make import ORIENTED, PATIENT, WHOLE, exif, picture, save, tiled_tiff, with_segments

MODES: tuple[DecodeMode, ...] = ("fast", "exact")
SIZE = 16
SECONDS = 10.0
"""The most CPU time that one file may take."""

CORPUS = [pytest.param(content, id=content.name) for content in contents()]


def peak_bytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def outcome(data: bytes, mode: DecodeMode) -> Decoded | ImageRejected:
    """The image or its rejection, each as it must be. Any other exception fails the test."""
    started, peak = time.process_time(), peak_bytes()
    found: Decoded | ImageRejected
    try:
        found = decode(data, SIZE, mode)
    except ImageRejected as rejection:
        found = rejection
    assert time.process_time() - started < SECONDS
    assert peak_bytes() - peak < MAX_BYTES
    if isinstance(found, ImageRejected):
        assert isinstance(found.reason, Reason)
        assert 0 < len(found.detail) <= 400
    else:
        assert found.pixels.shape == (SIZE, SIZE, 3)
        assert found.pixels.dtype == np.uint8
        assert min(found.width, found.height) > 0
        assert found.width * found.height <= MAX_PIXELS
    return found


def likeness(pixels: NDArray[np.uint8]) -> float:
    """How well the luminance follows the corpus's picture, 1 at best, whichever way it was turned."""
    light = np.asarray(Image.fromarray(pixels).convert("L")).ravel()
    square = picture().resize((SIZE, SIZE)).convert("L")
    views = [square, *(square.transpose(way) for way in Image.Transpose)]
    if light.std() == 0:
        return 0.0
    return max(float(np.corrcoef(light, np.asarray(view).ravel())[0, 1]) for view in views)


@pytest.mark.parametrize("content", CORPUS)
def test_a_hostile_file_has_one_right_outcome_in_both_modes(content: Content) -> None:
    words = set()
    for mode in MODES:
        found = outcome(content.data, mode)
        if isinstance(found, ImageRejected):
            words.add(found.reason.value)
            assert not any(part in found.detail for part in PATIENT.split()), "EXIF is quoted"
            continue
        words.add(DECODED)
        if content.size is not None:
            assert (found.width, found.height) == content.size
        if content.size in ((48, 36), (36, 48)):
            assert likeness(found.pixels) > 0.85, "other pixels than the file has"
    assert words <= {*content.right}
    assert len(words) == 1, "the modes disagree"


def test_the_corpus_is_large_and_every_name_in_it_is_another_image() -> None:
    stems = {content.name.rpartition(".")[0] for content in contents()}
    assert len(stems) == len(contents()) >= 200
    assert {word for content in contents() for word in content.right} == {
        *(DECODED, "empty", "truncated", "not_an_image", "unsupported_format", "too_large", "decode_error")
    }


# Mutations

BASELINE = {
    "jpeg": WHOLE["jpeg"],
    "grey": save(picture().convert("L"), "JPEG"),
    "cmyk": save(picture().convert("CMYK"), "JPEG"),
    "restarts": save(picture(), "JPEG", restart_marker_blocks=1),
}
"""JPEGs of one scan: where it ends early, pixels are missing."""

SEEDS: tuple[bytes, ...] = (
    *WHOLE.values(),
    *BASELINE.values(),
    with_segments(exif(ORIENTED)),
    save(picture(), "MPO", save_all=True, append_images=[picture(seed=1)]),
    save(picture().quantize(8), "PNG", transparency=1),
    save(picture(), "PNG", save_all=True, append_images=[picture(seed=1)]),
    save(picture().convert("RGBA"), "TIFF", compression="tiff_lzw"),
    save(picture(), "TIFF", compression="jpeg"),
    tiled_tiff(16, b""),
    save(picture(), "WEBP", save_all=True, append_images=[picture(seed=1)]),
    save(picture().quantize(8), "BMP"),
)

LENGTHS = (0, 1, 255, 7_000, 65_535, 2**31 - 1, 2**31, 2**32 - 1)
Change = Callable[[bytes], bytes]

# Headers are short and pixels long: half of the changes shall hit the headers.
places = st.one_of(st.integers(0, 200), st.floats(0, 1, exclude_max=True))


def at(place: float, data: bytes) -> int:
    """A place as an offset: of the beginning where it is a whole number, else a fraction of the file."""
    offset = place if isinstance(place, int) else int(place * len(data))
    return min(int(offset), len(data) - 1)


def flip(place: float, bit: int) -> Change:
    def change(data: bytes) -> bytes:
        offset = at(place, data)
        return data[:offset] + bytes([data[offset] ^ 1 << bit]) + data[offset + 1 :]

    return change


def delete(place: float, length: int) -> Change:
    return lambda data: data[: at(place, data)] + data[at(place, data) + length :]


def repeat(place: float, length: int, times: int) -> Change:
    return lambda data: data[: at(place, data) + length] + data[at(place, data) :] * times


def splice(place: float, other: bytes, where: float) -> Change:
    return lambda data: data[: at(place, data)] + other[at(where, other) :]


def cut(place: float) -> Change:
    return lambda data: data[: at(place, data)]


def put(place: float, number: int, width: int, order: bytes, *, over: bool) -> Change:
    written = (number % 256**width).to_bytes(width, "little" if order == b"<" else "big")
    return lambda data: data[: at(place, data)] + written + data[at(place, data) + width * over :]


changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(flip, places, st.integers(0, 7)),
    st.builds(delete, places, st.integers(1, 64)),
    st.builds(repeat, places, st.integers(1, 64), st.integers(1, 3)),
    st.builds(splice, places, st.sampled_from(SEEDS), places),
    st.builds(cut, places),
    st.builds(
        put,
        places,
        st.sampled_from(LENGTHS),
        st.sampled_from((1, 2, 4)),
        st.sampled_from((b"<", b">")),
        over=st.booleans(),
    ),
)


@settings(max_examples=examples(1_500), derandomize=True, deadline=None)
@given(st.sampled_from(SEEDS), st.lists(changes, min_size=1, max_size=4))
def test_whatever_is_done_to_a_file_it_is_decoded_or_rejected(data: bytes, several: list[Change]) -> None:
    for change in several:
        data = change(data) or b"\0"
    for mode in MODES:
        outcome(data, mode)


@settings(max_examples=examples(600), derandomize=True, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), places, st.binary(max_size=3))
def test_a_file_that_ends_early_is_whole_in_pixels_where_it_is_accepted(
    kind: str, place: float, tail: bytes
) -> None:
    """Such as a PNG without its end chunk. Never are missing pixels grey or black."""
    cut_short = WHOLE[kind][: at(place, WHOLE[kind])] + tail
    assume(len(cut_short) < len(WHOLE[kind]))  # other bytes at the end are other pixels
    for mode in MODES:
        found = outcome(cut_short, mode)
        if isinstance(found, Decoded):
            assert np.array_equal(found.pixels, decode(WHOLE[kind], SIZE, mode).pixels)


@settings(max_examples=examples(200), derandomize=True, deadline=None)
@given(st.sampled_from(("jpeg", "grey", "cmyk", "restarts")), st.floats(0, 1))
def test_a_jpeg_that_was_cut_and_given_an_end_is_truncated(kind: str, place: float) -> None:
    """Some programs mend a file so: what is missing would be grey."""
    whole = BASELINE[kind]
    start = whole.index(b"\xff\xda") + 14
    cut_short = whole[: start + int(place * (len(whole) - start))] + b"\xff\xd9"
    for mode in MODES:
        found = outcome(cut_short, mode)
        if isinstance(found, Decoded):
            assert np.array_equal(found.pixels, decode(whole, SIZE, mode).pixels)
        else:
            assert found.reason == Reason.TRUNCATED
