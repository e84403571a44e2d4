"""TFDS image-classification sets, in memory or streamed by their size."""

import os
import socket
import urllib.parse
import urllib.request
from typing import Any

import numpy as np
import tensorflow as tf

from spos_tf.data.examples import (
    AnySplit,
    Source,
    Split,
    StreamSplit,
    as_objects,
)
from spos_tf.errors import UserError

_READ_BATCH = 512
_TEST_SPLITS = ("test", "validation")


def load_tfds_source(
    name: str, data_dir: str | None, memory_limit_bytes: int
) -> Source:
    """Loads the TFDS set `name`, with features `image` and `label`.

    The test split is `test`, or `validation` where there is none or where, as
    in imagenet2012, its labels are withheld. Images of one fixed shape are
    decoded into one array; others stay encoded. A split that needs more than
    `memory_limit_bytes` is streamed in the order of its files.

    Raises:
        UserError: no such set, not prepared and not to be prepared, or not
            one of labelled uint8 images.
    """
    builder = _prepared_builder(name, data_dir)
    features = builder.info.features
    shape = _image_shape(name, features)
    label = features["label"]
    train_name, test_name = _split_names(name, builder)
    splits = [
        _load_split(builder, split, shape, label.num_classes, limit, role)
        for split, role, limit in (
            (train_name, "train", memory_limit_bytes),
            (test_name, "test", memory_limit_bytes),
        )
    ]
    return Source(
        name=name,
        num_classes=int(label.num_classes),
        class_names=tuple(label.names),
        train=splits[0],
        test=splits[1],
    )


def _prepared_builder(name: str, data_dir: str | None) -> Any:
    import tensorflow_datasets as tfds  # Late: slow to import.

    folder = None if data_dir is None else os.path.expanduser(data_dir)
    try:
        builder = tfds.builder(name, data_dir=folder)
    except Exception as error:
        # A name TFDS does not know, but also a malformed one: TFDS has an
        # exception of its own for each.
        raise UserError(
            f"Unknown data set '{name}'. Use 'digits', 'folder:PATH' or a "
            f"TFDS name such as 'cifar10' ({_one_line(error)})."
        ) from error
    if not _is_prepared(builder):
        try:
            _check_reachable(builder)
            builder.download_and_prepare()
        except Exception as error:
            # TFDS downloads by many means, each failing in its own way.
            raise UserError(
                f"Data set '{name}' is not prepared under "
                f"'{builder.data_dir}' and preparing it failed "
                f"({_one_line(error)}). Prepare it where there is a network "
                f"with the command 'tfds build {name}' and its option "
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
    raise ConnectionError(f"no network to reach {', '.join(sorted(hosts))}")


def _is_prepared(builder: Any) -> bool:
    return bool(builder.info.splits) and os.path.isdir(builder.data_dir)


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
    return tuple(image.shape)


def _split_names(name: str, builder: Any) -> tuple[str, str]:
    splits = builder.info.splits
    candidates: tuple[str, ...] = _TEST_SPLITS
    if builder.name.startswith("imagenet2012"):
        candidates = ("validation",)
    tests = [
        split
        for split in candidates
        if split in splits and splits[split].num_examples
    ]
    if "train" not in splits or not tests:
        raise UserError(
            f"A data set has the splits 'train' and 'test' or 'validation'; "
            f"'{name}' has {sorted(splits)}. Choose another data set."
        )
    return "train", tests[0]


def _load_split(
    builder: Any,
    split: str,
    shape: tuple[int | None, ...],
    num_classes: int,
    memory_limit_bytes: int,
    role: str,
) -> AnySplit:
    info = builder.info.splits[split]
    height, width = shape[:2]
    decode = height is not None and width is not None
    if height is not None and width is not None:
        num_bytes = info.num_examples * height * width * 3
    else:
        num_bytes = info.num_bytes
    if num_bytes > memory_limit_bytes:

        def open_range(start: int, stop: int) -> tf.data.Dataset:
            records = _read(builder, f"{split}[{start}:{stop}]", False)
            return records.map(
                lambda image, label: (image, _checked(label, num_classes))
            )

        return StreamSplit(
            open_range,
            np.arange(info.num_examples, dtype=np.int64),
            f"{builder.info.full_name}/{split}",
            role,
            tuple(filter(os.path.isfile, map(os.fspath, info.filepaths))),
        )
    try:
        return _load(builder, split, decode, role)
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise UserError(
            f"Split '{split}' of '{builder.name}' under '{builder.data_dir}' "
            f"cannot be read ({_one_line(error)}). Prepare it again."
        ) from error


def _read(builder: Any, split: str, decode: bool) -> tf.data.Dataset:
    """(image, label int32 scalar) in the order of the files."""
    import tensorflow_datasets as tfds

    decoders = None if decode else {"image": tfds.decode.SkipDecoding()}
    examples = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=decoders,
        # One file after the other: reading from record k on then gives the
        # same records as reading from 0.
        read_config=tfds.ReadConfig(
            interleave_cycle_length=1, try_autocache=False
        ),
    )
    return examples.map(
        lambda example: (
            example["image"],
            tf.cast(example["label"], tf.int32),
        )
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


def _load(builder: Any, split: str, decode: bool, role: str) -> Split:
    total = builder.info.splits[split].num_examples
    labels = np.empty(total, np.int32)
    pixels: np.ndarray | None = None
    encoded: list[bytes] = []
    start = 0
    for images, batch_labels in (
        _read(builder, split, decode).batch(_READ_BATCH).as_numpy_iterator()
    ):
        stop = start + len(images)
        labels[start:stop] = batch_labels
        if decode:
            if pixels is None:
                pixels = np.empty((total, *images.shape[1:3], 3), np.uint8)
            pixels[start:stop] = images  # Gray broadcasts to RGB.
        else:
            encoded.extend(images)
        start = stop
    if pixels is not None:
        return Split(pixels[:start], labels[:start], "pixels", role)
    return Split(as_objects(encoded), labels[:start], "encoded", role)
