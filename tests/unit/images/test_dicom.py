"""Tests of DICOM: pixels as in any other format, reasons for what is none, and nothing of the patient."""

from __future__ import annotations

import io
import logging
import random
import struct
import zlib
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from PIL import Image, ImageCms
from pydicom import uid
from pydicom.data import get_testdata_file

from skinml.errors import ImageRejected, Reason
from skinml.images import dicom
from skinml.images.decode import decode
from skinml.storage import suffixes
from tests.unit.images.dicoms import (
    CT,
    PATIENT,
    compressed,
    dataset,
    deep,
    file,
    jpeg,
    native,
    photograph,
    wrapped,
)
from tests.unit.images.profiles import P3, rgb_profile, srgb_curve

PIXELS = photograph()
GREY = PIXELS[..., 1].copy()
SIZE = 32


def as_png(pixels: np.ndarray, **more: object) -> bytes:
    with io.BytesIO() as made:
        Image.fromarray(pixels).save(made, "PNG", **more)
        return made.getvalue()


def refusal(data: bytes) -> tuple[Reason, str]:
    with pytest.raises(ImageRejected) as refused:
        decode(data, SIZE)
    assert PATIENT not in refused.value.detail
    assert "Zebedee" not in str(refused.value)
    return refused.value.reason, refused.value.detail


WHOLE = {
    "implicit": native(PIXELS, syntax=uid.ImplicitVRLittleEndian),
    "explicit": native(PIXELS),
    "big-endian": native(PIXELS, syntax=uid.ExplicitVRBigEndian),
    "deflated": native(PIXELS, syntax=uid.DeflatedExplicitVRLittleEndian),
    "RLE": compressed(PIXELS, uid.RLELossless),
    "JPEG 2000": compressed(PIXELS, uid.JPEG2000Lossless),
    "by plane": file(
        dataset(PIXELS, PlanarConfiguration=1), np.ascontiguousarray(PIXELS.transpose(2, 0, 1)).tobytes()
    ),
    "16 bits, of which 12 are used": native((PIXELS.astype(np.uint16) << 4) + 7, BitsStored=12, HighBit=11),
    "16 bits": native(PIXELS.astype(np.uint16) << 8),
}


@pytest.mark.parametrize("mode", ["fast", "exact"])
@pytest.mark.parametrize("name", WHOLE)
def test_the_pixels_are_those_of_a_png(name: str, mode: str) -> None:
    found = decode(WHOLE[name], SIZE, mode)  # type: ignore[arg-type]
    expected = decode(as_png(PIXELS), SIZE, mode)  # type: ignore[arg-type]
    assert np.array_equal(found.pixels, expected.pixels)
    assert (found.width, found.height, found.colour_profile) == (96, 72, False)


@pytest.mark.parametrize("mode", ["fast", "exact"])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jpeg_in_a_dicom_is_the_jpeg(mode: str, subsampling: int) -> None:
    plain = jpeg(PIXELS, subsampling=subsampling)
    expected = decode(plain, SIZE, mode).pixels  # type: ignore[arg-type]
    for photometric in ("YBR_FULL_422", "YBR_FULL", "RGB"):  # JFIF is YCbCr, whatever a writer says beside it
        assert np.array_equal(decode(wrapped(plain, photometric), SIZE, mode).pixels, expected)  # type: ignore[arg-type]
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = jpeg(PIXELS, subsampling=subsampling, exif=exif)
    assert not np.array_equal(decode(turned, SIZE, mode).pixels, expected)  # type: ignore[arg-type]
    assert np.array_equal(decode(wrapped(turned), SIZE, mode).pixels, expected), "viewers ignore EXIF"  # type: ignore[arg-type]


def test_a_jpeg_that_does_not_say_its_colours_has_those_of_the_dicom() -> None:
    rgb = io.BytesIO()
    Image.fromarray(PIXELS).save(rgb, "JPEG", quality=95, keep_rgb=True)
    data = rgb.getvalue()
    start = data.index(b"\xff\xdb")
    bare = data[:2] + data[start:]  # no JFIF, no Adobe
    frame = bare.index(b"\xff\xc0")
    ids = bytearray(bare)
    scan = bare.index(b"\xff\xda")
    for number in range(3):  # 1, 2, 3 instead of R, G, B: libjpeg would take them for YCbCr
        ids[frame + 10 + 3 * number] = ids[scan + 5 + 2 * number] = number + 1
    found = decode(wrapped(bytes(ids), "RGB"), SIZE, "exact").pixels.astype(int)
    assert np.abs(found - decode(as_png(PIXELS), SIZE, "exact").pixels).max() < 12
    other = decode(wrapped(bytes(ids), "YBR_FULL"), SIZE, "exact").pixels.astype(int)
    assert np.abs(other - found).max() > 50


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless])
def test_ybr_full_becomes_rgb(syntax: str) -> None:
    ybr = np.asarray(Image.fromarray(PIXELS).convert("YCbCr"))
    plain = (
        native(ybr, "YBR_FULL") if syntax == uid.ExplicitVRLittleEndian else compressed(ybr, syntax, "YBR_FULL")
    )
    found = decode(plain, SIZE, "exact").pixels.astype(int)
    assert np.abs(found - decode(as_png(PIXELS), SIZE, "exact").pixels).max() <= 4


