"""Data sets by name: the bundled digits, folders of images, TFDS sets."""

import dataclasses
import os

import numpy as np

from spos_tf.data.digits import load_digits_source
from spos_tf.data.examples import AnySplit, Source, Split
from spos_tf.data.folders import load_folder_source
from spos_tf.data.split_names import SplitNames, refuse_test_fraction
from spos_tf.errors import UserError
from spos_tf.options import SourceOptions
from spos_tf.paths import local_path

_FOLDER = "folder:"


def is_folder(dataset: str) -> bool:
    """Whether a data set's name is that of a folder."""
    return dataset.startswith(_FOLDER)


@dataclasses.dataclass(frozen=True)
class DataSource:
    """A data set by its name; nothing is read before `load`.

    Attributes:
        dataset: "digits", "folder:PATH" or the name of a TFDS set.
        data_dir: Where TFDS sets are prepared; None is TFDS's own default.
        test_fraction: Share of the training images that is test, of a set
            without a test split; None for none.
        train_split: Name of the training split; None for "train".
        test_split: Name of the test split; None for "test", or else
            "validation" or "val".
        first_classes: How many of its classes are taken; None for all.
    """

    dataset: str
    data_dir: str | None = None
    test_fraction: float | None = None
    train_split: str | None = None
    test_split: str | None = None
    first_classes: int | None = None

    @classmethod
    def of(cls, options: SourceOptions) -> "DataSource":
        """The data set that options name.

        Raises:
            UserError: They name none.
        """
        if options.dataset is None:
            raise UserError(
                "Images are needed. Name a data set by `dataset`: "
                "folder:PATH, or the name of a TFDS set."
            )
        return cls(
            **{
                field.name: getattr(options, field.name)
                for field in dataclasses.fields(cls)
            }
        )

    @property
    def options(self) -> SourceOptions:
        """The options that name it, as `run.json` holds them."""
        return SourceOptions(**dataclasses.asdict(self))

    def load(
        self, *, strict: bool = True, memory_limit_bytes: int = 4 << 30
    ) -> Source:
        """Reads what there is.

        Args:
            strict: Whether classes without images, or no test images, are
                errors; else they are `faults` of the source.
            memory_limit_bytes: A split of a TFDS set that needs more is
                streamed.

        Raises:
            UserError: The data cannot be had, or a combination of values is
                wrong.
        """
        source = self._whole(strict, memory_limit_bytes)
        if self.first_classes is None:
            return source
        return first_classes(source, self.first_classes)

    def _whole(self, strict: bool, memory_limit_bytes: int) -> Source:
        names = SplitNames(
            train=self.train_split,
            test=self.test_split,
            test_fraction=self.test_fraction,
            strict=strict,
        )
        local_path(self.dataset, "dataset")
        if self.data_dir is not None:
            local_path(self.data_dir, "data_dir")
        if is_folder(self.dataset):
            path = self.dataset.removeprefix(_FOLDER)
            return load_folder_source(path, names)
        if self.dataset == "digits":
            if names.train or names.test:
                raise UserError(
                    "The splits of 'digits' have no names. Leave "
                    "`train_split` and `test_split` out."
                )
            refuse_test_fraction(names, "'digits'", "a fixed test split")
            return load_digits_source()
        # Late: it brings TensorFlow, which describing a space does without.
        from spos_tf.data.tfds_sets import load_tfds_source

        return load_tfds_source(
            self.dataset, self.data_dir, names, memory_limit_bytes
        )


def folder(
    path: str | os.PathLike[str],
    *,
    test_fraction: float | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    first_classes: int | None = None,
) -> DataSource:
    """Images in a folder, as data of a job.

    Args:
        path: Folder with `train/<class>/*` and `test/<class>/*`, or with
            `<class>/*` and a `test_fraction`. Images are JPEG, PNG, BMP, GIF,
            WebP or TIFF (docs/your_data.md).
        test_fraction: Share of the training images, in [0, 1), that is test
            where there is no test folder. A hash of an image's path decides,
            so adding images leaves the others where they were.
        train_split: Name of the folder of training images, if not "train".
        test_split: Name of the folder of test images, if not "test",
            "validation" or "val".
        first_classes: Only the images of the first classes, this many; all if
            None.

    Returns:
        The data set, which is read when a job needs it.

    Raises:
        UserError: An argument is out of its range.

    Example:
        >>> spos_tf.folder("photos", test_fraction=0.2)  # doctest: +SKIP
    """
    return DataSource(
        f"{_FOLDER}{os.fspath(path)}",
        test_fraction=test_fraction,
        train_split=train_split,
        test_split=test_split,
        first_classes=first_classes,
    )


def tfds(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    test_fraction: float | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    first_classes: int | None = None,
) -> DataSource:
    """A set of TensorFlow Datasets, as data of a job.

    Args:
        name: Name of any image-classification set, for example "cifar10".
        data_dir: Folder of the data sets that TFDS has prepared; TFDS's own
            default if None.
        test_fraction: Share of the training images, in [0, 1), that is test
            where the set has no test split: as many of every class as can
            be, the same ones in every run.
        train_split: Name of the training split or a slice such as
            "train[:80%]"; "train" if None.
        test_split: Likewise; "test", "validation" or "val" if None.
        first_classes: Only the images of the first classes, this many; all if
            None.

    Returns:
        The data set, which is read when a job needs it.

    Raises:
        UserError: An argument is out of its range.

    Example:
        >>> spos_tf.tfds("cifar10", data_dir="data")  # doctest: +SKIP
    """
    return DataSource(
        name,
        data_dir=None if data_dir is None else os.fspath(data_dir),
        test_fraction=test_fraction,
        train_split=train_split,
        test_split=test_split,
        first_classes=first_classes,
    )


def first_classes(source: Source, count: int) -> Source:
    """Keeps the images of the first `count` classes.

    Args:
        source: In memory.
        count: Classes to keep, from 1 to all.

    Raises:
        UserError: There are fewer classes, or a split is streamed.
    """
    if not 1 <= count <= source.num_classes:
        raise UserError(
            f"`first_classes` is 1 to {source.num_classes}, the classes of "
            f"data set '{source.name}'; got {count}."
        )
    if count == source.num_classes:
        return source
    return dataclasses.replace(
        source,
        num_classes=count,
        class_names=source.class_names[:count],
        train=_kept(source.train, count),
        test=_kept(source.test, count),
    )


def _kept(split: AnySplit, count: int) -> Split:
    if not isinstance(split, Split):
        raise UserError(
            "`first_classes` needs a data set that fits in memory; split "
            f"'{split.name}' is read as a stream. Prepare a data set of these "
            "classes alone."
        )
    return split.select(np.flatnonzero(split.labels < count))
