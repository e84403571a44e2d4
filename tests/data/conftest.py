"""Small data sets that the tests of `spos_tf.data` make themselves."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from spos_tf.data.examples import Split, StreamSplit, as_objects


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth uint8 image: what JPEG keeps nearly as it is."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 255, (4, 4, 3)).astype(np.float32)
    image = tf.image.resize(small, [height, width], "bicubic")
    return np.clip(image.numpy(), 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray) -> bytes:
    return tf.io.encode_jpeg(image, quality=95).numpy()


@pytest.fixture(scope="session")
def make_photo():
    """The function `photo(height, width, seed)`."""
    return photo


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    """12 JPEGs of different shapes."""
    shapes = [(40 + 7 * i, 90 - 5 * i) for i in range(12)]
    return [jpeg(photo(h, w, i)) for i, (h, w) in enumerate(shapes)]


@pytest.fixture(scope="session")
def encoded_split(photos) -> Split:
    labels = np.arange(12, dtype=np.int32) % 3
    return Split(as_objects(photos), labels, "encoded", "train")


@pytest.fixture(scope="session")
def file_split(photos, tmp_path_factory) -> Split:
    folder = tmp_path_factory.mktemp("photos")
    names = []
    for index, data in enumerate(photos):
        path = folder / f"{index:02d}.jpg"
        path.write_bytes(data)
        names.append(str(path).encode())
    labels = np.arange(12, dtype=np.int32) % 3
    return Split(as_objects(names), labels, "files", "train")


@pytest.fixture(scope="session")
def pixel_split() -> Split:
    """50 images of 8 x 8; the value of every pixel tells the image."""
    items = np.zeros((50, 8, 8, 3), np.uint8)
    items += np.arange(50, dtype=np.uint8)[:, None, None, None] + 1
    return Split(items, np.arange(50, dtype=np.int32) % 5, "pixels", "train")


@pytest.fixture(scope="session")
def stream_split(photos) -> StreamSplit:
    """The 12 photos as a stream; labels tell the record."""
    with tf.device("CPU:0"):
        items = tf.constant(photos)
        labels = tf.range(12, dtype=tf.int32)

    def open_range(start: int, stop: int) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(
            (items[start:stop], labels[start:stop])
        )

    return StreamSplit(open_range, np.arange(12), "photos/train", "train")


@pytest.fixture
def class_folder(tmp_path) -> pathlib.Path:
    """`<class>/*` with 20 PNGs in each of 3 classes, and files to ignore."""
    for label, name in enumerate(["wolf", "ant", "Bee"]):
        folder = tmp_path / "animals" / name
        folder.mkdir(parents=True)
        for index in range(20):
            image = np.full((4, 4, 3), 20 * label + index, np.uint8)
            path = folder / f"{index:02d}.PNG"
            path.write_bytes(tf.io.encode_png(image).numpy())
        (folder / "notes.txt").write_text("not an image")
        (folder / ".hidden.png").write_text("not an image")
    return tmp_path / "animals"
