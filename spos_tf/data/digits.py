"""scikit-learn's bundled digits: a data set that needs no download."""

import numpy as np

from spos_tf.data.examples import Source, Split
from spos_tf.errors import missing_extra

_TEST_IMAGES = 360


def load_digits_source() -> Source:
    """1,797 gray 8 x 8 digits as RGB, in a fixed order.

    360 of them are test images, a fifth of every class, as scikit-learn's
    `train_test_split` draws them with seed 0.

    Raises:
        UserError: scikit-learn, which has the images, is not installed.
    """
    try:
        # Late: slow to import.
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise missing_extra("Data set 'digits'", "digits") from None

    digits = load_digits()
    gray = np.rint(digits.images * (255.0 / 16.0)).astype(np.uint8)
    images = np.repeat(gray[..., np.newaxis], 3, axis=-1)
    labels = digits.target.astype(np.int32)
    _, test = train_test_split(
        np.arange(len(labels)),
        test_size=_TEST_IMAGES,
        random_state=0,
        stratify=labels,
    )
    is_test = np.zeros(len(labels), bool)
    is_test[test] = True
    return Source(
        name="digits",
        num_classes=10,
        class_names=tuple(str(label) for label in range(10)),
        train=Split(images[~is_test], labels[~is_test], "pixels", "train"),
        test=Split(images[is_test], labels[is_test], "pixels", "test"),
    )
