"""Every kind of image file gives the pixels that a viewer shows.

What is right is Pillow's own: its RGB, and its `exif_transpose`.
"""

import io
import itertools
import os
import struct
import warnings
import zlib

import numpy as np
import PIL
import pytest
import tensorflow as tf
from packaging.version import Version
from PIL import Image, ImageOps

from spos_tf.data.decoding import decode, is_plain
from spos_tf.data.examples import Split, as_objects
from spos_tf.data.pictures import (
    ENDINGS,
    HEAD_BYTES,
    head_fault,
    looks_of,
    upright_pixels,
)
from spos_tf.data.pipeline import evaluation_arrays, training_batches
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.errors import UserError

# Two readers of JPEG round otherwise; halved chroma adds to it.
_JPEG = 12
_ORIENTATION = 0x0112
HEIGHT, WIDTH = 24, 30
# Pillow's error is Python's outside of a graph.
UNREADABLE = (tf.errors.InvalidArgumentError, ValueError)


def ramps() -> np.ndarray:
    """No two quarters of it are alike."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([8 * x, 10 * y, 4 * (x + y)], -1).astype(np.uint8)


def written(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.save(buffer, kind, **options)
    return buffer.getvalue()


def pillows(data: bytes) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def ours(data: bytes) -> np.ndarray:
    return decode(tf.constant(data)).numpy()


def assert_same(found: np.ndarray, expected: np.ndarray, tolerance: int):
    assert found.shape == expected.shape
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= tolerance


WAYS = {
    "JPEG": [{}, {"progressive": True}, {"subsampling": 0}],
    "PNG": [{}],
    "BMP": [{}],
    "GIF": [{"interlace": 0}, {"interlace": 1}],
    "WEBP": [{"lossless": True}, {"quality": 95}],
    "TIFF": [
        {},
        {"compression": "tiff_lzw"},
        {"compression": "tiff_adobe_deflate"},
        {"compression": "jpeg"},
    ],
}
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")


def of_mode(mode: str) -> Image.Image:
    image = Image.fromarray(ramps())
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(ramps()[..., 0]))
    return image.convert(mode)


@pytest.mark.parametrize("kind", WAYS)
def test_every_mode_of_every_format(kind):
    read = 0
    for mode, way in itertools.product(MODES, WAYS[kind]):
        try:
            data = written(of_mode(mode), kind, **way)
        except (OSError, ValueError, RuntimeError):
            continue  # The format has no such pixels.
        try:
            expected = pillows(data)
        except OSError:
            # Releases before 12 do not read what they wrote.
            with pytest.raises(UNREADABLE):
                ours(data)
            continue
        lossy = b"JFIF" in data or b"\xff\xd8\xff" in data
        assert_same(ours(data), expected, _JPEG if lossy else 0)
        np.testing.assert_array_equal(upright_pixels(data), expected)
        assert head_fault(data[:HEAD_BYTES]) is None
        read += 1
    assert read >= 5


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
@pytest.mark.parametrize("transparency", [3, bytes(range(256))])
def test_palettes_with_transparency(kind, transparency):
    image = of_mode("P")
    if kind == "GIF" and isinstance(transparency, bytes):
        transparency = 200
    data = written(image, kind, transparency=transparency)
    np.testing.assert_array_equal(ours(data), pillows(data))
    np.testing.assert_array_equal(upright_pixels(data), pillows(data))
    if kind == "PNG":
        assert looks_of(data).alpha


def chunk(name: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check


def png(color: int, depth: int, samples, interlaced: bool, extra=b"") -> bytes:
    """A PNG of samples `[height, width, channels]`."""

    def packed(rows):
        for row in rows:
            bits = row.reshape(-1, 1) >> np.arange(depth - 1, -1, -1) & 1
            yield b"\0" + np.packbits(bits.astype(np.uint8)).tobytes()

    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)]
        passes += [(0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b"".join(
        line
        for left, top, right, down in passes
        for line in packed(samples[top::down, left::right])
    )
    height, width = samples.shape[:2]
    head = struct.pack(
        ">IIBBBBB", width, height, depth, color, 0, 0, interlaced
    )
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + extra
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("interlaced", [False, True])
def test_every_png(depth, interlaced):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    gray = (y * 10 + x) * 2**depth // 300 % 2**depth
    samples = {0: gray[..., None]}
    extras = {0: [b"", chunk(b"tRNS", struct.pack(">H", 1))]}
    if depth <= 8:
        palette = np.random.default_rng(0).bytes(3 * 2**depth)
        samples[3] = gray[..., None]
        extras[3] = [
            chunk(b"PLTE", palette),
            chunk(b"PLTE", palette) + chunk(b"tRNS", b"\0\x80"),
        ]
    if depth >= 8:
        wide = ramps().astype(int) * (257 if depth == 16 else 1)
        key = struct.pack(">HHH", *wide[3, 3])
        samples |= {
            2: wide,
            4: wide[..., :2],
            6: np.concatenate([wide, wide[..., :1]], -1),
        }
        extras |= {2: [b"", chunk(b"tRNS", key)], 4: [b""], 6: [b""]}
    for color, pixels in samples.items():
        for extra in extras[color]:
            data = png(color, depth, pixels, interlaced, extra)
            expected = pillows(data)
            if depth == 16 and color == 0:
                # Pillow makes all of its grays above 255 white.
                expected = np.repeat(pixels >> 8, 3, -1)
            np.testing.assert_array_equal(ours(data), expected)
            np.testing.assert_array_equal(upright_pixels(data), expected)


def test_a_cmyk_jpeg_without_adobes_marker():
    data = written(of_mode("CMYK"), "JPEG", quality=95)
    start = data.index(b"\xff\xee")
    length = 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    assert data[start + 4 : start + 9] == b"Adobe"
    for one in (data, data[:start] + data[start + length :]):
        assert_same(ours(one), pillows(one), _JPEG)


def test_deep_tiffs_are_read_by_their_high_byte_or_refused():
    deep = (ramps()[..., 0].astype(np.uint16) * 257)[..., None]
    for way in WAYS["TIFF"][:3]:
        data = written(Image.fromarray(deep[..., 0]), "TIFF", **way)
        np.testing.assert_array_equal(ours(data), np.repeat(deep >> 8, 3, -1))
    for kind in (np.int32, np.float32):
        image = Image.fromarray(ramps()[..., 0].astype(kind))
        with pytest.raises(ValueError, match="32 bits are not read"):
            ours(written(image, "TIFF"))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_of_several_pictures(kind):
    first = Image.fromarray(ramps())
    data = written(
        first,
        kind,
        save_all=True,
        append_images=[first.transpose(Image.Transpose.ROTATE_180)],
        **({"lossless": True} if kind == "WEBP" else {}),
    )
    np.testing.assert_array_equal(ours(data), pillows(data))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", WAYS)
def test_a_file_that_was_cut_off_is_refused(kind):
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    )
    data = written(image, kind)
    for stop in (HEAD_BYTES, len(data) // 2):
        with pytest.raises(UNREADABLE):
            ours(data[:stop])
    assert head_fault(data[:4]) is not None or kind not in ("PNG", "WEBP")


@pytest.mark.parametrize("data", [b"", b"<html>", b"%!PS-Adobe", b"\0" * 99])
def test_other_files_are_refused(data):
    assert head_fault(data[:HEAD_BYTES])
    with pytest.raises(UNREADABLE):
        ours(data)


TURNED_KINDS = {
    "jpeg": {"quality": 98, "subsampling": 0},
    "png": {},
    "webp": {"lossless": True},
    "tiff": {"compression": "tiff_lzw"},
}


def turned(kind: str, tag: int, **options) -> bytes:
    exif = Image.Exif()
    exif[_ORIENTATION] = tag
    image = Image.fromarray(ramps())
    return written(image, kind, exif=exif, **TURNED_KINDS[kind], **options)


def transposed(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    image.load()
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


@pytest.mark.parametrize("kind", TURNED_KINDS)
@pytest.mark.parametrize("tag", range(1, 9))
def test_metadata_turn_a_picture(kind, tag):
    data = turned(kind, tag)
    expected = transposed(data)
    assert expected.shape[:2] == (
        (WIDTH, HEIGHT) if tag >= 5 else (HEIGHT, WIDTH)
    )
    assert_same(ours(data), expected, _JPEG if kind == "jpeg" else 0)
    assert looks_of(data).turned == (tag > 1)
    if kind in ("jpeg", "png"):
        assert bool(is_plain(tf.constant(data))) == (tag == 1)


def test_a_png_says_how_it_is_turned_after_its_pixels():
    data = turned("png", 6)
    start = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[start : start + 4], "big")
    exif, end = data[start : start + length], data.index(b"IEND") - 4
    moved = data[:start] + data[start + length : end] + exif + data[end:]
    np.testing.assert_array_equal(ours(moved), transposed(data))


def test_xmp_turns_a_picture_too():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    image = Image.fromarray(ramps())
    plain = written(image, "JPEG", quality=98, subsampling=0)
    name = b"http://ns.adobe.com/xap/1.0/\0"
    size = struct.pack(">H", 2 + len(name + xmp))
    data = plain[:2] + b"\xff\xe1" + size + name + xmp + plain[2:]
    # Earlier releases of Pillow do not look there.
    expected = transposed(data)
    if Version(PIL.__version__) >= Version("12"):
        assert expected.shape[:2] == (WIDTH, HEIGHT)
    assert_same(ours(data), expected, _JPEG)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_metadata_that_nobody_can_read_turn_nothing():
    data = written(Image.fromarray(ramps()), "JPEG", quality=98)
    exif = b"Exif\0\0what is this"
    data = (
        data[:2]
        + b"\xff\xe1"
        + struct.pack(">H", 2 + len(exif))
        + exif
        + data[2:]
    )
    assert_same(ours(data), pillows(data), _JPEG)
    for tag in (0, 9):
        assert_same(ours(turned("png", tag)), ramps(), 0)


@pytest.fixture(params=["encoded", "files"])
def turned_split(request, tmp_path) -> Split:
    """One picture eight times, stored in eight ways that look alike."""
    items = []
    upright = Image.fromarray(ramps())
    undo = {5: 5, 6: 8, 7: 7, 8: 6}
    for tag in range(1, 9):
        exif = Image.Exif()
        exif[_ORIENTATION] = undo.get(tag, tag)
        stored = ImageOps.exif_transpose(
            Image.open(io.BytesIO(written(upright, "PNG", exif=exif)))
        )
        exif = Image.Exif()
        exif[_ORIENTATION] = tag
        data = written(stored, "PNG", exif=exif)
        np.testing.assert_array_equal(transposed(data), ramps())
        if request.param == "files":
            path = tmp_path / f"{tag}.png"
            path.write_bytes(data)
            data = os.fsencode(path)
        items.append(data)
    return Split(as_objects(items), np.arange(8, dtype=np.int32), request.param)


@pytest.mark.parametrize("augmentation", ["imagenet", "none"])
def test_turned_pictures_are_upright_in_every_pipeline(
    turned_split, augmentation
):
    options = PreprocessingOptions(image_size=16, augmentation=augmentation)
    images, _ = evaluation_arrays(turned_split, options)
    plain = Split(
        as_objects([written(Image.fromarray(ramps()), "PNG")] * 8),
        turned_split.labels,
        "encoded",
    )
    for one in images[1:]:
        np.testing.assert_array_equal(one, images[0])

    def steps(split):
        return list(
            training_batches(
                split,
                options,
                batch_size=8,
                start_step=0,
                num_steps=2,
                seed=3,
            ).as_numpy_iterator()
        )

    for (some, labels), (others, _) in zip(
        steps(turned_split), steps(plain), strict=True
    ):
        np.testing.assert_array_equal(some, others)
        assert sorted(labels) == list(range(8))


def test_determinism_does_not_end_parallel_reading(turned_split):
    options = PreprocessingOptions(image_size=16, augmentation="none")
    expected, _ = evaluation_arrays(turned_split, options)
    tf.config.experimental.enable_op_determinism()
    try:
        found, _ = evaluation_arrays(turned_split, options)
    finally:
        from tensorflow.python.framework import config

        config.disable_op_determinism()
    np.testing.assert_array_equal(found, expected)


def test_other_formats_stay_shut():
    """Pillow would start Ghostscript to read this."""
    split = Split(
        as_objects([b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]),
        np.zeros(1, np.int32),
        "encoded",
    )
    options = PreprocessingOptions(image_size=16, augmentation="none")
    with pytest.raises(UserError, match=r"\(it is no JPEG, PNG"):
        evaluation_arrays(split, options)


def test_endings_are_lower_case_and_unique():
    assert len(set(ENDINGS)) == len(ENDINGS)
    assert all(one == one.lower() and one[0] == "." for one in ENDINGS)
