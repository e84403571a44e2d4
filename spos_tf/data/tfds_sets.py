"""TFDS image-classification sets, in memory or streamed by their size."""

import dataclasses
import functools
import itertools
import os
import socket
import urllib.parse
import urllib.request
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from spos_tf.data.decoding import decode
from spos_tf.data.examples import (
    AnySplit,
    Source,
    Split,
    StreamSplit,
    as_objects,
)
from spos_tf.data.split_names import (
    SplitNames,
    no_test_images,
    refuse_test_fraction,
)
from spos_tf.data.splits import take_fraction
from spos_tf.errors import UserError

_READ_BATCH = 512
_CHANNELS = (1, 3, 4)


class _Slice(NamedTuple):
    """The records `start` to `stop - 1` of a split of a set."""

    split: str
    start: int
    stop: int


def load_tfds_source(
    name: str, data_dir: str | None, names: SplitNames, memory_limit_bytes: int
) -> Source:
    """Loads the TFDS set `name`, with features `image` and `label`.

    The test split is `names.test`, or else the first of `names.tests` that
    there is (of imagenet2012 `validation`, since the labels of its test split
    are withheld), or else a share of the training split. Images of one fixed
    shape are decoded into one array; others stay encoded. A split that needs
    more than `memory_limit_bytes` is streamed in the order of its files.

    Raises:
        UserError: no such set or split, not prepared and not to be prepared,
            or not one of labelled uint8 images.
    """
    builder = _prepared_builder(name, data_dir)
    features = builder.info.features
    shape = _image_shape(name, features)
    label = features["label"]
    train_name, test_name = _split_names(name, builder, names)
    train_slices = _slices(name, builder, train_name)
    load = functools.partial(
        _load_split, builder, shape, label.num_classes, memory_limit_bytes
    )
    train = load(train_slices, "train")
    if test_name is None and names.test_fraction:
        train, test = take_fraction(train, names.test_fraction)
    elif test_name is None:
        test = train.select(np.zeros(0, np.int64), "test")
    else:
        test_slices = _slices(name, builder, test_name)
        _refuse_overlap(train_name, train_slices, test_name, test_slices)
        test = load(test_slices, "test")
    return Source(
        name=name,
        num_classes=int(label.num_classes),
        class_names=tuple(label.names),
        train=train,
        test=test,
        strict=names.strict,
    )


def _prepared_builder(name: str, data_dir: str | None) -> Any:
    import tensorflow_datasets as tfds  # Late: slow to import.

    folder = None if data_dir is None else os.path.expanduser(data_dir)
    try:
        builder = tfds.builder(name, data_dir=folder)
    except Exception as error:
        # A name TFDS does not know, but also a malformed one: TFDS has an
        # exception of its own for each.
        if os.path.isdir(os.path.expanduser(name)):
            raise UserError(
                f"A folder of images is named by 'folder:PATH'; got '{name}'. "
                f"Give 'folder:{name}'."
            ) from error
        raise UserError(
            f"Unknown data set '{name}'. Use 'digits', 'folder:PATH' or a "
            f"TFDS name such as 'cifar10' ({_one_line(error)})."
        ) from error
    if not (builder.info.splits and os.path.isdir(builder.data_dir)):
        try:
            _check_reachable(builder)
            builder.download_and_prepare()
        except Exception as error:
            # TFDS downloads by many means, each failing in its own way.
            raise UserError(
                f"Data set '{name}' is not prepared under "
                f"'{builder.data_dir}' and preparing it failed "
                f"({_one_line(error)}). Prepare it on a machine with internet "
                f"access by the command 'tfds build {name}' and its option "
                "data_dir, then give the same `data_dir`."
            ) from error
    return builder


def _check_reachable(builder: Any) -> None:
    """Raises an OSError if no host of the set's files has an address.

    TFDS tries an unreachable host for minutes before it gives up.
    """
    urls = list(getattr(builder, "url_infos", None) or ())
    if getattr(builder, "MANUAL_DOWNLOAD_INSTRUCTIONS", None) or not urls:
        return
    if urllib.request.getproxies():
        return  # Names are the proxy's to resolve.
    hosts = {urllib.parse.urlsplit(url).hostname for url in urls} - {None}
    for host in sorted(hosts):
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            continue
        return
    raise ConnectionError(f"cannot reach {', '.join(sorted(hosts))}")


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    first = lines[0].strip().rstrip(".:") if lines else ""
    return f"{type(error).__name__}: {first}"[:200]


