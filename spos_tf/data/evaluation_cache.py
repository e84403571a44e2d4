"""Images that are scored on, decoded once and kept.

Every candidate of a search is scored on the same images, so they are decoded,
resized and cropped once and kept as uint8: in memory where they fit, else in a
file that all processes of a machine read, and later searches too. Reading goes
through the system's page cache, which holds one copy for all of them. (The
file is not mapped into memory: if it were cut off, or its disk failed, a
mapping would end the process by a signal, where reading gives an error.)

A file is named after what it holds: the fingerprint of images and labels, the
size, and the way in which pixels are made. It has the pixels of all images,
then all labels, then a checksum of every image, which is verified whenever the
image is read.
"""

import contextlib
import hashlib
import os
import pathlib
import platform
import re
import time
import weakref
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import filelock
import numpy as np
import numpy.typing as npt
import PIL
import psutil
import tensorflow as tf

import spos_tf
from spos_tf.atomic_write import unfinished
from spos_tf.data.cache_folder import (
    FINGERPRINT,
    IMAGES,
    LOCK,
    Inform,
    day_of,
    entries,
    folder_of,
    free_space,
    size_words,
)
from spos_tf.data.examples import AnySplit, Split, StreamSplit
from spos_tf.data.pipeline import accelerator, ahead_on, evaluation_batches
from spos_tf.data.preprocessing import EVALUATION_PIXELS, PreprocessingOptions
from spos_tf.data.splits import fingerprint, unreadable
from spos_tf.errors import UserError
from spos_tf.options import CacheOptions

Batch = tuple[tf.Tensor, tf.Tensor]
# Where images are kept. "given": in the arrays that a job was given. "source":
# nowhere, so that every pass decodes them again.
Place = Literal["memory", "disk", "given", "source"]

_GIB = 1 << 30
# How much of the free memory is taken where nobody says.
_MEMORY_SHARE = 0.25
# How much of a disk's free space is taken; the rest is for others.
_DISK_SHARE = 0.9
# A file that was used since is not removed to make room.
_IN_USE_SECONDS = 24 * 3600.0
# Files whose time of change is younger may change again within it.
_SETTLED_SECONDS = 2.0

_LABEL, _CHECKSUM = np.dtype("<i4"), np.dtype("<u4")


