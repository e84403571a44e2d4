"""scikit-learn's bundled digits: a data set that needs no download."""

import numpy as np

from spos_tf.data.examples import Source, Split
from spos_tf.errors import missing_extra

_TEST_EVERY = 5


def load_digits_source() -> Source:
    """1,797 gray 8 x 8 digits as RGB, in a fixed order.

    Every fifth image of every class is a test image (355 in all): stratified,
    and the same on every machine and version.

    Raises:
        UserError: scikit-learn, which has the images, is not installed.
    """
    try:
        from sklearn.datasets import load_digits  # Late: slow to import.
    except ImportError:
        raise missing_extra("Data set 'digits'", "digits") from None

    digits = load_digits()
    gray = np.rint(digits.images * (255.0 / 16.0)).astype(np.uint8)
    images = np.repeat(gray[..., np.newaxis], 3, axis=-1)
    labels = digits.target.astype(np.int32)
    is_test = np.zeros(len(labels), bool)
    for label in range(10):
        of_class = np.flatnonzero(labels == label)
        is_test[of_class[_TEST_EVERY - 1 :: _TEST_EVERY]] = True
    return Source(
        name="digits",
        num_classes=10,
        class_names=tuple(str(label) for label in range(10)),
        train=Split(images[~is_test], labels[~is_test], "pixels", "train"),
        test=Split(images[is_test], labels[is_test], "pixels", "test"),
    )