def _image_shape(name: str, features: Any) -> tuple[int | None, ...]:
    import tensorflow_datasets as tfds

    named = isinstance(features, tfds.features.FeaturesDict)
    image = features["image"] if named and "image" in features else None
    label = features["label"] if named and "label" in features else None
    if not isinstance(image, tfds.features.Image) or not isinstance(
        label, tfds.features.ClassLabel
    ):
        came = sorted(features) if named else features
        raise UserError(
            f"A data set has the features 'image' and 'label' (a class); "
            f"'{name}' has {came}. Choose an image-classification set."
        )
    if image.np_dtype != np.uint8:
        raise UserError(
            f"Images are uint8; those of '{name}' are {image.np_dtype}. "
            "Choose another data set."
        )
    if image.shape[2] not in (*_CHANNELS, None):
        raise UserError(
            "Images have 1 channel (gray), 3 (RGB) or 4 (RGB and alpha, which "
            f"is dropped); those of '{name}' have {image.shape[2]}. Choose "
            "another data set."
        )
    return tuple(image.shape)


def _split_names(
    name: str, builder: Any, names: SplitNames
) -> tuple[str, str | None]:
    """Names of the training and of the test split; None if there is none."""
    splits = builder.info.splits
    if builder.name.startswith("imagenet2012"):
        names = dataclasses.replace(names, tests=("validation",))
    full = {split for split in splits if splits[split].num_examples}
    train = names.train or "train"
    if names.train is None and train not in full:
        raise UserError(
            f"The training split of a data set is 'train'; '{name}' has "
            f"{sorted(splits)}. Name one of them with `train_split`."
        )
    test = names.test or names.first_test(full)
    if test is not None:
        refuse_test_fraction(names, f"'{name}'", f"the split '{test}'")
    elif names.need_fraction:
        raise no_test_images(f"'{name}' has only {sorted(splits)}")
    return train, test


def _slices(name: str, builder: Any, split: str) -> list[_Slice]:
    """The records that a split's name or a slice such as train[:80%] means."""
    import tensorflow_datasets as tfds

    splits = builder.info.splits
    try:
        instructions = tfds.core.ReadInstruction.from_spec(split).to_absolute(
            {one: splits[one] for one in splits}
        )
        found = [
            _Slice(
                one.splitname,
                one.from_ or 0,
                splits[one.splitname].num_examples
                if one.to is None
                else one.to,
            )
            for one in instructions
        ]
    except Exception as error:
        # TFDS has an error of its own for each of the ways to misspell it.
        raise UserError(
            "A split is a name or a slice such as 'train[:80%]' of "
            f"{sorted(splits)}; '{name}' has no {split!r} "
            f"({_one_line(error)})."
        ) from error
    if not any(one.stop > one.start for one in found):
        raise UserError(
            f"A split holds images; {split!r} of '{name}' has none. Choose "
            "another slice."
        )
    return found


def _refuse_overlap(
    train_name: str, train: list[_Slice], test_name: str, test: list[_Slice]
) -> None:
    for one, other in itertools.product(train, test):
        start = max(one.start, other.start)
        stop = min(one.stop, other.stop)
        if one.split == other.split and start < stop:
            raise UserError(
                f"Training and test images are different ones; {stop - start} "
                f"images are in both {train_name!r} and {test_name!r}. Give "
                "splits that share none, such as 'train[:80%]' and "
                "'train[80%:]'."
            )