def test_grey_is_grey_and_monochrome1_is_its_negative() -> None:
    expected = decode(as_png(GREY), SIZE, "exact").pixels
    assert np.array_equal(decode(native(GREY, "MONOCHROME2"), SIZE, "exact").pixels, expected)
    for negative in (native(255 - GREY, "MONOCHROME1"), wrapped(jpeg(255 - GREY, 100), "MONOCHROME1")):
        assert np.abs(decode(negative, SIZE, "exact").pixels.astype(int) - expected).max() <= 2


def test_grey_of_more_bits_is_shown_through_its_window() -> None:
    raw = GREY.astype(np.uint16) * 4 + 1000  # 1000 to 2020 of 65,535
    windowed = native(raw, "MONOCHROME2", WindowCenter=1510, WindowWidth=1021)
    found = decode(windowed, SIZE, "exact").pixels.astype(int)
    assert np.abs(found - decode(as_png(GREY), SIZE, "exact").pixels).max() <= 2
    signed = native((GREY.astype(np.int16) - 128) * 256, "MONOCHROME2", PixelRepresentation=1)
    found = decode(signed, SIZE, "exact").pixels.astype(int)
    assert np.abs(found - decode(as_png(GREY), SIZE, "exact").pixels).max() <= 2


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_is_looked_up(bits: int) -> None:
    palette = np.random.default_rng(3).integers(0, 256, (256, 3), dtype=np.uint8)
    more: dict[str, Any] = {}
    for number, colour in enumerate(("Red", "Green", "Blue")):
        values = palette[:, number].astype(np.uint16) << (8 if bits == 16 else 0)
        more[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        more[f"{colour}PaletteColorLookupTableData"] = (values if bits == 16 else palette[:, number]).tobytes()
    found = decode(native(GREY, "PALETTE COLOR", **more), SIZE, "exact").pixels
    assert np.array_equal(found, decode(as_png(palette[GREY]), SIZE, "exact").pixels)
    assert refusal(native(GREY, "PALETTE COLOR"))[0] is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("name", ["native", "JPEG"])
def test_the_colour_profile_of_the_dicom_counts(name: str) -> None:
    profile = rgb_profile(P3, srgb_curve)
    data = (
        native(PIXELS, ICCProfile=profile)
        if name == "native"
        else wrapped(jpeg(PIXELS, 100), ICCProfile=profile)
    )
    plain = as_png(PIXELS, icc_profile=profile) if name == "native" else jpeg(PIXELS, 100, icc_profile=profile)
    found, expected = (decode(one, SIZE, "exact", "srgb") for one in (data, plain))
    assert found.colour_profile
    assert np.array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "SC_rgb_dcmtk_+eb+cr.dcm",
            "SC_rgb_dcmtk_+eb+cy+s4.dcm",
            "SC_rgb_jpeg_gdcm.dcm",
            "SC_rgb_gdcm_KY.dcm",
        ),
        *("SC_rgb_jls_lossy_line.dcm", "SC_jpeg_no_color_transform_2.dcm", "SC_rgb_jpeg_app14_dcmd.dcm"),
        *("SC_rgb_small_odd_big_endian.dcm", "SC_ybr_full_422_uncompressed.dcm", "GDCMJ2K_TextGBR.dcm"),
        *("SC_rgb_jpeg_lossy_gdcm.dcm", "SC_rgb_rle.dcm"),
    ],
)
def test_files_of_other_programs_are_as_pydicom_reads_them(name: str) -> None:
    """JPEG, JPEG lossless (both kinds), JPEG-LS, JPEG 2000, RLE and plain, written by dcmtk and gdcm."""
    from pydicom.pixels.utils import pixel_array

    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    expected = Image.fromarray(pixel_array(path, index=0)).resize((SIZE, SIZE))
    with open(path, "rb") as opened:  # noqa: PTH123
        found = decode(opened.read(), SIZE, "exact").pixels
    assert np.abs(found.astype(int) - np.asarray(expected)).max() <= 1