class EvaluationCache:
    """Gives batches of images to score on, and says where they are kept.

    Args:
        options: How much memory and which part of a disk they may take.
        inform: Called with a line for people.
        sharers: Processes of this machine that keep images of their own,
            among which the memory is divided.
    """

    def __init__(
        self, options: CacheOptions, inform: Inform, sharers: int = 1
    ) -> None:
        self._options = options
        self._inform = inform
        self._folder = folder_of(options.cache_dir)
        memory = options.cache_memory
        if memory is None:
            self._memory = int(free_memory() * _MEMORY_SHARE) // sharers
        else:
            self._memory = int(memory * _GIB) // sharers
        self._known: weakref.WeakKeyDictionary[AnySplit, _Known] = (
            weakref.WeakKeyDictionary()
        )

    def fingerprint(self, split: AnySplit) -> str:
        """As `splits.fingerprint`; image files are read once.

        It is remembered by sizes and times of change of all files.

        Raises:
            UserError: A file cannot be read, or changed meanwhile.
        """
        return self._described(split).fingerprint

    def places(
        self, splits: Sequence[AnySplit], preprocessing: PreprocessingOptions
    ) -> list[Place]:
        """Where the images of some splits are to be kept together."""
        found: list[Place] = []
        left = self._memory
        for split in splits:
            size = len(split) * preprocessing.image_size**2 * 3
            if size <= left:
                left -= size
                found.append("memory")
            elif isinstance(split, Split) and split.kind == "pixels":
                # They are in memory as they were given; nothing is decoded.
                found.append("given")
            else:
                file = self._file(split, preprocessing)
                there = file.is_whole(None) or not self._no_room(file)
                found.append("disk" if there else "source")
        return found

    def batches(
        self,
        splits: Sequence[AnySplit],
        preprocessing: PreprocessingOptions,
        *,
        batch_size: int,
        beside: Sequence[AnySplit] = (),
    ) -> "list[KeptBatches]":
        """Batches of some splits, read now and kept where there is room.

        Args:
            splits: Of at least one image each.
            preprocessing: How they become inputs.
            batch_size: Images at once.
            beside: Splits that have their part of the memory already.

        Raises:
            UserError: An image cannot be read, or has changed since its
                fingerprint was taken.
        """
        places = self.places([*beside, *splits], preprocessing)[len(beside) :]
        return [
            self._kept(split, place, preprocessing, batch_size)
            for split, place in zip(splits, places, strict=True)
        ]

    def _kept(
        self,
        split: AnySplit,
        place: Place,
        preprocessing: PreprocessingOptions,
        batch_size: int,
    ) -> "KeptBatches":
        known = self._described(split)
        source = evaluation_batches(split, preprocessing, batch_size=batch_size)

        def anew(start: int) -> Iterator[Batch]:
            for index, batch in enumerate(source.pixels()):
                if index >= start:
                    yield batch
            if state_of(split) != known.state:
                raise UserError(
                    f"Images of {split.name!r} changed while they were read: "
                    "a score is of one set of images. Start it again."
                )

        if place == "memory":
            batches = list(anew(0))
            return KeptBatches("memory", lambda start: iter(batches[start:]))
        if place == "given":
            return KeptBatches("given", anew)
        file = self._file(split, preprocessing)
        if not self._made(file, anew):
            return KeptBatches("source", anew)
        return KeptBatches(
            "disk", lambda start: self._read(file, anew, batch_size, start)
        )

    def _described(self, split: AnySplit) -> "_Known":
        state = state_of(split)
        known = self._known.get(split)
        if known is None or known.state != state:
            known = _Known(state, self._remembered(split, state))
            if state_of(split) != state:
                raise UserError(
                    f"Images of {split.name!r} changed while they were read. "
                    "Start it again."
                )
            self._known[split] = known
        return known

    def _remembered(self, split: AnySplit, state: "_State") -> str:
        """The fingerprint; that of files is looked up, and kept."""
        if not state.digest or isinstance(split, StreamSplit):
            return fingerprint(split)
        path = self._folder / f"{state.digest[:32]}{FINGERPRINT}"
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found, _, check = path.read_text("ascii").partition(" ")
            if check == _check_digits(state.digest, found):
                return found
        started = time.time()
        found = fingerprint(split)
        if state.changed < started - _SETTLED_SECONDS:
            text = f"{found} {_check_digits(state.digest, found)}"
            # It is only to save time.
            with contextlib.suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                with unfinished(path) as temporary:
                    temporary.write_text(text, "ascii")
        return found

    def _file(
        self, split: AnySplit, preprocessing: PreprocessingOptions
    ) -> "_ImageFile":
        known = self._described(split)
        # The fingerprint of a stream is a name and no content.
        stream = known.state if isinstance(split, StreamSplit) else None
        parts = (
            known.fingerprint,
            stream,
            EVALUATION_PIXELS,
            spos_tf.__version__,
            tf.__version__,
            PIL.__version__,
            platform.machine(),
        )
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
        return _ImageFile(self._folder, split, preprocessing, key)

    def _no_room(self, file: "_ImageFile") -> str:
        """Why a file cannot be written; empty if it can."""
        most = int(self._options.cache_disk * _GIB)
        if file.size > most:
            return f"`cache_disk` allows {size_words(most)}"
        used = self._in_use(file)
        if file.size > most - used:
            return (
                f"{str(self._folder)!r} has {size_words(used)} that are in "
                f"use and may have {size_words(most)} (`cache_disk`)"
            )
        free = free_space(self._folder)
        # All but what is in use goes where it has to.
        taken = sum(one.size for one in entries(self._folder))
        if file.size > (free + taken - used) * _DISK_SHARE:
            return f"{str(self._folder)!r} has {size_words(free)} free"
        return ""

    def _in_use(self, file: "_ImageFile") -> int:
        """Bytes of other files that stay."""
        after = time.time() - _IN_USE_SECONDS
        return sum(
            one.size
            for one in entries(self._folder)
            if one.used >= after and not file.is_of(one.path)
        )

    def _make_room(self, file: "_ImageFile") -> None:
        """Removes what is left of a file, then the oldest of the others."""
        most = int(self._options.cache_disk * _GIB)
        for one in sorted(
            entries(self._folder),
            key=lambda one: (not file.is_of(one.path), one.used),
        ):
            taken = sum(entry.size for entry in entries(self._folder))
            free = free_space(self._folder)
            fits = taken + file.size <= most and file.size <= free * _DISK_SHARE
            is_old = one.used < time.time() - _IN_USE_SECONDS
            if file.is_of(one.path):
                one.path.unlink(missing_ok=True)
            elif is_old and not fits:
                self._inform(
                    f"{one.path} ({size_words(one.size)}) was last used "
                    f"{day_of(one.used)} and is removed to make room."
                )
                one.path.unlink(missing_ok=True)

    def _made(
        self,
        file: "_ImageFile",
        source: Callable[[int], Iterator[Batch]],
        damaged: "_Signature | None" = None,
    ) -> bool:
        """Writes a file unless it is there; False where that is impossible.

        What was found `damaged` is not to be taken again.
        """
        if file.is_whole(damaged):
            return True
        words = f"The {file.words} take {size_words(file.size)} decoded"
        instead = "They are decoded again for every chunk of candidates."
        reason = self._no_room(file)
        if reason:
            self._inform(f"{words}, and {reason}. {instead}")
            return False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._locked(file.path):
                # Another process may have been faster.
                if file.is_whole(damaged):
                    return True
                self._make_room(file)
                self._inform(
                    f"{words}; they are kept in {str(file.path)!r} "
                    f"({size_words(free_space(self._folder))} free) for this "
                    "search and later ones, until `spos clear_cache`."
                )
                file.write(source(0))
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            line = " ".join(reason.split())[:200]
            self._inform(f"Cannot keep {str(file.path)!r}: {line}. {instead}")
            return False
        return True

    @contextlib.contextmanager
    def _locked(self, path: pathlib.Path) -> Iterator[None]:
        """Waits until no other process writes a file."""
        lock = filelock.FileLock(path.with_suffix(LOCK), thread_local=False)
        try:
            held = lock.acquire(blocking=False)
        except filelock.Timeout:
            self._inform(
                f"Another process is writing {str(path)!r}: waiting for it."
            )
            held = lock.acquire()
        with held:
            yield

    def _read(
        self,
        file: "_ImageFile",
        source: Callable[[int], Iterator[Batch]],
        batch_size: int,
        start: int,
    ) -> Iterator[Batch]:
        """Batches from a file, which is made anew where it is damaged."""
        for _ in range(2):
            signature = file.signature()
            try:
                for batch in file.read(batch_size, start):
                    yield batch
                    start += 1
                if start * batch_size >= file.images:
                    return
            except OSError:
                # Where it went wrong is no use to anybody.
                pass
            state = "gone" if file.signature() is None else "damaged"
            self._inform(f"{str(file.path)!r} is {state} and is made anew.")
            if not self._made(file, source, signature):
                break
        yield from source(start)


