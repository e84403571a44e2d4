"""Data sets that are folders of class folders of image files."""

import collections
import hashlib
import os
import pathlib
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from spos_tf.data.examples import Source, Split, as_objects
from spos_tf.data.pictures import ENDINGS
from spos_tf.data.split_names import (
    SplitNames,
    no_test_images,
    refuse_test_fraction,
)
from spos_tf.errors import UserError

_LAYOUTS = "PATH/{train,test}/<class>/* or PATH/<class>/*"


class _Class(NamedTuple):
    """What lies in the folder of a class."""

    name: str
    images: list[pathlib.Path]
    # How many other files there are, by ending.
    left_out: collections.Counter[str]


def load_folder_source(path: str, names: SplitNames) -> Source:
    """Reads the file names of a folder of class folders.

    Two layouts: `PATH/{train,test}/<class>/*`, or `PATH/<class>/*` with a
    test fraction above 0, where an image is a test image by a hash of its
    path relative to `PATH`: adding or moving images leaves the others where
    they were, on every machine. Folders in the folder of a class belong to
    it. Classes are sorted by name, images by class and path; files that do
    not end in one of `pictures.ENDINGS` are left out and counted, hidden ones
    left out.

    Args:
        path: The folder.
        names: Which folders are the splits, or which share is test.

    Raises:
        UserError: a path, class or image is missing, or the layout and
            `names` do not fit.
    """
    root = pathlib.Path(path).expanduser()
    if not root.is_dir():
        raise UserError(
            f"'folder:PATH' names a folder; '{path}' is "
            f"{'a file' if root.exists() else 'missing'}. Give a PATH with "
            f"images in {_LAYOUTS}."
        )
    present = {entry.name for entry in root.iterdir() if entry.is_dir()}
    for name in (names.train, names.test):
        if name is not None and name not in present:
            raise UserError(
                f"A split of a folder is a folder in it; '{root / name}' is "
                "missing. Correct the name of the split."
            )
    train = names.train or ("train" if "train" in present else None)
    test = names.test or names.first_test(present)
    if train is None and test not in ("test", names.test):
        # Without a training folder the other names are those of classes.
        test = None
    if train is None and test is None:
        return _split_by_hash(root, names)
    if train is None:
        raise UserError(
            f"A data folder with '{test}' needs 'train' beside it; "
            f"'{root / 'train'}' is missing. Add it, or give "
            f"'folder:{root / str(test)}' with a `test_fraction`."
        )
    if test is None:
        return _split_by_hash(root / train, names)
    refuse_test_fraction(names, f"'{root}'", f"the folder '{test}'")
    unread = sorted(
        name for name in present - {train, test} if not name.startswith(".")
    )
    return _split_by_folder(root, train, test, unread, names.strict)


def _split_by_folder(
    root: pathlib.Path, train: str, test: str, unread: list[str], strict: bool
) -> Source:
    trained = _classes(root / train)
    tested = _classes(root / test)
    class_names = [one.name for one in trained]
    strange = sorted({one.name for one in tested} - set(class_names))
    faults, notes = [], []
    if strange:
        faults.append(
            "Classes of the test folder are classes of the train folder; "
            f"{', '.join(map(repr, strange))} is in '{root / test}' only. Add "
            f"'{root / train / strange[0]}' or remove it."
        )
        tested = [one for one in tested if one.name not in strange]
    if unread:
        notes.append(
            f"Only '{train}' and '{test}' of '{root}' are read; left out: "
            f"{', '.join(map(repr, unread))}."
        )
    without = _words(one for one in tested if not one.images)
    missing = sorted(set(class_names) - {one.name for one in tested})
    without += [repr(name) for name in missing]
    if without:
        notes.append(
            f"Accuracy on '{root / test}' says nothing about classes without "
            f"an image there: {', '.join(without)}."
        )
    labels = {name: label for label, name in enumerate(class_names)}
    return _source(
        root,
        [root / train, root / test],
        trained,
        [(file, labels[one.name]) for one in trained for file in one.images],
        [(file, labels[one.name]) for one in tested for file in one.images],
        [*trained, *tested],
        notes,
        faults,
        strict,
    )


def _split_by_hash(root: pathlib.Path, names: SplitNames) -> Source:
    classes = _classes(root)  # Says so first if there is nothing to split.
    if names.need_fraction:
        raise no_test_images(
            f"'{root}' has no folder {' or '.join(map(repr, names.tests))}"
            + (" beside it" if root.name == (names.train or "train") else "")
        )
    fraction = names.test_fraction or 0.0
    train: list[tuple[pathlib.Path, int]] = []
    test: list[tuple[pathlib.Path, int]] = []
    for label, one in enumerate(classes):
        for file in one.images:
            relative = file.relative_to(root).as_posix()
            is_test = _hash_fraction(relative) < fraction
            (test if is_test else train).append((file, label))
    return _source(
        root, [root], classes, train, test, classes, [], [], names.strict
    )


