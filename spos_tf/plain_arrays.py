"""NPZ files of plain arrays: no pickle, and no more memory than they take."""

import hashlib
import os
import pathlib
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import numpy.typing as npt

# Numbers, truth values and text.
_KINDS = "biufcSU"
# What a file may grow to in memory: this many times its size, and this more.
# Ours grow little; one that was made to fill the memory, a thousand times.
_GROWTH = 64
_ALWAYS = 64 << 20
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class NotPlainError(ValueError):
    """The file holds Python objects, which only pickle could read."""


def digest_of(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """SHA-256 of arrays by name, in whatever order they come."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(arrays[name].tobytes())
    return digest.digest()


def read_arrays(path: pathlib.Path) -> dict[str, npt.NDArray[Any]]:
    """Reads all arrays of an NPZ file, by name.

    Every checksum is looked at. What an array says of its size is held to
    what there is of it before memory is taken.

    Raises:
        OSError: The file cannot be read.
        NotPlainError: It holds Python objects.
        ValueError: It is damaged or no NPZ file; says what is wrong.
    """
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            size = os.fstat(stream.fileno()).st_size
            return _read(archive, size)
    # An error without a number is zipfile's and not the system's.
    except OSError as error:
        if error.errno is None:
            raise ValueError(str(error)) from None
        raise
    except (
        EOFError,
        KeyError,
        IndexError,
        MemoryError,
        NotImplementedError,
        OverflowError,
        RecursionError,
        RuntimeError,
        SyntaxError,
        TypeError,
        tokenize.TokenError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        words = " ".join(str(error).split())[:100].rstrip(".")
        raise ValueError(words or type(error).__name__) from None


def _read(archive: zipfile.ZipFile, size: int) -> dict[str, npt.NDArray[Any]]:
    entries = archive.infolist()
    grown = sum(entry.file_size for entry in entries)
    if grown > _GROWTH * size + _ALWAYS:
        raise ValueError(f"{size:,} bytes would grow to {grown:,}")
    found: dict[str, npt.NDArray[Any]] = {}
    for entry in entries:
        name = entry.filename.removesuffix(".npy")
        if name in found:
            raise ValueError(f"{name[:60]!r} stands twice")
        with archive.open(entry) as stream:
            found[name] = _array(stream, entry.file_size, name)
            # To the end, where the checksum is compared.
            if stream.read(1):
                raise ValueError(f"{name[:60]!r} is longer than it says")
    return found


def _array(stream: IO[bytes], size: int, name: str) -> npt.NDArray[Any]:
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"{name[:60]!r} is of format {version}")
    with warnings.catch_warnings():
        # NumPy warns of headers of Python 2, and Python of those that are none.
        warnings.simplefilter("ignore")
        shape, by_column, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise NotPlainError(f"{name[:60]!r} holds Python objects")
    plain = dtype.kind in _KINDS and dtype.itemsize and not dtype.shape
    if not plain or any(type(one) is not int or one < 0 for one in shape):
        raise ValueError(f"{name[:60]!r} is no plain array")
    count = 1
    for length in shape:
        count *= length
    there = size - stream.tell()
    if count * dtype.itemsize != there:
        raise ValueError(
            f"{name[:60]!r} says it has {count * dtype.itemsize:,} bytes and "
            f"has {there:,}"
        )
    data = stream.read(there)
    if len(data) != there:
        raise ValueError(f"{name[:60]!r} ends too early")
    if not count:
        return np.zeros(shape, dtype)
    # A bytearray, so that the array can be written to.
    array: npt.NDArray[Any] = np.frombuffer(bytearray(data), dtype)
    return array.reshape(shape, order="F" if by_column else "C")
