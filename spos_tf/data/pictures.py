"""Image files as a viewer shows them, read with Pillow.

TensorFlow reads JPEG and PNG faster, and many of them rightly; `decoding`
decides which. Everything else comes here: other formats, pictures that their
metadata turn, and kinds of JPEG and PNG that TensorFlow reads otherwise.
"""

import io
import struct
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

# What is read, by Pillow's name of the format: the endings of such files.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
ENDINGS = tuple(ending for some in FORMATS.values() for ending in some)
FORMAT_WORDS = f"{', '.join([*FORMATS][:-1])} or {[*FORMATS][-1]}"
# The first bytes of the files; WebP's come after the length of a RIFF.
_MAGIC = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"BM",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
)
HEAD_BYTES = 12

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Numbers without a known white: nobody can say which of them is which gray.
_NO_COLORS = ("I", "F")


class Looks(NamedTuple):
    """What the header of an image says.

    Attributes:
        format: Pillow's name.
        turned: Whether the metadata turn or mirror it.
        alpha: Whether it has transparency, which is not read.
    """

    format: str
    turned: bool
    alpha: bool


def head_fault(head: bytes) -> str | None:
    """What is wrong with a file by its first bytes; None if nothing is.

    Args:
        head: The first `HEAD_BYTES` bytes, or all there are.
    """
    if not head:
        return "it is empty"
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    if is_webp or head.startswith(_MAGIC):
        return None
    return f"it is no {FORMAT_WORDS}"


def upright_pixels(data: bytes) -> np.ndarray:
    """The first picture of a file as a viewer shows it.

    Metadata turn it (EXIF, or XMP where that says nothing, as Pillow's
    `exif_transpose` does), transparency is dropped, and the high byte of 16
    bits of gray is taken, as TensorFlow does.

    Args:
        data: The bytes of a file.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        ValueError: It cannot be read; the message is a part of a sentence.
    """
    try:
        with _opened(data) as image:
            image.load()
            return _pixels(image)
    except _CANNOT_READ as error:
        raise ValueError(_reason(data, error)) from error


def is_turned(data: bytes) -> np.bool_:
    """Whether the metadata of a file turn or mirror its picture."""
    try:
        with _opened(data) as image:
            return np.bool_(_orientation(image) in _TURNS)
    except _CANNOT_READ:
        # Whoever decodes it says what is wrong with it.
        return np.bool_(False)


def looks_of(data: bytes) -> Looks:
    """What the header of a file says of its picture.

    Args:
        data: The bytes of a file.

    Raises:
        ValueError: It cannot be read; the message is a part of a sentence.
    """
    try:
        with _opened(data) as image:
            return Looks(
                str(image.format),
                _orientation(image) in _TURNS,
                image.has_transparency_data,
            )
    except _CANNOT_READ as error:
        raise ValueError(_reason(data, error)) from error


# What Pillow raises for files that are broken, of another format, of a kind
# that it does not convert, or absurdly large.
_CANNOT_READ = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    OverflowError,
    MemoryError,
    Image.DecompressionBombError,
)


def _opened(data: bytes) -> Image.Image:
    # Other formats stay shut: one of them starts another program.
    return Image.open(io.BytesIO(data), formats=[*FORMATS])


def _pixels(image: Image.Image) -> np.ndarray:
    turn = _TURNS.get(_orientation(image))
    # Earlier releases of Pillow call a PNG's gray of 16 bits "I".
    is_deep = image.format == "PNG" and image.mode == "I"
    if is_deep or image.mode.startswith("I;16"):
        # Pillow would make everything above 255 white.
        deep = np.asarray(image)
        image = Image.fromarray((deep >> 8).astype(np.uint8))
    elif image.mode in _NO_COLORS:
        raise ValueError(f"pixels of 32 bits are not read (mode {image.mode})")
    if "transparency" in image.info and image.mode == "P":
        # Pillow warns of a transparency that another conversion loses.
        image = image.convert("RGBA")
    if image.mode != "RGB":
        image = image.convert("RGB")
    if turn is not None:
        image = image.transpose(turn)
    return np.asarray(image)


def _orientation(image: Image.Image) -> Any:
    try:
        return image.getexif().get(_ORIENTATION)
    except _CANNOT_READ:
        # Viewers show a picture whose metadata nobody can read as it is.
        return None


def _reason(data: bytes, error: BaseException) -> str:
    fault = head_fault(data[:HEAD_BYTES])
    if fault is not None:
        return fault
    lines = str(error).strip().splitlines()
    # The object that Pillow names there is ours, not the user's.
    text = lines[0].partition(" <_io")[0] if lines else type(error).__name__
    return text[:120]
