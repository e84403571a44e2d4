"""The check of a data set, on a folder with every fault at once."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import spos_tf
from spos_tf.errors import UserError


@pytest.fixture
def photos(tmp_path):
    """`train` and `test` of two good classes, and what goes wrong."""
    root = tmp_path / "photos"
    for part, count in (("train", 4), ("test", 2)):
        for label, name in enumerate(("ant", "bee")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = np.full((8, 10, 3), 40 * index + label, np.uint8)
                pixels[0, 0] = (1, 2, len(part))
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


def saved(root, name, image=None, **options):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image = image or Image.new("RGB", (8, 8), "red")
    image.save(path, **options)
    return path


def test_all_faults_at_once(photos, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    # Numbers of colors tell these apart.
    saved(photos, "train/ant/2023/turned.jpg", exif=exif)
    gray = Image.new("L", (9, 9), 7)
    saved(photos, "train/ant/gray.tif", gray)
    saved(photos, "train/bee/alpha.webp", Image.new("RGBA", (9, 9), "#1234"))
    saved(photos, "train/bee/thin.bmp", Image.new("RGB", (2, 50), "blue"))
    (photos / "train" / "cat").mkdir()
    (photos / "train" / "cat" / "a.heic").write_bytes(b"x")
    (photos / "train" / "bee" / "empty.jpg").write_bytes(b"")
    (photos / "train" / "bee" / "page.png").write_bytes(b"<html>")
    whole = (photos / "test" / "ant" / "1.png").read_bytes()
    (photos / "test" / "ant" / "cut.png").write_bytes(whole[:50])
    odd = os.fsencode(photos) + b"/test/ant/caf\xe9.png"
    with open(odd, "wb") as file:
        file.write(b"")
    shutil.copy(photos / "train/ant/0.png", photos / "test/ant/same.png")
    shutil.copy(photos / "train/ant/1.png", photos / "train/bee/same.png")
    output = tmp_path / "runs" / "data.json"
    result = spos_tf.check_data(spos_tf.folder(photos), output=output)
    assert json.loads(output.read_text("utf-8")) == result

    assert result["classes"] == ["ant", "bee", "cat"]
    train, test = (result["splits"][name] for name in ("train", "test"))
    assert (train["images"], test["images"]) == (15, 7)
    assert train["by_class"] == {"ant": 6, "bee": 7, "cat": 0}
    assert train["formats"] == {
        "PNG": 9,
        "JPEG": 1,
        "TIFF": 1,
        "WEBP": 1,
        "BMP": 1,
    }
    assert (train["turned"], train["thin"], train["alpha"]) == (1, 1, 1)
    assert train["gray"] == 1
    assert train["height"] == {"least": 8, "median": 8, "most": 50}
    reasons = {
        one["image"].rpartition("/")[2].rstrip("'"): one["reason"]
        for one in [*train["unreadable"], *test["unreadable"]]
    }
    assert set(reasons) == {"empty.jpg", "page.png", "cut.png", "caf\\xe9.png"}
    assert reasons["empty.jpg"] == "it is empty"
    assert not any("[Op:" in reason for reason in reasons.values())
    assert "it is no JPEG" in reasons["page.png"]
    duplicates = result["duplicates"]
    assert duplicates["compared"] == "bytes of files"
    assert duplicates["between"] == [
        [f"'{photos}/train/ant/0.png'", f"'{photos}/test/ant/same.png'"]
    ]
    assert duplicates["within"]["train"] == duplicates["of_several_classes"]
    assert "1 .heic" in result["notes"][0]
    assert "'cat' (it holds 1 .heic)" in result["faults"][0]
    assert "4 images cannot be read: " in result["faults"][1]
    assert "cut.png" in result["faults"][1]


def test_a_whole_data_set_has_no_faults(photos):
    result = spos_tf.check_data(spos_tf.folder(photos))
    assert result["notes"] == result["faults"] == []
    assert result["duplicates"]["between"] == []
    # Nobody has to say which images are test to have them looked at.
    result = spos_tf.check_data(spos_tf.folder(photos / "train"))
    assert result["splits"]["train"]["images"] == 8
    assert result["splits"]["test"]["images"] == 0


def test_arrays_are_compared_by_pixels():
    images = np.zeros((3, 4, 4, 3), np.uint8)
    images[1, 0, 0, 0] = 9
    result = spos_tf.check_data((images, np.array([0, 1, 1])))
    assert result["splits"]["train"]["by_class"] == {"0": 1, "1": 2}
    assert result["splits"]["train"]["gray"] == 2
    duplicates = result["duplicates"]
    assert duplicates["compared"] == "pixels"
    assert len(duplicates["of_several_classes"]) == 1
    with pytest.raises(UserError, match="`data` is spos_tf.folder"):
        spos_tf.check_data("photos")


def test_a_stream_is_looked_at_too(photos, monkeypatch):
    digits = spos_tf.check_data(spos_tf.data.sources.DataSource("digits"))
    assert digits["splits"]["train"]["images"] == 1437
    assert digits["splits"]["train"]["formats"] == {"pixels": 1437}