class KeptBatches:
    """Batches that may be gone through any number of times.

    Attributes:
        place: Where they are kept.

    Args:
        place: Where they are kept.
        batches: Gives the batches from one on, (uint8 images, labels).
    """

    def __init__(
        self, place: Place, batches: Callable[[int], Iterator[Batch]]
    ) -> None:
        self.place = place
        self._batches = batches

    def __iter__(self) -> Iterator[Batch]:
        """float32 images `[batch, size, size, 3]`, int32 labels `[batch]`."""
        device = accelerator()
        batches = self._batches(0)
        if device is not None:
            batches = _ahead(self._batches, device)
        for images, labels in batches:
            yield tf.cast(images, tf.float32), labels


def _ahead(
    batches: Callable[[int], Iterator[Batch]], device: str
) -> Iterator[Batch]:
    """All batches, the next of them on a device already, as uint8."""
    faults: list[Exception] = []

    def generate() -> Iterator[Batch]:
        try:
            yield from batches(0)
        except Exception as error:
            faults.append(error)
            raise

    signature = (
        tf.TensorSpec([None, None, None, 3], tf.uint8),
        tf.TensorSpec([None], tf.int32),
    )
    generated = tf.data.Dataset.from_generator(
        generate, output_signature=signature
    )
    try:
        yield from ahead_on(generated, device)
    except tf.errors.OpError:
        # What tf.data makes of an error is none of ours.
        if faults:
            raise faults[0] from None
        raise


class _State(NamedTuple):
    """What tells whether files have changed, without reading them."""

    # Says their names, sizes and times; empty where there are none.
    digest: str
    # The latest time of change.
    changed: float


class _Known(NamedTuple):
    state: _State
    fingerprint: str


