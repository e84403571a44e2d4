"""Data sets that are folders of class folders of image files."""

import hashlib
import pathlib
import unicodedata

import numpy as np

from spos_tf.data.examples import NoTestImages, Source, Split, as_objects
from spos_tf.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
_LAYOUTS = "PATH/{train,test}/<class>/* or PATH/<class>/*"


def load_folder_source(path: str, test_fraction: float) -> Source:
    """Reads the file names of a folder of class folders.

    Two layouts: `PATH/{train,test}/<class>/*`, or `PATH/<class>/*` with a
    `test_fraction` above 0, where an image is a test image by a hash of its
    path relative to `PATH`: adding or moving images leaves the others where
    they were, on every machine. Classes are sorted by name, images by class
    and name; files that do not end in one of EXTENSIONS, and hidden ones, are
    left out.

    Raises:
        UserError: a path, class or image is missing, or the layout and
            `test_fraction` do not fit.
    """
    root = pathlib.Path(path).expanduser()
    if not root.is_dir():
        raise UserError(
            f"'folder:PATH' names a folder; '{path}' is "
            f"{'a file' if root.exists() else 'missing'}. Give the folder "
            f"that holds {_LAYOUTS}."
        )
    layout_parts = [
        part for part in ("train", "test") if (root / part).is_dir()
    ]
    if layout_parts == ["train", "test"]:
        if test_fraction:
            raise UserError(
                f"test_fraction splits PATH/<class>/*; got {test_fraction} "
                f"and '{root}' has a train and a test folder. Leave it at 0."
            )
        return _split_by_folder(root)
    if layout_parts:
        missing = "test" if layout_parts == ["train"] else "train"
        raise UserError(
            f"A data folder with '{layout_parts[0]}' needs '{missing}' beside "
            f"it; '{root / missing}' is missing. Add it, or give '"
            f"folder:{root / layout_parts[0]}' with a test_fraction."
        )
    if not test_fraction:
        _class_names(root)  # Says so first if there is nothing to split.
        raise NoTestImages(
            f"A data folder without train and test folders needs a "
            f"test_fraction above 0; got 0 for '{root}'. Give for example "
            "`test_fraction=0.2`."
        )
    return _split_by_hash(root, test_fraction)


def _split_by_folder(root: pathlib.Path) -> Source:
    class_names = _class_names(root / "train")
    strange = sorted(set(_class_names(root / "test")) - set(class_names))
    if strange:
        raise UserError(
            f"Classes of the test folder are classes of the train folder; "
            f"'{strange[0]}' is in '{root / 'test'}' only. Add "
            f"'{root / 'train' / strange[0]}' or remove it."
        )
    parts = {
        part: [
            (file, label)
            for label, name in enumerate(class_names)
            for file in _images(root / part / name)
        ]
        for part in ("train", "test")
    }
    return _source(root, class_names, parts["train"], parts["test"])


def _split_by_hash(root: pathlib.Path, test_fraction: float) -> Source:
    class_names = _class_names(root)
    train: list[tuple[pathlib.Path, int]] = []
    test: list[tuple[pathlib.Path, int]] = []
    for label, name in enumerate(class_names):
        for file in _images(root / name):
            relative = file.relative_to(root).as_posix()
            is_test = _hash_fraction(relative) < test_fraction
            (test if is_test else train).append((file, label))
    return _source(root, class_names, train, test)


def _hash_fraction(relative_path: str) -> float:
    # Some file systems decompose accents, which would change the bytes.
    name = unicodedata.normalize("NFC", relative_path).encode(
        "utf-8", "surrogateescape"
    )
    return int.from_bytes(hashlib.sha256(name).digest()[:6], "big") / 2**48


def _class_names(folder: pathlib.Path) -> tuple[str, ...]:
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
    return tuple(names)


def _images(folder: pathlib.Path) -> list[pathlib.Path]:
    if not folder.is_dir():
        return []
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in EXTENSIONS
        and not entry.name.startswith(".")
        and entry.is_file()
    )


def _source(
    root: pathlib.Path,
    class_names: tuple[str, ...],
    train: list[tuple[pathlib.Path, int]],
    test: list[tuple[pathlib.Path, int]],
) -> Source:
    if not train and not test:
        raise UserError(
            f"Images end in {', '.join(EXTENSIONS)}; the class folders of "
            f"'{root}' hold no such file. Convert the images or give another "
            "folder."
        )
    seen = {label for _, label in train}
    for label, name in enumerate(class_names):
        if label not in seen:
            raise UserError(
                f"Every class has a training image; '{name}' of '{root}' has "
                "none. Add images or remove the folder."
            )
    return Source(
        name=f"folder:{root}",
        num_classes=len(class_names),
        class_names=class_names,
        train=_split(train, "train"),
        test=_split(test, "test"),
    )


def _split(examples: list[tuple[pathlib.Path, int]], name: str) -> Split:
    files = as_objects([str(file).encode() for file, _ in examples])
    labels = np.array([label for _, label in examples], np.int32)
    return Split(files, labels, "files", name)