def _load_split(
    builder: Any,
    shape: tuple[int | None, ...],
    num_classes: int,
    memory_limit_bytes: int,
    slices: list[_Slice],
    role: str,
) -> AnySplit:
    total = sum(one.stop - one.start for one in slices)
    height, width = shape[:2]
    if height is not None and width is not None:
        num_bytes: float = total * height * width * 3
    else:
        num_bytes = sum(_stored_bytes(builder, one) for one in slices)
    spec = _spec(slices, 0, total)
    if num_bytes > memory_limit_bytes:

        def open_range(start: int, stop: int) -> tf.data.Dataset:
            records = _read(builder, _spec(slices, start, stop))
            return records.map(
                lambda image, label: (image, _checked(label, num_classes))
            )

        return StreamSplit(
            open_range,
            np.arange(total, dtype=np.int64),
            f"{builder.info.full_name}/{_name_of(builder, slices, spec)}",
            role,
            _local_files(builder, slices),
        )
    try:
        return _load(builder, spec, total, shape, role)
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise UserError(
            f"Split '{spec}' of '{builder.name}' under '{builder.data_dir}' "
            f"cannot be read ({_one_line(error)}). Prepare it again."
        ) from error


def _local_files(builder: Any, slices: list[_Slice]) -> tuple[str, ...]:
    """Record files of some slices, as far as they are on this machine."""
    splits = {one.split for one in slices}
    paths = (p for one in splits for p in builder.info.splits[one].filepaths)
    return tuple(sorted(filter(os.path.isfile, map(os.fspath, paths))))


def _stored_bytes(builder: Any, one: _Slice) -> float:
    info = builder.info.splits[one.split]
    return info.num_bytes * (one.stop - one.start) / info.num_examples


def _spec(slices: list[_Slice], start: int, stop: int) -> str:
    """TFDS's name of the records `start` to `stop - 1` of some slices."""
    parts = []
    for one in slices:
        length = one.stop - one.start
        first, end = max(start, 0), min(stop, length)
        if first < end:
            parts.append(f"{one.split}[{one.start + first}:{one.start + end}]")
        start, stop = start - length, stop - length
    return "+".join(parts)


def _name_of(builder: Any, slices: list[_Slice], spec: str) -> str:
    """A whole split is called by its name."""
    only = slices[0]
    whole = builder.info.splits[only.split].num_examples
    return only.split if slices == [_Slice(only.split, 0, whole)] else spec


def _read(builder: Any, spec: str) -> tf.data.Dataset:
    """(encoded image, label int32 scalar) in the order of the files."""
    import tensorflow_datasets as tfds

    examples = builder.as_dataset(
        split=spec,
        shuffle_files=False,
        decoders={"image": tfds.decode.SkipDecoding()},
        # One file after the other: reading from record k on then gives the
        # same records as reading from 0.
        read_config=tfds.ReadConfig(
            interleave_cycle_length=1, try_autocache=False
        ),
    )
    return examples.map(
        lambda example: (example["image"], tf.cast(example["label"], tf.int32))
    )


def _checked(label: tf.Tensor, num_classes: int) -> tf.Tensor:
    message = f"Labels are in [0, {num_classes})"
    with tf.control_dependencies(
        [
            tf.debugging.Assert(
                (label >= 0) & (label < num_classes),
                [message + "; a record has", label],
            )
        ]
    ):
        return tf.identity(label)


def _load(
    builder: Any,
    spec: str,
    total: int,
    shape: tuple[int | None, ...],
    role: str,
) -> Split:
    records = _read(builder, spec)
    height, width = shape[:2]
    pixels: np.ndarray | None = None
    if height is not None and width is not None:
        pixels = np.empty((total, height, width, 3), np.uint8)
        # As files are decoded, and not by TFDS, whose features have as many
        # channels as the files.
        records = records.map(
            lambda image, label: (
                tf.ensure_shape(decode(image), [height, width, 3]),
                label,
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    labels = np.empty(total, np.int32)
    encoded: list[bytes] = []
    start = 0
    for images, batch_labels in records.batch(_READ_BATCH).as_numpy_iterator():
        stop = start + len(images)
        labels[start:stop] = batch_labels
        if pixels is None:
            encoded.extend(images)
        else:
            pixels[start:stop] = images
        start = stop
    if pixels is not None:
        return Split(pixels[:start], labels[:start], "pixels", role)
    return Split(as_objects(encoded), labels[:start], "encoded", role)
