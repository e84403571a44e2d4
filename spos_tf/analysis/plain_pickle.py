"""Pickles of plain values, read without running anything that they name.

A pickle may name any function of any module and have it called. Here it may
name a handful of containers and NumPy's scalars; whatever else it names is
refused by its name. NumPy's own code is not called with what a pickle says
either: stand-ins of plain Python read its scalars.
"""

import collections
import contextlib
import pathlib
import pickle
import struct
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from spos_tf.errors import UserError

# Before the object in a file of `torch.save` of versions below 1.6: a magic
# number, the version of the protocol, and facts of the machine.
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_TORCH_PROTOCOL = 1001
# Memory that a pickle may take: times its size on disk, and this more.
_GROWTH, _ALWAYS = 256, 256 << 20
_FORMATS = {
    "f2": "e",
    "f4": "f",
    "f8": "d",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "b1": "?",
}


class _DType:
    """Stands for `numpy.dtype`: a kind of number and its byte order."""

    def __init__(self, name: str, *_: object) -> None:
        if name not in _FORMATS:
            raise UserError(f"It holds NumPy values of kind {name!r}.")
        self._name = name
        self._order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # (version, byte order, ...); "|" where a value is one byte.
        self._order = ">" if state[1] == ">" else "<"

    def read(self, data: bytes) -> Any:
        return struct.unpack(self._order + _FORMATS[self._name], data)[0]


def _scalar(dtype: _DType, data: bytes) -> Any:
    if not isinstance(dtype, _DType) or not isinstance(data, bytes):
        raise UserError("It holds a NumPy value that is no number.")
    return dtype.read(data)


def _encode(text: str, encoding: str) -> bytes:
    """Stands for `codecs.encode`: how bytes look in old protocols."""
    if encoding not in ("latin1", "latin-1"):
        raise UserError(f"It asks for the codec {encoding!r}.")
    return text.encode("latin-1")


def _allowed() -> dict[tuple[str, str], Any]:
    """What a pickle may name.

    The stand-ins are made anew for every pickle: it may set attributes of
    them, as it may of whatever it makes.
    """

    class DType(_DType):
        pass

    def scalar(dtype: _DType, data: bytes) -> Any:
        return _scalar(dtype, data)

    def encode(text: str, encoding: str) -> bytes:
        return _encode(text, encoding)

    return {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("collections", "defaultdict"): collections.defaultdict,
        ("builtins", "dict"): dict,
        ("builtins", "list"): list,
        ("builtins", "set"): set,
        ("builtins", "frozenset"): frozenset,
        ("_codecs", "encode"): encode,
        ("numpy", "dtype"): DType,
        # Before and after NumPy 2.
        ("numpy.core.multiarray", "scalar"): scalar,
        ("numpy._core.multiarray", "scalar"): scalar,
    }


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self._allowed = _allowed()

    def find_class(self, module: str, name: str) -> Any:
        # Its name in protocols up to 2, which torch.save writes.
        if module == "__builtin__":
            module = "builtins"
        try:
            return self._allowed[module, name]
        except KeyError:
            raise UserError(
                f"It names {module}.{name}, which is no plain value and is "
                "not loaded: a pickle could run code with it."
            ) from None

    def persistent_load(self, pid: object) -> Any:
        raise UserError(
            "It holds tensors (weights of networks), which are not loaded."
        )


@contextlib.contextmanager
def _bounded_memory(size: int) -> Iterator[None]:
    """Lets the process take so much memory as a right pickle may need.

    A few bytes of a wrong one ask for gigabytes: for the list of what it
    refers back to, or a text of that length. Where the system has no such
    limit, or does not say what is taken already, there is none.
    """
    try:
        # Windows has no such module.
        import resource

        pages = pathlib.Path("/proc/self/statm").read_text("utf-8").split()[0]
    except (ImportError, OSError):
        yield
        return
    taken = int(pages) * resource.getpagesize()
    soft, hard = before = resource.getrlimit(resource.RLIMIT_AS)
    most = taken + _GROWTH * size + _ALWAYS
    for limit in (soft, hard):
        if limit != resource.RLIM_INFINITY:
            most = min(most, limit)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def load_pickle(stream: IO[bytes], what: str, size: int) -> Any:
    """Reads the next pickle of a stream.

    Args:
        stream: At its beginning.
        what: What messages call the file.
        size: Bytes of the file on disk; a few hundred times as much memory
            is taken at most.

    Raises:
        UserError: It is damaged, or holds something that is not plain.
    """
    try:
        with _bounded_memory(size):
            return _PlainUnpickler(stream).load()
    except UserError as error:
        raise UserError(f"{what} is not read. {error}") from None
    # The bytes of a damaged pickle may ask for anything, in any way wrong.
    except (
        pickle.UnpicklingError,
        EOFError,
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        KeyError,
        OverflowError,
        MemoryError,
        RecursionError,
        struct.error,
    ) as error:
        raise UserError(
            f"{what} is damaged or of another kind ({type(error).__name__}). "
            "Get it anew."
        ) from None


def load_torch_file(path: pathlib.Path) -> Any:
    """Reads what `torch.save` wrote, of either format, without torch.

    Raises:
        UserError: It cannot be read, is damaged, or holds something that is
            not plain, tensors among it.
    """
    what = f"File {str(path)!r}"
    try:
        size = path.stat().st_size
        if zipfile.is_zipfile(path):
            return _load_zipped(path, what, size)
        with path.open("rb") as stream:
            if load_pickle(stream, what, size) != _TORCH_MAGIC:
                raise UserError(f"{what} was not written by torch.save.")
            protocol = load_pickle(stream, what, size)
            if protocol != _TORCH_PROTOCOL:
                raise UserError(
                    f"{what} is of torch's protocol {protocol!r}; "
                    f"{_TORCH_PROTOCOL} is read."
                )
            load_pickle(stream, what, size)
            return load_pickle(stream, what, size)
    except OSError as error:
        raise UserError(f"Cannot read {what}: {error.strerror}.") from None


def _load_zipped(path: pathlib.Path, what: str, size: int) -> Any:
    try:
        with zipfile.ZipFile(path) as file:
            pickles = [
                name
                for name in file.namelist()
                if name.endswith("/data.pkl") and name.count("/") == 1
            ]
            if len(pickles) != 1:
                raise UserError(f"{what} was not written by torch.save.")
            with file.open(pickles[0]) as stream:
                return load_pickle(stream, what, size)
    except zipfile.BadZipFile:
        raise UserError(f"{what} is damaged. Get it anew.") from None
