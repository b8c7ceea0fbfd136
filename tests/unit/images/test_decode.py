"""Tests of skinml/images/decode.py: right pixels from everything decodable, a reason for everything else."""

from __future__ import annotations

import io
import resource
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from skinml.errors import ImageRejected, Reason
from skinml.images.budget import MAX_PIXELS
from skinml.images.choices import DecodeMode
from skinml.images.decode import ORIENTATION_TAG, Decoded, decode
from skinml.images.formats import FORMATS, identify
from skinml.images.resize import resize
from skinml.storage import objects
from tests.conftest import REAL_DATA
from tests.effort import examples
from tests.hostile.make import picture, save

MODES: tuple[DecodeMode, ...] = ("fast", "exact")
REAL_IMAGES = sorted((REAL_DATA / "ham10000_600x450").glob("*.jpg"))[::40][:30]
BROKEN = {Reason.TRUNCATED, Reason.DECODE_ERROR}


def smooth(width: int = 96, height: int = 72, seed: int = 0) -> Image.Image:
    return picture(width, height, seed)


def every_format() -> dict[str, bytes]:
    return {
        "JPEG": save(smooth(), "JPEG", quality=90),
        "PNG": save(smooth(), "PNG"),
        "WEBP": save(smooth(), "WEBP", lossless=True),
        "TIFF": save(smooth(), "TIFF"),
        "BMP": save(smooth(), "BMP"),
    }


def pillow(data: bytes, size: int) -> NDArray[np.uint8]:
    """What the thesis does with a file."""
    return np.asarray(Image.open(io.BytesIO(data)).resize((size, size)))


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB."""
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def outcome_of(data: bytes, mode: DecodeMode = "fast") -> Decoded | ImageRejected:
    """The image or its rejection. Any other exception fails the test."""
    try:
        return decode(data, 16, mode)
    except ImageRejected as rejection:
        return rejection


def reason_of(data: bytes, mode: DecodeMode = "fast") -> Reason | None:
    """Why an image is rejected; None where it is decoded."""
    outcome = outcome_of(data, mode)
    return outcome.reason if isinstance(outcome, ImageRejected) else None


def grey(level: int) -> list[int]:
    return [level] * 3


# Pixels


@pytest.mark.parametrize("quality", [50, 90])
@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("edges", [(96, 72), (600, 450), (31, 200), (1, 1)])
def test_exact_is_bit_equal_to_pillow(edges: tuple[int, int], subsampling: int, quality: int) -> None:
    data = save(smooth(*edges), "JPEG", quality=quality, subsampling=subsampling)
    decoded = decode(data, 32, "exact")
    assert np.array_equal(decoded.pixels, pillow(data, 32))
    assert (decoded.width, decoded.height) == edges


@pytest.mark.parametrize("mode", MODES)
def test_pixels_are_bytes_of_the_size_that_was_asked_for(mode: DecodeMode) -> None:
    decoded = decode(save(smooth(), "JPEG"), 24, mode)
    assert decoded.pixels.shape == (24, 24, 3)
    assert decoded.pixels.dtype == np.uint8


@pytest.mark.parametrize("path", REAL_IMAGES, ids=lambda path: path.stem)
def test_on_real_images_exact_is_pillow_and_fast_is_close(path: Path) -> None:
    data = path.read_bytes()
    assert np.array_equal(decode(data, 32, "exact").pixels, np.asarray(Image.open(path).resize((32, 32))))
    fast, exact = decode(data, 64, "fast"), decode(data, 64, "exact")
    assert psnr(fast.pixels, exact.pixels) > 35
    assert (fast.width, fast.height) == (exact.width, exact.height) == (600, 450)


def test_fast_scales_while_it_decodes_and_stays_close() -> None:
    data = save(smooth(1200, 900), "JPEG", quality=90)
    fast, exact = decode(data, 32, "fast"), decode(data, 32, "exact")
    assert psnr(fast.pixels, exact.pixels) > 35
    assert not np.array_equal(fast.pixels, exact.pixels), "fast did the full decode"
    assert (fast.width, fast.height) == (1200, 900)


@pytest.mark.parametrize("marker", [b"\xff\xc0", b"\xff\xda", b"\xff\xd9"])
def test_stray_bytes_that_pillow_passes_over_are_passed_over(marker: bytes) -> None:
    """libjpeg-turbo alone refuses such a file."""
    before, _, after = save(smooth(), "JPEG", quality=90).rpartition(marker)
    data = before + b"\x00\x11\x22\x33" + marker + after
    for mode in MODES:
        assert psnr(decode(data, 32, mode).pixels, np.asarray(smooth().resize((32, 32)))) > 30


def test_fast_is_exact_where_nothing_is_gained() -> None:
    data = save(smooth(60, 50), "JPEG")
    assert np.abs(decode(data, 32, "fast").pixels.astype(int) - decode(data, 32, "exact").pixels).max() <= 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("format_", "data"), every_format().items(), ids=str)
def test_content_says_what_the_format_is(format_: str, data: bytes, mode: DecodeMode) -> None:
    assert identify(data) == format_
    decoded = decode(data, 32, mode)
    expected = np.asarray(smooth().resize((32, 32)))
    lossless = 50 if mode == "fast" else 99  # the fast resize rounds otherwise here and there
    assert psnr(decoded.pixels, expected) > (30 if format_ == "JPEG" else lossless)
    assert (decoded.width, decoded.height) == (96, 72)


def test_floats_from_0_to_1_go_from_black_to_white() -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float32).repeat(64).reshape(64, 64)
    for mode in MODES:
        pixels = decode(save(Image.fromarray(ramp), "TIFF"), 64, mode).pixels
        assert np.abs(pixels[..., 0] - ramp * 255).max() <= 1


@settings(max_examples=examples(40), derandomize=True, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 9), st.sampled_from([8, 16, 33]))
def test_the_fast_resize_is_pillows(width: int, height: int, seed: int, size: int) -> None:
    image = smooth(width, height, seed)
    expected = np.asarray(image.resize((size, size)))
    pixels = resize(np.asarray(image), size)
    assert np.abs(pixels.astype(int) - expected).max() <= (5 if min(width, height) >= size else 0)
    assert psnr(pixels, expected) > 48


def test_no_scale_is_taken_that_is_slower_and_worse_than_the_whole() -> None:
    """600x450 for 128 px: 5/8 would be the smallest scale with both edges twice the target."""
    data = save(smooth(600, 450), "JPEG", quality=90)
    whole = np.asarray(Image.open(io.BytesIO(data)))
    assert np.abs(decode(data, 128, "fast").pixels.astype(int) - resize(whole, 128)).max() <= 2


# Orientation

UPRIGHT_TO_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera stores an upright view under each EXIF orientation: the inverse of what a viewer does."""


