"""Data sets by name: the bundled digits, folders of images, TFDS sets."""

from spos_tf.data.digits import load_digits_source
from spos_tf.data.examples import AnySplit, Source, Split, StreamSplit
from spos_tf.data.folders import load_folder_source
from spos_tf.data.tfds_sets import load_tfds_source
from spos_tf.errors import UserError

__all__ = ["AnySplit", "Source", "Split", "StreamSplit", "load_source"]

_FOLDER = "folder:"


def load_source(
    name: str,
    *,
    data_dir: str | None = None,
    test_fraction: float = 0.0,
    memory_limit_bytes: int = 4 << 30,
) -> Source:
    """Loads a data set.

    Args:
        name: "digits" (ships with scikit-learn), "folder:PATH" (class folders
            of images) or the name of a TFDS image-classification set.
        data_dir: where TFDS sets are prepared; None is TFDS's own default.
        test_fraction: share of test images of a folder without a test folder,
            in [0, 1).
        memory_limit_bytes: a split of a TFDS set that needs more is streamed.

    Raises:
        UserError: the name, the data or a combination of arguments is wrong.
    """
    if not 0.0 <= test_fraction < 1.0:
        raise UserError(
            f"test_fraction is in [0, 1); got {test_fraction}. Give for "
            "example 0.2."
        )
    if name.startswith(_FOLDER):
        return load_folder_source(name.removeprefix(_FOLDER), test_fraction)
    if test_fraction:
        raise UserError(
            f"test_fraction is for 'folder:PATH' alone; got {test_fraction} "
            f"with '{name}', whose test split is fixed. Leave it at 0."
        )
    if name == "digits":
        return load_digits_source()
    return load_tfds_source(name, data_dir, memory_limit_bytes)
