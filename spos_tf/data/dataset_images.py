"""A `tf.data.Dataset` of the user's own as images of a job."""

import contextlib
import functools
import hashlib
import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from spos_tf.data.examples import Split
from spos_tf.data.pipeline import TrainingData, finished, own_batch
from spos_tf.data.preprocessing import (
    PreprocessingOptions,
    resize_and_center_crop,
)
from spos_tf.data.splits import MOST_HELD_OUT
from spos_tf.errors import UserError

# Images that are scored on are kept, as many bytes at most.
_MOST_KEPT = 4 << 30
# How fingerprints begin that are of the form of a set, not of its images.
STREAMED = "tf.data:"
# What the checks below write.
_FAULT = re.compile(r"(?:Labels|Images) of `\w+` are [^{]*?(?=\]|$)")


class DatasetImages:
    """Batches of (images, labels) of the user's own; see `inputs.SplitImages`.

    A finite set is iterated again and again, as `keras.Model.fit` does. It is
    not augmented. Images that are scored on are read once and kept as uint8.

    Args:
        dataset: Batches as `keras.utils.image_dataset_from_directory` gives
            them: images `[batch, height, width, 1 or 3]` of 0 to 255; labels
            integers `[batch]`, one-hot `[batch, classes]` or binary
            `[batch, 1]`.
        argument: What messages call it.
        num_classes: Of the network.
        class_names: In the order of the network's outputs; None where nobody
            said.
        outputs: int32 `[num_classes]`, which output a label stands for; None
            where they are the labels.

    Raises:
        UserError: It is empty, or its elements are something else.
    """

    def __init__(
        self,
        dataset: tf.data.Dataset,
        argument: str,
        num_classes: int,
        class_names: tuple[str, ...] | None,
        outputs: np.ndarray | None = None,
    ) -> None:
        self._dataset = dataset
        self._argument = argument
        self._num_classes = num_classes
        self._outputs = outputs
        self.class_names = class_names
        # Images of its first batch; the last one may have fewer.
        self._batch = 0
        # By the side in pixels and how many.
        self._read: dict[tuple[int, int | None], Split] = {}
        self._check()

    @property
    def count(self) -> int | None:
        """None where that is not known; as if the last batch were full."""
        batches = int(self._dataset.cardinality())
        # Unknown and infinite are negative.
        return batches * self._batch if batches >= 0 else None

    def _check(self) -> None:
        spec, argument = self._dataset.element_spec, self._argument
        pair = isinstance(spec, tuple) and len(spec) == 2
        image, label = spec if pair else (None, None)
        if not (
            isinstance(image, tf.TensorSpec)
            and image.shape.rank == 4
            and image.shape[-1] in (1, 3)
            and isinstance(label, tf.TensorSpec)
            and label.shape.rank in (1, 2)
        ):
            raise UserError(
                f"A tf.data.Dataset as `{argument}` gives batches (images "
                "[batch, height, width, 3], labels [batch]), as "
                "keras.utils.image_dataset_from_directory does; this one "
                f"gives {spec}."
            )
        width = label.shape[1] if label.shape.rank == 2 else 1
        if width not in (1, self._num_classes):
            raise UserError(
                f"Labels of `{argument}` are classes in [0, "
                f"{self._num_classes}), one-hot or binary; got {width} values "
                f"an image and a network of {self._num_classes} classes."
            )
        names = self.class_names
        if names is not None and len(names) != self._num_classes:
            raise UserError(
                f"The tf.data.Dataset of `{argument}` has {len(names)} "
                f"classes; the network has {self._num_classes}. Use a network "
                f"with `num_classes={len(names)}`."
            )
        with self.errors():
            first = next(iter(self._dataset.take(1)), None)
        if first is None or not len(first[0]):
            raise UserError(
                f"The tf.data.Dataset of `{argument}` is empty. Give one with "
                "images."
            )
        self._batch = len(first[0])
        highest = float(tf.reduce_max(tf.cast(first[0], tf.float32)))
        if image.dtype.is_floating and highest <= 1:
            raise UserError(
                f"Images of `{argument}` are numbers of 0 to 255; the first "
                f"batch has none above {highest:g}. Leave rescaling out: "
                "networks normalize images themselves."
            )

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turns what is wrong with an element into a UserError."""
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            found = _FAULT.search(" ".join(error.message.split()))
            if found is None:
                raise
            raise UserError(f"{found[0].strip()}.") from error

    # Training

    def training(self, preprocessing: PreprocessingOptions) -> TrainingData:
        """Batches of the size that is asked for."""
        return TrainingData(
            functools.partial(self.batches, preprocessing), self.errors
        )

    def batches(
        self,
        preprocessing: PreprocessingOptions,
        *,
        batch_size: int,
        start_step: int,
        num_steps: int,
        seed: int,
        share: tuple[int, int] = (0, 1),
    ) -> tf.data.Dataset:
        """See `training_batches`; the set shuffles itself."""
        index, count = share
        own = own_batch(batch_size, count)

        def checked(images, labels):
            return self._rgb(images), self._classes(labels)

        def resized(images, labels):
            images = resize_and_center_crop(
                images,
                short_side=preprocessing.evaluation_short_side,
                size=preprocessing.image_size,
            )
            return images, labels

        def part(images, labels):
            mine = slice(index * own, (index + 1) * own)
            return images[mine], labels[mine]

        parallel = {"num_parallel_calls": tf.data.AUTOTUNE}
        batches = self._dataset.repeat().map(checked, **parallel)
        fixed = None not in batches.element_spec[0].shape[1:]
        if not fixed:
            # Batches of several sizes go together only when they are resized.
            batches = batches.map(resized, **parallel)
        batches = batches.rebatch(batch_size, drop_remainder=True)
        batches = batches.skip(start_step).take(num_steps - start_step)
        batches = batches.map(part, **parallel)
        if fixed:
            batches = batches.map(resized, **parallel)
        return finished(batches)

    def _rgb(self, images: tf.Tensor) -> tf.Tensor:
        """float32 images, checked."""
        images = tf.cast(images, tf.float32)
        # False for a NaN.
        fits = tf.reduce_all((images >= 0.0) & (images <= 255.0))
        rule = f"Images of `{self._argument}` are finite numbers of 0 to 255"
        with tf.control_dependencies([tf.debugging.Assert(fits, [rule])]):
            images = tf.identity(images)
        if images.shape[-1] == 1:
            images = tf.image.grayscale_to_rgb(images)
        return images

    def _classes(self, labels: tf.Tensor) -> tf.Tensor:
        """int32 `[batch]` of integers, one-hot rows or binary labels."""
        rule = (
            f"Labels of `{self._argument}` are classes in [0, "
            f"{self._num_classes})"
        )
        if labels.shape.rank == 2 and labels.shape[1] > 1:
            values = tf.cast(labels, tf.float32)
            legal = tf.reduce_max(values, 1) == 1
            legal &= tf.reduce_sum(values, 1) == 1
            rule += ", or one-hot; some are mixed"
            found = tf.argmax(values, 1, tf.int32)
        else:
            values = tf.reshape(labels, [-1])
            found = tf.cast(values, tf.int32)
            legal = (found >= 0) & (found < self._num_classes)
            legal &= tf.cast(found, values.dtype) == values
            rule += "; some are not"
        check = tf.debugging.Assert(tf.reduce_all(legal), [rule])
        with tf.control_dependencies([check]):
            found = tf.identity(found)
        return (
            found if self._outputs is None else tf.gather(self._outputs, found)
        )

    # Scoring

    def everything(self, preprocessing: PreprocessingOptions) -> Split:
        """All images of one pass, in an order that is theirs alone.

        Raises:
            UserError: It does not end, or an element is wrong.
        """
        return self._kept(preprocessing.evaluation_short_side, None)

    def subset(
        self, preprocessing: PreprocessingOptions, count: int, seed: int
    ) -> Split:
        """The first images of a pass: it is for the set to shuffle them.

        Where there are fewer, it is all of them, in an order of their own.
        """
        return self._kept(preprocessing.evaluation_short_side, count)

    def _kept(self, side: int, count: int | None) -> Split:
        if (side, count) not in self._read:
            self._read[side, count] = self._read_images(side, count)
        return self._read[side, count]

    def _read_images(self, side: int, count: int | None) -> Split:
        """uint8 images `[n, side, side, 3]`, the first ones.

        A square of evaluation's short side is all that evaluation looks at.
        """

        def cropped(images, labels):
            images = resize_and_center_crop(
                self._rgb(images), short_side=side, size=side
            )
            pixels = tf.cast(tf.round(images), tf.uint8)
            return pixels, self._classes(labels)

        endless = self._dataset.cardinality() == tf.data.INFINITE_CARDINALITY
        if count is None and endless:
            raise UserError(
                f"All images of `{self._argument}` are scored on, and its "
                "tf.data.Dataset has no end. Give one without repeat()."
            )
        images, labels, read = [], [], 0
        with self.errors():
            for some, classes in self._dataset.map(
                cropped, num_parallel_calls=tf.data.AUTOTUNE
            ).as_numpy_iterator():
                left = len(some) if count is None else count - read
                images.append(some[:left])
                labels.append(classes[:left])
                read += len(images[-1])
                if read == count:
                    break
                if read * side * side * 3 > _MOST_KEPT:
                    raise UserError(
                        f"Images of `{self._argument}` that are scored on are "
                        f"kept in memory; {read:,} of them take "
                        f"{_MOST_KEPT >> 30} GiB. Give fewer."
                    )
        items, classes = np.concatenate(images), np.concatenate(labels)
        if count is None or read < count:
            # All there are; the set may be shuffled otherwise the next time.
            digests = [hashlib.sha256(one.data).digest() for one in items]
            # Not by class in a subset: a batch that recalibrates has images
            # of all classes.
            by_class = count is None
            order = sorted(
                range(read),
                key=lambda i: (classes[i] * by_class, digests[i], classes[i]),
            )
            items, classes = items[order], classes[order]
        return Split(items, classes.astype(np.int32), "pixels", self._argument)

    def holdout_count(self) -> int:
        """The usual number; `hold_out` says that nothing can be kept back."""
        return MOST_HELD_OUT

    def confirmation_count(self, holdout_per_class: int) -> int:
        """None: nothing can be kept back."""
        return 0

    def hold_out(
        self, count: int, argument: str = "holdout_per_class"
    ) -> "tuple[DatasetImages, DatasetImages]":
        """Refuses: the set changes its order.

        Raises:
            UserError: Always.
        """
        raise UserError(
            f"From a tf.data.Dataset as `{self._argument}` no images can be "
            "kept back to score paths on, since it may change its order. Give "
            "`validation` too, for example by "
            "keras.utils.image_dataset_from_directory(..., "
            "validation_split=0.2, subset='both', seed=0)."
        )

    def fingerprint(self) -> str:
        """Tells sets apart by what is known without reading them."""
        known = (
            str(self._dataset.element_spec),
            int(self._dataset.cardinality()),
            self.class_names,
        )
        digest = hashlib.sha256(repr(known).encode()).hexdigest()
        return f"{STREAMED}{digest[:32]}"