def stored(upright: Image.Image, orientation: int) -> Image.Image:
    method = UPRIGHT_TO_STORED[orientation]
    return upright.transpose(method) if method is not None else upright


def oriented(upright: Image.Image, orientation: int, format_: str) -> bytes:
    image = stored(upright, orientation)
    if format_ == "TIFF":
        return save(image, "TIFF", tiffinfo={ORIENTATION_TAG: orientation})
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    return save(image, format_, exif=exif, **options.get(format_, {}))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured(orientation: int, format_: str, mode: DecodeMode) -> None:
    upright = smooth(400, 300)
    decoded = decode(oriented(upright, orientation, format_), 32, mode)
    assert (decoded.width, decoded.height) == (400, 300)
    assert psnr(decoded.pixels, np.asarray(upright.resize((32, 32)))) > 38


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("edges", [(400, 300), (301, 402), (40, 31)])
def test_a_crop_keeps_the_middle_and_the_sizes_of_the_whole(
    edges: tuple[int, int], format_: str, mode: DecodeMode
) -> None:
    options: dict[str, dict[str, int]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    data = save(smooth(*edges), format_, **options.get(format_, {}))
    decoded = decode(data, 32, mode, aspect="crop")
    assert (decoded.width, decoded.height) == edges
    whole = Image.open(io.BytesIO(data)).convert("RGB")
    side = min(edges)
    left, top = (edges[0] - side) // 2, (edges[1] - side) // 2
    expected = np.asarray(whole.crop((left, top, left + side, top + side)).resize((32, 32)))
    # A JPEG decoded at a scale is cut between whole pixels of that scale: up to a quarter of a pixel off.
    assert np.array_equal(decoded.pixels, expected) if mode == "exact" else psnr(decoded.pixels, expected) > 34
    assert not np.array_equal(decoded.pixels, decode(data, 32, mode).pixels)


@pytest.mark.parametrize("mode", MODES)
def test_a_square_is_the_same_cropped_and_stretched(mode: DecodeMode) -> None:
    for format_ in ("JPEG", "PNG"):
        data = save(smooth(200, 200), format_)
        assert np.array_equal(decode(data, 32, mode, aspect="crop").pixels, decode(data, 32, mode).pixels)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_a_crop_is_of_the_upright_image(orientation: int, mode: DecodeMode) -> None:
    upright = smooth(400, 300)
    decoded = decode(oriented(upright, orientation, "JPEG"), 32, mode, aspect="crop")
    expected = np.asarray(upright.crop((50, 0, 350, 300)).resize((32, 32)))
    assert psnr(decoded.pixels, expected) > 34


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_passed_over(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    data = save(smooth(), "JPEG", exif=exif)
    assert np.array_equal(decode(data, 32, "exact").pixels, pillow(data, 32))
    assert (decode(data, 32, "fast").width, decode(data, 32, "fast").height) == (96, 72)


# Modes


def test_grey_is_repeated() -> None:
    ramp = Image.fromarray(np.arange(0, 256, dtype=np.uint8).reshape(16, 16))
    for format_ in ("PNG", "TIFF", "BMP"):
        decoded = decode(save(ramp, format_), 16)
        assert np.array_equal(decoded.pixels, np.repeat(np.asarray(ramp)[:, :, None], 3, axis=2)), format_
    jpeg = decode(save(ramp, "JPEG", quality=95), 16).pixels
    assert np.array_equal(jpeg[..., 0], jpeg[..., 1])
    assert np.array_equal(jpeg[..., 0], jpeg[..., 2])
    assert np.abs(jpeg[..., 0].astype(int) - np.asarray(ramp)).max() < 12


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP"])
def test_palettes_are_looked_up(format_: str) -> None:
    image = smooth(16, 16).quantize(16)
    assert np.array_equal(decode(save(image, format_), 16).pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP"])
def test_one_bit_is_black_and_white(format_: str) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (16, 16)).astype(bool)
    decoded = decode(save(Image.fromarray(bits), format_), 16)
    assert np.array_equal(decoded.pixels, np.repeat(bits[:, :, None] * np.uint8(255), 3, axis=2))


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("alpha", "expected"), [(0, (255, 255, 255)), (255, (200, 0, 100)), (51, (244, 204, 224))]
)
def test_transparency_is_laid_over_white(alpha: int, expected: tuple[int, int, int], format_: str) -> None:
    image = Image.new("RGBA", (16, 16), (200, 0, 100, alpha))
    options = {"lossless": True, "exact": True} if format_ == "WEBP" else {}
    if format_ == "WEBP" and alpha == 255:
        image.putpixel((15, 15), (200, 0, 100, 254))  # or Pillow opens it as RGB
    pixel = decode(save(image, format_, **options), 16).pixels[4, 4]
    assert np.abs(pixel.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("alpha", "level"), [(0, 255), (255, 80), (51, 220)])
def test_transparent_grey_is_laid_over_white(alpha: int, level: int) -> None:
    for format_ in ("PNG", "TIFF"):
        pixel = decode(save(Image.new("LA", (16, 16), (80, alpha)), format_), 16).pixels[4, 4]
        assert np.abs(pixel.astype(int) - level).max() <= 1, format_


def test_a_transparent_colour_is_white() -> None:
    half = Image.new("RGB", (16, 16), (10, 20, 30))
    half.paste((90, 80, 70), (0, 0, 16, 8))
    keyed = {
        "RGB": save(half, "PNG", transparency=(10, 20, 30)),
        "L": save(half.convert("L"), "PNG", transparency=half.convert("L").getpixel((0, 15))),
        "P": save(half.quantize(2), "PNG", transparency=half.quantize(2).getpixel((0, 15))),
    }
    for mode, data in keyed.items():
        pixels = decode(data, 16).pixels
        assert pixels[14, 8].tolist() == grey(255), mode
        assert pixels[1, 8].max() < 100, mode


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_is_converted_as_pillow_does(format_: str) -> None:
    data = save(smooth().convert("CMYK"), format_)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((16, 16)))
    for mode in MODES:
        pixels = decode(data, 16, mode).pixels
        assert np.abs(pixels.astype(int) - expected).max() <= (mode == "fast")  # its resize rounds otherwise
        assert psnr(pixels, np.asarray(smooth().resize((16, 16)))) > 25  # the right way round


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_upper_eight(format_: str) -> None:
    levels = (np.arange(256, dtype=np.uint16) * 256 + 255).reshape(16, 16)
    decoded = decode(save(Image.fromarray(levels), format_), 16)
    assert np.array_equal(decoded.pixels[..., 1], (levels >> 8).astype(np.uint8))


