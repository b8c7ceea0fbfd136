"""Tests of skinml/images/colour.py: the same colours come out of every profile, and no profile does harm."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from skinml.images.colour import MAX_PROFILE_BYTES, SAME, UNUSABLE, conversion_for
from skinml.images.decode import decode
from tests.conftest import REAL_DATA
from tests.effort import examples
from tests.hostile.make import JPEG, PNG, chunk, picture, save, segment, with_segments
from tests.unit.images.profiles import (
    ADOBE,
    P3,
    SRGB,
    curve_tag,
    from_srgb,
    gamma,
    grey_profile,
    ink_profile,
    profile,
    rgb_profile,
    srgb_curve,
    srgb_inverse,
    to_srgb,
)

LESIONS = sorted((REAL_DATA / "ham10000_600x450").glob("*.jpg"))[::200][:4]
PROFILES = {
    "Display P3": (rgb_profile(P3, srgb_curve), P3, srgb_inverse),
    "Adobe RGB": (rgb_profile(ADOBE, gamma(563 / 256)), ADOBE, gamma(256 / 563)),
}
SRGB_PROFILES = {
    "of lcms": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "of 1024 points": rgb_profile(SRGB, srgb_curve),
    "rounded": rgb_profile(np.round(SRGB, 4), srgb_curve),
}


def skin(width: int = 300, height: int = 225, seed: int = 0) -> NDArray[np.uint8]:
    """Colours of skin and of lesions, which change gently."""
    colours = np.array(
        [[222, 170, 150], [196, 130, 110], [120, 70, 60], [235, 200, 190], [90, 50, 50], [170, 90, 80]]
    )
    coarse = np.random.default_rng(seed).choice(colours, (5, 6)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.abs(one.astype(np.int64) - other)
    return found


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_lesion_in_another_space_comes_out_as_in_srgb(name: str, format_: str) -> None:
    embedded, primaries, inverse = PROFILES[name]
    ways: dict[str, dict[str, Any]] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    options = ways.get(format_, {})
    plain = decode(save(Image.fromarray(skin()), format_, **options), 64)
    other = Image.fromarray(from_srgb(skin(), primaries, inverse))
    data = save(other, format_, icc_profile=embedded, **options)

    converted, stored, exact = decode(data, 64, colour="srgb"), decode(data, 64), decode(data, 64, "exact")
    assert (plain.colour_profile, converted.colour_profile, stored.colour_profile) == (False, True, True)
    assert exact.colour_profile
    assert difference(converted.pixels, plain.pixels).max() <= (3 if format_ == "JPEG" else 2)
    assert np.quantile(difference(converted.pixels, plain.pixels), 0.99) <= 2
    assert difference(stored.pixels, plain.pixels).mean() > 3, "as it was before"
    assert np.array_equal(exact.pixels, np.asarray(Image.open(io.BytesIO(data)).resize((64, 64))))


@pytest.mark.parametrize("path", LESIONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", PROFILES)
def test_real_lesions_come_out_as_in_srgb(name: str, path: Path) -> None:
    embedded, primaries, inverse = PROFILES[name]
    pixels = np.asarray(Image.open(path))
    options = {"quality": 100, "subsampling": 0}
    plain = decode(save(Image.fromarray(pixels), "JPEG", **options), 64, colour="srgb")
    other = save(
        Image.fromarray(from_srgb(pixels, primaries, inverse)), "JPEG", icc_profile=embedded, **options
    )
    found = difference(decode(other, 64, colour="srgb").pixels, plain.pixels)
    assert found.mean() < 0.7
    assert np.quantile(found, 0.99) <= 2
    assert difference(decode(other, 64).pixels, plain.pixels).mean() > 2


@pytest.mark.parametrize("name", PROFILES)
def test_every_colour_is_converted_as_the_formulas_say(name: str) -> None:
    embedded, primaries, _ = PROFILES[name]
    curve = srgb_curve if name == "Display P3" else gamma(563 / 256)
    pixels = np.random.default_rng(0).integers(30, 226, (64, 64, 3), dtype=np.uint8)
    conversion = conversion_for(embedded, "RGB")
    assert conversion is not None
    expected = to_srgb(pixels, primaries, curve)
    inside = (expected > 1).all(axis=2) & (expected < 254).all(axis=2)  # colours that sRGB has
    assert inside.sum() > 500
    assert np.abs(conversion.convert(pixels) - expected)[inside].max() <= 2


@pytest.mark.parametrize("embedded", SRGB_PROFILES.values(), ids=SRGB_PROFILES)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_an_srgb_profile_changes_nothing_and_is_no_flag(embedded: bytes, format_: str) -> None:
    image = Image.fromarray(skin(96, 72))
    plain, marked = save(image, format_), save(image, format_, icc_profile=embedded)
    for mode in ("fast", "exact"):
        found = decode(marked, 32, mode, "srgb" if mode == "fast" else "as_stored")
        assert not found.colour_profile
        assert np.array_equal(found.pixels, decode(plain, 32, mode).pixels)


def test_a_profile_in_several_segments_is_put_together() -> None:
    """In whatever order they come; one that lacks a segment is broken."""
    embedded, primaries, inverse = PROFILES["Adobe RGB"]
    jpeg = save(Image.fromarray(from_srgb(skin(), primaries, inverse)), "JPEG", quality=95)
    cuts = [embedded[start : start + 900] for start in range(0, len(embedded), 900)]
    pieces = [segment(0xE2, b"ICC_PROFILE\0" + bytes((n, len(cuts))) + cut) for n, cut in enumerate(cuts, 1)]
    assert len(pieces) > 2
    whole = decode(with_segments(*pieces, jpeg=jpeg), 32, colour="srgb")
    turned = decode(with_segments(*pieces[::-1], jpeg=jpeg), 32, colour="srgb")
    lacking = decode(with_segments(*pieces[:-1], jpeg=jpeg), 32, colour="srgb")
    stored = decode(jpeg, 32)
    assert np.array_equal(whole.pixels, turned.pixels)
    assert difference(whole.pixels, stored.pixels).mean() > 5
    assert np.array_equal(lacking.pixels, stored.pixels)
    assert lacking.colour_profile


def test_grey_is_converted_by_its_curve() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    expected = np.round(srgb_inverse(gamma(1.8)(np.arange(256) / 255)) * 255)
    for format_ in ("PNG", "TIFF"):
        data = save(Image.fromarray(ramp), format_, icc_profile=grey_profile(gamma(1.8)))
        found = decode(data, 64, colour="srgb")
        small = decode(save(Image.fromarray(ramp), format_), 64).pixels[0, :, 0]
        assert found.colour_profile
        assert np.abs(found.pixels[0, :, 0] - expected[small]).max() <= 2
        assert np.array_equal(found.pixels[..., 0], found.pixels[..., 2])
    same = save(Image.fromarray(ramp), "PNG", icc_profile=grey_profile(srgb_curve))
    assert not decode(same, 64).colour_profile


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_inks_are_converted_by_their_table(format_: str) -> None:
    """Half of cyan takes 15 % of the light, all of black 90 %: in lightness of Lab."""
    for inks, lightness in (((0, 0, 0, 0), 100), ((128, 0, 0, 0), 85), ((0, 0, 0, 255), 10)):
        image = Image.new("CMYK", (64, 48), inks)
        options = {"quality": 100} if format_ == "JPEG" else {}
        found = decode(save(image, format_, icc_profile=ink_profile(), **options), 16, colour="srgb")
        light = ((lightness + 16) / 116) ** 3
        level = float(srgb_inverse(np.array(light if lightness > 8 else lightness / 903.3))) * 255
        assert found.colour_profile
        assert np.abs(found.pixels - level).max() <= 4, inks


def test_what_fills_up_the_block_behind_a_profile_changes_nothing() -> None:
    adobe = PROFILES["Adobe RGB"][0]
    padded, plain = conversion_for(adobe + bytes(3), "RGB"), conversion_for(adobe, "RGB")
    assert padded is not None
    assert padded.transform is not None
    assert padded is plain
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert conversion_for(srgb + bytes(2), "RGB") is None


BROKEN = {
    "empty": b"",
    "no profile": b"no profile" * 100,
    "cut short": PROFILES["Adobe RGB"][0][:-100],
    "of inks": ink_profile(),
    "a link between devices": rgb_profile(ADOBE, gamma(2.2), b"link"),
    "a list of names": rgb_profile(ADOBE, gamma(2.2), b"nmcl"),
    "without curves": profile({}),
    "of Lab": ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    "5 MB": profile({b"junk": bytes(MAX_PROFILE_BYTES + 10**6)}),
    "a million tags": PROFILES["Adobe RGB"][0][:128]
    + struct.pack(">I", 10**6)
    + PROFILES["Adobe RGB"][0][132:],
    "floats without end": profile({b"D2B0": b"mpet" + bytes(10**6)}),
}


@pytest.mark.parametrize("embedded", BROKEN.values(), ids=BROKEN)
def test_a_broken_profile_is_passed_over_and_flagged(embedded: bytes) -> None:
    plain = decode(save(Image.fromarray(skin()), "JPEG"), 32)
    # Pillow writes no profile of no bytes, a chunk of a PNG has one.
    data = save(Image.fromarray(skin()), "JPEG", icc_profile=embedded) if embedded else None
    if data is None:
        data = with_segments(segment(0xE2, b"ICC_PROFILE\0\1\1"), jpeg=save(Image.fromarray(skin()), "JPEG"))
    found = decode(data, 32, colour="srgb")
    assert found.colour_profile
    assert np.array_equal(found.pixels, plain.pixels)


def test_a_profile_that_cannot_be_unpacked_is_flagged() -> None:
    data = PNG[:33] + chunk(b"iCCP", b"x\0\0nothing") + PNG[33:]
    assert decode(data, 32).colour_profile
    assert np.array_equal(decode(data, 32).pixels, decode(PNG, 32).pixels)


def test_a_jpeg_without_a_profile_asks_for_none() -> None:
    assert conversion_for(None, "RGB") is None
    assert not decode(JPEG, 16, colour="srgb").colour_profile
    assert conversion_for(b"", "RGB") is UNUSABLE


def test_the_tolerance_is_far_from_the_nearest_other_space() -> None:
    for embedded, _, _ in PROFILES.values():
        conversion = conversion_for(embedded, "RGB")
        assert conversion is not None
        probe = np.array([[[200, 60, 60], [60, 200, 60]]], dtype=np.uint8)
        assert difference(conversion.convert(probe), probe).max() > 5 * SAME


SEEDS = (
    *(one for one, _, _ in PROFILES.values()),
    ink_profile(),
    grey_profile(gamma(1.8)),
    SRGB_PROFILES["of lcms"],
)


@settings(max_examples=examples(150), derandomize=True)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    st.sampled_from(("RGB", "CMYK", "L")),
)
def test_whatever_is_done_to_a_profile_the_image_is_decoded(
    embedded: bytes, changes: list[tuple[float, int]], mode: str
) -> None:
    mutated = bytearray(embedded)
    for place, value in changes:
        mutated[int(place**2 * len(mutated))] = value  # rather in the header and the table of tags
    started = time.process_time()
    data = save(picture().convert(mode), "JPEG", icc_profile=bytes(mutated))
    found = decode(data, 16, colour="srgb")
    assert found.pixels.shape == (16, 16, 3)
    assert time.process_time() - started < 2


def test_curves_are_tabulated_as_they_are() -> None:
    """Of the profiles that these tests make: the reference and what lcms reads are one."""
    points = np.frombuffer(curve_tag(srgb_curve)[12:], ">u2")
    assert np.abs(points / 65535 - srgb_curve(np.linspace(0, 1, 1024))).max() < 1e-4
