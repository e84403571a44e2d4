"""Small pictures in class folders; the colour tells the class."""

import pathlib

import keras
import numpy as np

NAMES = ("apple", "pear", "plum")
COLOURS = ((250, 30, 30), (30, 250, 30), (30, 30, 250))


def write_folder(
    root: pathlib.Path, names=NAMES, *, train: int = 16, test: int = 5
) -> pathlib.Path:
    """Writes `root/{train,test}/<name>/*.png`, 8 pixels wide.

    Args:
        root: Made if absent.
        names: Of the classes, in the order of `COLOURS`.
        train: Training images of a class.
        test: Test images of a class.

    Returns:
        The root.
    """
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("test", test)):
        for name, colour in zip(names, COLOURS, strict=True):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = rng.integers(-30, 30, (8, 8, 3))
                image = np.clip(noise + colour, 0, 255)
                keras.utils.save_img(folder / f"{number}.png", image)
    return root