def state_of(split: AnySplit) -> _State:
    """The state of the files that a split is read from.

    Raises:
        UserError: One of them is gone.
    """
    if not len(split.files):
        return _State("", 0.0)
    # What no file says: the numbers of records, or labels.
    own = (
        split.positions.astype("<i8")
        if isinstance(split, StreamSplit)
        else split.labels.astype("<i4")
    )
    digest = hashlib.sha256(own.tobytes())
    changed = 0.0
    for file in split.files:
        path = os.fsdecode(file)
        try:
            found = os.stat(path)
        except OSError as error:
            raise unreadable(path, error) from error
        times = (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        digest.update(os.fsencode(os.path.abspath(path)))
        digest.update(repr(times).encode())
        changed = max(changed, found.st_mtime, found.st_ctime)
    return _State(digest.hexdigest(), changed)


def _check_digits(state: str, found: str) -> str:
    return hashlib.sha256(f"{state} {found}".encode()).hexdigest()[:16]


# Which file it is, and of when.
_Signature = tuple[int, int, int]


class _ImageFile:
    """A file of images: pixels, labels, and a checksum of each of both."""

    def __init__(
        self,
        folder: pathlib.Path,
        split: AnySplit,
        preprocessing: PreprocessingOptions,
        key: str,
    ) -> None:
        side = preprocessing.image_size
        self.images = len(split)
        self.words = f"{len(split):,} {split.name} images at {side} pixels"
        self._side = side
        self._pixels = side * side * 3
        self.size = self.images * (
            self._pixels + _LABEL.itemsize + _CHECKSUM.itemsize
        )
        # For people who look into the folder; the key decides.
        name = re.sub(r"[^\w-]+", "-", split.name)[-40:]
        resized = preprocessing.evaluation_short_side
        self.path = folder / (
            f"{name}-{self.images}-{side}of{resized}-{key}{IMAGES}"
        )

    def is_of(self, path: pathlib.Path) -> bool:
        """Whether a path is the file's, or what a killed process left."""
        return path.name.removeprefix(".unfinished-") == self.path.name

    def signature(self) -> _Signature | None:
        """What tells this file from one that takes its place."""
        with contextlib.suppress(OSError):
            found = os.stat(self.path)
            return found.st_ino, found.st_size, found.st_mtime_ns
        return None

    def is_whole(self, damaged: _Signature | None) -> bool:
        """Whether the file is there, by its size, and another one."""
        found = self.signature()
        return found is not None and found != damaged and found[1] == self.size

    def write(self, batches: Iterator[Batch]) -> None:
        """Writes all images under a temporary name, then renames."""
        labels, checksums = [], []
        with unfinished(self.path) as temporary:
            with temporary.open("wb") as file:
                for images, marks in batches:
                    pixels = images.numpy().reshape(len(marks), -1)
                    labels.append(marks.numpy().astype(_LABEL))
                    checksums.append(_checksums(pixels, labels[-1]))
                    file.write(pixels.data)
                file.writelines(one.tobytes() for one in [*labels, *checksums])
            written = os.path.getsize(temporary)
            if written != self.size:
                raise OSError(
                    f"{written:,} of {self.size:,} bytes could be written"
                )

    def read(self, batch_size: int, start: int) -> Iterator[Batch]:
        """Batches from one on; an OSError where the file is damaged or gone."""
        # Its time of use alone: nobody removes it meanwhile.
        found = os.stat(self.path)
        with contextlib.suppress(OSError):
            os.utime(self.path, ns=(time.time_ns(), found.st_mtime_ns))
        with self.path.open("rb") as file:
            file.seek(self.images * self._pixels)
            labels = np.fromfile(file, _LABEL, self.images)
            checksums = np.fromfile(file, _CHECKSUM, self.images)
            if len(checksums) != self.images:
                raise OSError("it was cut off")
            file.seek(start * batch_size * self._pixels)
            # Read into again and again: new memory has to be cleared first.
            most = min(batch_size, self.images)
            room = np.empty([most, self._pixels], np.uint8)
            for first in range(start * batch_size, self.images, batch_size):
                part = slice(first, first + batch_size)
                marks = labels[part]
                pixels = room[: len(marks)]
                if file.readinto(pixels.data) != pixels.nbytes:
                    raise OSError("it was cut off")
                if np.any(_checksums(pixels, marks) != checksums[part]):
                    raise OSError("a checksum differs")
                shape = [len(marks), self._side, self._side, 3]
                yield (
                    tf.constant(pixels.reshape(shape)),
                    tf.constant(marks.astype(np.int32)),
                )


def _checksums(
    pixels: npt.NDArray[np.uint8], labels: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """A CRC-32 for each image and its label, uint32 `[images]`."""
    return np.array(
        [
            zlib.crc32(label.tobytes(), zlib.crc32(row.data))
            for row, label in zip(pixels, labels, strict=True)
        ],
        _CHECKSUM,
    )


def free_memory() -> int:
    """Bytes that a process can take, of the machine and of its container."""
    free = int(psutil.virtual_memory().available)
    # "max" is no number: there is no limit.
    with contextlib.suppress(OSError, ValueError):
        group = pathlib.Path("/sys/fs/cgroup")
        most = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        free = max(0, min(free, most - used))
    return free