def _hash_fraction(relative_path: str) -> float:
    # Some file systems decompose accents, which would change the bytes.
    name = unicodedata.normalize("NFC", relative_path).encode(
        "utf-8", "surrogateescape"
    )
    return int.from_bytes(hashlib.sha256(name).digest()[:6], "big") / 2**48


def _classes(folder: pathlib.Path) -> list[_Class]:
    """The classes of a split, by name."""
    names = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith(".")
    )
    if not names:
        raise UserError(
            f"A data folder holds a folder for every class; '{folder}' holds "
            f"none. Lay the images out as {_LAYOUTS}."
        )
    for name in names:
        # Half a surrogate is a byte that is no UTF-8.
        if any(unicodedata.category(one) in ("Cc", "Cs") for one in name):
            shown = os.fsencode(name).decode("utf-8", "backslashreplace")
            raise UserError(
                "The name of a class is text in UTF-8, without control "
                f"characters; '{shown}' in '{folder}' is not. Rename the "
                "folder."
            )
    return [_class(folder / name) for name in names]


def _class(folder: pathlib.Path) -> _Class:
    images, left_out = [], collections.Counter[str]()
    for file in _files(os.fspath(folder), ()):
        ending = file.suffix.lower()
        if ending in ENDINGS:
            images.append(file)
        else:
            left_out[ending] += 1
    images.sort(key=lambda file: file.parts)
    return _Class(folder.name, images, left_out)


def _files(folder: str, above: tuple[str, ...]) -> Iterator[pathlib.Path]:
    """All files below a folder, in any order."""
    # The real places of all folders that it is in: a link back to one of them
    # would never end.
    here = (*above, os.path.realpath(folder))
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if os.path.realpath(entry.path) not in here:
                    yield from _files(entry.path, here)
            # A link to nowhere is an image that is missing.
            elif entry.is_file() or entry.is_symlink():
                yield pathlib.Path(entry.path)


def _source(
    root: pathlib.Path,
    parts: list[pathlib.Path],
    trained: list[_Class],
    train: list[tuple[pathlib.Path, int]],
    test: list[tuple[pathlib.Path, int]],
    read: list[_Class],
    notes: list[str],
    faults: list[str],
    strict: bool,
) -> Source:
    seen = {label for _, label in train}
    empty = [one for label, one in enumerate(trained) if label not in seen]
    if empty:
        faults.append(
            "Every class has a training image, a file that ends in "
            f"{', '.join(ENDINGS)}; of '{root}' these have none: "
            f"{', '.join(_words(empty))}. Convert or add images, or remove "
            "the folder."
        )
    left_out = sum((one.left_out for one in read), collections.Counter[str]())
    # Files that lie where no class says what they are.
    stray = sum(
        entry.is_file() and entry.suffix.lower() in ENDINGS
        for part in {root, *parts}
        for entry in part.iterdir()
        if not entry.name.startswith(".")
    )
    said = [_counted(left_out)] if left_out else []
    if stray:
        said.append(f"{stray} images in no folder of a class")
    if said:
        notes.insert(
            0,
            f"Left out of '{root}': {', '.join(said)}. Only files that end in "
            f"{', '.join(ENDINGS)} are read.",
        )
    return Source(
        name=f"folder:{root}",
        num_classes=len(trained),
        class_names=tuple(one.name for one in trained),
        train=_split(train, "train"),
        test=_split(test, "test"),
        notes=tuple(notes),
        faults=tuple(faults),
        strict=strict,
    )


def _words(classes: Iterable[_Class]) -> list[str]:
    """Names of classes that lack images, with what is there instead."""

    def held(one: _Class) -> str:
        if one.images:
            return f" (all {len(one.images)} images are test images)"
        return f" (it holds {_counted(one.left_out)})" if one.left_out else ""

    return [f"{one.name!r}{held(one)}" for one in classes]


def _counted(left_out: collections.Counter[str]) -> str:
    """`"12 .heic, 3 .txt"`, the most frequent ending first."""
    return ", ".join(
        f"{count} {ending or 'without an ending'}"
        for ending, count in sorted(
            left_out.items(), key=lambda item: (-item[1], item[0])
        )
    )


def _split(examples: list[tuple[pathlib.Path, int]], name: str) -> Split:
    files = as_objects([os.fsencode(file) for file, _ in examples])
    labels = np.array([label for _, label in examples], np.int32)
    return Split(files, labels, "files", name)
