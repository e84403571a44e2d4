"""A folder that was moved or spelled otherwise is the same; another is not."""

import dataclasses
import shutil

import pytest

import spos_tf
from coloured_folders import write_folder
from spos_tf.errors import UserError

OPTIONS = spos_tf.SupernetOptions(
    steps=2,
    batch_size=12,
    holdout_per_class=4,
    sampler="uniform",
    validate_every=0,
    augmentation="none",
    checkpoint_every=1,
)
SEARCH = spos_tf.SearchOptions(population=2, generations=1)


@pytest.fixture(scope="module")
def blueprint():
    return spos_tf.build_blueprint(
        "shufflenet_blocks",
        preset="demo",
        num_classes=3,
        stem_width=8,
        stage_widths=[16],
        stage_strides=[2],
        stage_repeats=[1],
        last_width=16,
    )


@pytest.fixture(scope="module")
def trained(blueprint, tmp_path_factory):
    """A folder with `photos` and `runs`."""
    place = tmp_path_factory.mktemp("here")
    photos = spos_tf.folder(write_folder(place / "photos"))
    train(blueprint, photos, place / "runs")
    return place


def train(blueprint, photos, work_dir):
    return spos_tf.train_supernet(
        blueprint, photos, work_dir=work_dir, options=OPTIONS
    )


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """A copy to go on with, which is the working directory."""
    shutil.copytree(trained, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def test_however_it_is_spelled_it_is_the_same(blueprint, place):
    for spelled in ("photos", "photos/", "./photos", place / "photos"):
        again = train(blueprint, spos_tf.folder(spelled), "runs")
        assert again.step == 2
    supernet = spos_tf.load_supernet("runs")
    for spelled in ("./photos/", place / "photos"):
        spos_tf.search_supernet(
            supernet, options=SEARCH, train=spos_tf.folder(spelled)
        )
    assert len((place / "runs/search/scores.jsonl").read_text().split()) > 2


def test_where_it_has_moved_it_goes_on(blueprint, place):
    (place / "elsewhere").mkdir()
    (place / "photos").rename(place / "elsewhere" / "pictures")
    moved = spos_tf.folder("elsewhere/pictures")
    whole = spos_tf.load_supernet("runs").fingerprint()
    (place / "runs/supernet/default/checkpoints/step-00000002.npz").unlink()
    assert spos_tf.load_supernet("runs").step == 1
    assert train(blueprint, moved, "runs").fingerprint() == whole
    supernet = spos_tf.load_supernet("runs")
    found = spos_tf.search_supernet(supernet, options=SEARCH)
    again = spos_tf.search_supernet(
        supernet,
        options=dataclasses.replace(SEARCH, strategy="random"),
        train=moved,
        name="random",
    )
    # Scores belong to what the images hold.
    assert {one.worker for one in again.candidates} == {"memo"}
    assert found.best.score == again.best.score
    (place / "elsewhere").rename(place / "gone")
    fresh = dataclasses.replace(supernet)
    with pytest.raises(UserError, match="'elsewhere/pictures' is missing"):
        spos_tf.search_supernet(fresh, options=SEARCH, name="new")


@pytest.mark.parametrize("change", ["add", "remove", "rename", "grow"])
def test_other_files_are_other_images(blueprint, place, change):
    file = place / "photos/train/plum/3.png"
    if change == "add":
        shutil.copy(file, file.with_name("99.png"))
    elif change == "remove":
        file.unlink()
    elif change == "rename":
        file.rename(file.with_name("99.png"))
    else:
        file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(UserError) as caught:
        train(blueprint, spos_tf.folder("photos"), "runs")
    said = str(caught.value)
    assert "`train` has changed since it began" in said and "\n" not in said


def test_other_pixels_of_the_same_size_are_no_images_to_score_on(place):
    supernet = spos_tf.load_supernet("runs")
    first = place / "photos/train/apple/0.png"
    content = bytearray(first.read_bytes())
    content[-1] ^= 1
    first.write_bytes(content)
    with pytest.raises(UserError, match="held out; these are others"):
        spos_tf.search_supernet(
            supernet, options=SEARCH, train=spos_tf.folder("photos")
        )