def test_a_dark_sixteen_bit_image_stays_dark() -> None:
    data = save(Image.fromarray(np.full((16, 16), 200, dtype=np.uint16)), "PNG")
    assert decode(data, 16).pixels.max() == 0


def test_sixteen_bit_numbers_in_thirty_two_bits_keep_their_upper_eight() -> None:
    levels = (np.arange(256, dtype=np.int32) * 256 + 255).reshape(16, 16)
    decoded = decode(save(Image.fromarray(levels), "TIFF"), 16)
    assert np.array_equal(decoded.pixels[..., 1], (levels >> 8).astype(np.uint8))


# Several frames


def test_the_first_of_several_frames_is_the_image() -> None:
    first, second = smooth(seed=1), smooth(seed=2)
    several = {
        "TIFF": save(first, "TIFF", save_all=True, append_images=[second]),
        "WEBP": save(first, "WEBP", save_all=True, append_images=[second], lossless=True),
        "PNG": save(first, "PNG", save_all=True, append_images=[second]),
    }
    for format_, data in several.items():
        assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 2, format_
        assert psnr(decode(data, 32).pixels, np.asarray(first.resize((32, 32)))) > 50, format_


# Rejections


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>", Reason.NOT_AN_IMAGE),
        (b"\x00" * 1000, Reason.NOT_AN_IMAGE),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", Reason.NOT_AN_IMAGE),
        (save(smooth(), "GIF"), Reason.UNSUPPORTED_FORMAT),
        (save(smooth(), "JPEG2000"), Reason.UNSUPPORTED_FORMAT),
        (save(smooth(), "PDF"), Reason.UNSUPPORTED_FORMAT),
        (save(smooth(), "ICO"), Reason.UNSUPPORTED_FORMAT),
        (b"\x00\x00\x00\x20ftypheic\x00\x00\x00\x00mif1heic", Reason.UNSUPPORTED_FORMAT),
        (b"\x00" * 128 + b"DICM\x02\x00\x00\x00UL", Reason.TRUNCATED),
        (save(smooth(), "TIFF", big_tiff=True), Reason.UNSUPPORTED_FORMAT),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Reason.UNSUPPORTED_FORMAT),
        (b"\xff\xd8\xff\xe0" + b"\x00" * 500, Reason.DECODE_ERROR),
        (save(smooth(), "PNG").replace(b"IHDR", b"IHDX"), Reason.DECODE_ERROR),
    ],
    ids=lambda value: value if isinstance(value, Reason) else repr(value[:12]),
)
@pytest.mark.parametrize("mode", MODES)
def test_what_is_no_image_is_rejected_with_its_reason(data: bytes, reason: Reason, mode: DecodeMode) -> None:
    with pytest.raises(ImageRejected) as rejection:
        decode(data, 16, mode)
    assert rejection.value.reason == reason
    assert rejection.value.detail


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("format_", "data"), every_format().items(), ids=str)
def test_a_file_that_ends_early_is_truncated_or_broken(format_: str, data: bytes, mode: DecodeMode) -> None:
    cuts = {*range(1, 48), *(len(data) * part // 20 for part in range(1, 20)), len(data) - 1}
    for length in sorted(cuts):
        assert reason_of(data[:length], mode) in {*BROKEN, None}, f"{format_} of {length} bytes"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("format_", "data"), every_format().items(), ids=str)
def test_half_a_file_is_called_truncated(format_: str, data: bytes, mode: DecodeMode) -> None:
    assert reason_of(data[: len(data) // 2], mode) == Reason.TRUNCATED
    assert reason_of(data[:2] if format_ != "BMP" else data[:1], mode) == Reason.TRUNCATED


def test_a_progressive_jpeg_that_ends_early_is_truncated() -> None:
    data = save(smooth(600, 450), "JPEG", progressive=True)
    assert {reason_of(data[: len(data) * part // 10], mode) for part in (3, 5, 9) for mode in MODES} == {
        Reason.TRUNCATED
    }


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_bomb(edge: int) -> bytes:
    """A small file that states edge x edge pixels of one bit."""
    header = struct.pack(">IIBBBBB", edge, edge, 1, 0, 0, 0, 0)
    pixels = zlib.compressobj(9)
    line = bytes(1 + (edge + 7) // 8)
    packed = b"".join(pixels.compress(line) for _ in range(edge)) + pixels.flush()
    chunks = [png_chunk(b"IHDR", header), png_chunk(b"IDAT", packed), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("edge", [30_000, 9_600, 8_001])
def test_a_bomb_is_too_large_and_takes_no_memory(edge: int) -> None:
    """Above both of Pillow's limits, above the one that it only warns of, and above ours alone."""
    bomb = png_bomb(edge)
    assert len(bomb) < 300_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for mode in MODES:
        with pytest.raises(ImageRejected) as rejection:
            decode(bomb, 16, mode)
        assert rejection.value.reason == Reason.TOO_LARGE
        assert f"more than {MAX_PIXELS:,} pixels" in rejection.value.detail
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20_000, f"{grown} KiB more at the peak"


def test_the_largest_image_that_is_allowed_is_decoded() -> None:
    assert decode(png_bomb(8_000), 8).width == 8_000


def test_a_jpeg_bomb_is_too_large() -> None:
    data = bytearray(save(smooth(), "JPEG"))
    start = data.index(b"\xff\xc0") + 5  # height and width follow length and precision
    data[start : start + 4] = struct.pack(">HH", 65_000, 65_000)
    assert {reason_of(bytes(data), mode) for mode in MODES} == {Reason.TOO_LARGE}


def test_more_bytes_than_an_image_has_are_too_large() -> None:
    data = save(smooth(), "JPEG") + bytes(objects.MAX_OBJECT_BYTES)
    assert reason_of(data) == Reason.TOO_LARGE


@settings(max_examples=examples(200), derandomize=True, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_random_bytes_are_rejected(data: bytes) -> None:
    assert reason_of(data) is not None


@settings(max_examples=examples(150), derandomize=True, deadline=None)
@given(
    st.sampled_from([beginning for beginnings in FORMATS.values() for beginning in beginnings]),
    st.binary(max_size=200),
)
def test_random_bytes_after_a_signature_are_rejected(beginning: bytes, data: bytes) -> None:
    assert reason_of(beginning + data) is not None


SEEDS = [
    save(smooth(48, 36), "JPEG"),
    oriented(smooth(48, 36), 6, "JPEG"),
    save(smooth(48, 36), "JPEG", progressive=True),
    save(smooth(48, 36), "PNG"),
    save(smooth(48, 36).quantize(8), "PNG", transparency=1),
    save(smooth(48, 36), "TIFF", compression="tiff_lzw"),
    save(smooth(48, 36), "WEBP"),
    save(smooth(48, 36), "BMP"),
]


@settings(max_examples=examples(600), derandomize=True, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12),
    st.one_of(st.none(), st.tuples(st.floats(0, 1), st.binary(max_size=30))),
    st.sampled_from(MODES),
)
def test_a_mutated_file_is_decoded_or_rejected(
    data: bytes,
    changes: list[tuple[float, int]],
    inserted: tuple[float, bytes] | None,
    mode: DecodeMode,
) -> None:
    mutated = bytearray(data)
    for place, value in changes:
        mutated[int(place * len(mutated))] = value
    if inserted is not None:
        at = int(inserted[0] * len(mutated))
        mutated[at:at] = inserted[1]
    outcome = outcome_of(bytes(mutated), mode)
    if isinstance(outcome, ImageRejected):
        assert 0 < len(outcome.detail) <= 400
    else:
        assert outcome.pixels.shape == (16, 16, 3)
        assert 0 < outcome.width * outcome.height <= MAX_PIXELS