def deflated(zeros: int) -> bytes:
    made = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return made.compress(bytes(zeros)) + made.flush()


REFUSED = {
    "another modality": (
        native(GREY, "MONOCHROME2", SOPClassUID=CT),
        Reason.UNSUPPORTED_FORMAT,
        "only photographs",
    ),
    "a slide": (
        native(PIXELS, SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6"),
        Reason.UNSUPPORTED_FORMAT,
        "only photographs",
    ),
    "frames": (native(PIXELS, NumberOfFrames=2), Reason.UNSUPPORTED_FORMAT, "DICOM of 2 frames"),
    "a video": (
        file(dataset(PIXELS, NumberOfFrames=1), b"\0" * 100, uid.MPEG2MPML),
        Reason.DECODE_ERROR,
        "its codestream is unknown",
    ),
    "HSV": (native(PIXELS, "HSV"), Reason.UNSUPPORTED_FORMAT, "photometric interpretation"),
    "a name as interpretation": (native(PIXELS, PATIENT[:16]), Reason.UNSUPPORTED_FORMAT, "photometric"),
    "no rows": (native(PIXELS, Rows=0), Reason.DECODE_ERROR, "96 x 0 px"),
    "many rows": (native(PIXELS, Rows=60_000, Columns=60_000), Reason.TOO_LARGE, "60000 x 60000 px"),
    "more rows than pixels": (native(PIXELS, Rows=73), Reason.TRUNCATED, "ends before its pixels"),
    "an inflated bomb": (
        WHOLE["deflated"][: WHOLE["deflated"].index(b"1.2.840.10008.1.2.1.99") + 22] + deflated(80_000_000),
        Reason.TOO_LARGE,
        "when inflated",
    ),
    "endless sequences": (deep(60_000), Reason.TOO_LARGE, "the limit is 100,000"),
    "a sequence that does not end": (deep(10), Reason.TRUNCATED, "ends before its pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_why(name: str) -> None:
    data, reason, words = REFUSED[name]
    found, detail = refusal(data)
    assert (found, words in detail) == (reason, True), detail


def test_a_codestream_larger_than_the_dicom_says_is_not_unpacked() -> None:
    data = bytearray(WHOLE["JPEG 2000"])
    size = data.index(b"\xff\x4f\xff\x51") + 8
    data[size : size + 8] = struct.pack(">II", 60_000, 60_000)
    reason, detail = refusal(bytes(data))
    assert (reason, "its codestream has 60000 x 60000 px" in detail) == (Reason.DECODE_ERROR, True)


@pytest.mark.parametrize("name", ["explicit", "implicit", "deflated", "JPEG 2000", "RLE", "JPEG"])
def test_a_file_that_ends_early_is_truncated_wherever_it_ends(name: str) -> None:
    data = wrapped(jpeg(PIXELS)) if name == "JPEG" else WHOLE[name]
    for length in {134, 200, 420, 600, len(data) // 2, len(data) - 400}:
        reason, detail = refusal(data[:length])
        by_codec = name in (
            "JPEG 2000",
            "RLE",
        )  # which may say that it cannot go on, not that something is missing
        assert reason is Reason.TRUNCATED or (by_codec and reason is Reason.DECODE_ERROR), (length, detail)


@hypothesis.given(strategies.sampled_from(sorted(WHOLE)), strategies.integers(0, 2**32))
def test_whatever_the_bytes_are_there_are_pixels_or_a_reason(name: str, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    data = bytearray(WHOLE[name])
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(132, min(len(data), 1_500))] = chance.randrange(256)
    said = ""
    try:
        decode(bytes(data), SIZE)
    except ImageRejected as rejection:
        said = rejection.detail
    assert "Zebedee" not in said


@pytest.mark.usefixtures("without_dicom")
def test_without_the_extra_a_dicom_says_how_to_get_it() -> None:
    reason, detail = refusal(WHOLE["explicit"])
    assert (reason, "pip install 'skinml[dicom]'" in detail) == (Reason.UNSUPPORTED_FORMAT, True)
    assert ".dcm" not in suffixes.listed_suffixes()


def test_pydicom_says_nothing_of_a_file(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for data, _, _ in REFUSED.values():
        refusal(data)
    assert dicom.PROFILE
    assert PATIENT not in caplog.text


def test_srgb_in_a_dicom_is_no_other_profile() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert not decode(native(PIXELS, ICCProfile=profile), SIZE).colour_profile
