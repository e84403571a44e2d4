"""From a folder of pictures to a file, with nothing said but where it is."""

import dataclasses
import json
import logging
import math
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from source_tree import REPO
from spos_tf.cli.program import find_command, given_by
from spos_tf.data import reading
from spos_tf.data.sources import folder
from spos_tf.errors import UserError
from spos_tf.jobs import data as job_data
from spos_tf.jobs import planning
from spos_tf.jobs.planning import plan_supernet
from spos_tf.jobs.train_supernet import train_supernet
from spos_tf.options import SupernetOptions
from spos_tf.spaces import build_blueprint


def write(root, count=40, side=12):
    rng = np.random.default_rng(0)
    for name, colour in (("red", (250, 30, 30)), ("blue", (30, 30, 250))):
        (root / name).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(-30, 30, (side, side + 3, 3)) + colour
            encoded = tf.io.encode_png(np.clip(image, 0, 255).astype(np.uint8))
            (root / name / f"{number}.png").write_bytes(encoded.numpy())
    return root


def test_the_pace_is_measured(tmp_path):
    plan = plan_supernet(folder(write(tmp_path / "photos")))
    assert plan.blueprint.image_size == 8
    assert plan.blueprint.space_arguments["preset"] == "demo"
    # 300 passes of a tiny network fit into an hour.
    source = plan.train.load()
    smallest = np.bincount(source.train.labels).min()
    # Another tenth of the class is kept back to confirm a winner on.
    kept = plan.options.holdout_per_class + smallest // 10
    count = len(source.train) - 2 * int(kept)
    steps, batch = (plan.recipe.values[n] for n in ("steps", "batch_size"))
    assert batch == count // 4 and steps == math.ceil(300 * count / batch)
    broken = tmp_path / "broken" / "one"
    broken.mkdir(parents=True)
    # Unlike each other, since what an image holds decides its split.
    for number in range(8):
        (broken / f"{number}.png").write_text(f"not an image, {number}")
    with pytest.raises(UserError, match="can be read"):
        plan_supernet(folder(tmp_path / "broken", test_fraction=0.5))


@pytest.mark.parametrize("seconds", [20.0, -1.0])
def test_held_out_files_are_decoded_before_a_training(
    tmp_path, monkeypatch, caplog, seconds
):
    """What is read at its end alone would be found broken after hours."""
    monkeypatch.setattr(job_data, "_DECODING_SECONDS", seconds)
    monkeypatch.setattr(reading, "_SEARCHED_AT_ONCE", 1)
    root = write(tmp_path / "photos", count=20)
    for path in (root / "red").iterdir():
        path.write_bytes(path.read_bytes()[:-40])
    source = folder(root, test_fraction=0.2)

    def begin():
        return job_data.training_data(
            source,
            build_blueprint("shufflenet_blocks", preset="demo", num_classes=2),
            SupernetOptions(),
            holdout_per_class=4,
        )

    if seconds > 0:
        with pytest.raises(UserError, match="4 cannot be decoded: '.*red/"):
            begin()
        return
    with caplog.at_level(logging.INFO):
        begin()
    assert "7 of 8 search images are not decoded before they" in caplog.text


def test_a_class_with_one_picture_is_refused(tmp_path):
    """It would be held out, and its output would never be trained."""
    root = write(tmp_path / "photos")
    for image in sorted((root / "red").iterdir())[1:]:
        image.unlink()
    with pytest.raises(UserError, match="'red' of .* has 1 left. Add images"):
        plan_supernet(folder(root))


def call(name, *typed):
    command = find_command(name)
    return command.main(given_by(command, typed))


def programs_of_the_page():
    """What docs/your_data.md shows: the job, and how to classify with it."""
    text = (REPO / "docs" / "your_data.md").read_text("utf-8")
    job, classify = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    return job, classify


def test_four_commands_from_a_folder_to_a_file(
    tmp_path, monkeypatch, caplog, capsys
):
    """Nothing but the folder, the work_dir and a limit is said."""
    monkeypatch.setattr(planning, "_MOST_EPOCHS", 2)
    photos, work_dir = write(tmp_path / "photos"), tmp_path / "runs/photos"
    place = f"--work_dir={work_dir}"
    caplog.set_level("INFO", "spos_tf")
    following = call("train_supernet", f"--dataset=folder:{photos}", place)
    assert "image_size=8: the short side" in caplog.text
    assert following.startswith(f"spos search {place} --max_macs=0.1")
    assert following.endswith("e6 --time_limit=30m")
    run = json.loads((work_dir / "supernet/default/run.json").read_text())
    assert run["recipe"]["name"] == "planned"
    assert run["options"]["test_fraction"] == 0.2
    assert run["options"]["space_arguments"]["num_classes"] == 2
    # Once more: what was picked stays, whatever would be picked now.
    monkeypatch.setattr(planning, "_MOST_EPOCHS", 5)
    call("train_supernet", f"--dataset=folder:{photos}", place)

    limit = following.partition("--max_macs=")[2].split()[0]
    following = call(
        "search",
        place,
        f"--max_macs={limit}",
        "--population=2",
        "--generations=1",
    )
    assert following == f"spos train_subnet {place}"
    run = json.loads((work_dir / "search/default/run.json").read_text())
    assert run["options"]["recalibration_images"] == 2_000

    following = call("train_subnet", place)
    assert following == f"spos export {place}"
    assert re.search(r"Test .* of \d+ images \(standard error", caplog.text)
    run = json.loads((work_dir / "subnet/default/run.json").read_text())
    assert run["recipe"]["name"] == "planned"
    assert run["recipe"]["values"]["steps"] < 100
    call("train_subnet", place)

    following = call("export", place, "--formats=tflite")
    assert following == f"spos report {place}"
    labels = json.loads((work_dir / "export/default/labels.json").read_text())
    assert labels == ["blue", "red"]
    assert (work_dir / "export/default/model.tflite").exists()
    assert call("report", place).endswith("report.html in a browser")
    monkeypatch.chdir(tmp_path)
    shutil.copy(photos / "red" / "0.png", "photo.jpg")
    capsys.readouterr()
    exec(programs_of_the_page()[1], {})
    first, second = capsys.readouterr().out.splitlines()
    assert {one.split(":")[0] for one in (first, second)} == {"blue", "red"}
    shares = [int(one.split(": ")[1][:-1]) for one in (first, second)]
    assert shares[0] >= shares[1] and sum(shares) > 98


def test_the_job_of_the_page_from_python(tmp_path, monkeypatch):
    job, _ = programs_of_the_page()
    for shown, smaller in {
        'preset="cifar"': 'preset="demo"',
        "image_size=56": "image_size=8",
        "num_classes=5": "num_classes=2",
        "stem_stride=2": "stage_repeats=[1, 1]",
        "epochs=200": "steps=3",
        "epochs=300": "steps=3",
        'time_limit="30m"': "population=2, generations=1",
    }.items():
        assert shown in job
        job = job.replace(shown, smaller)
    write(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    exec(job, {})
    folder = tmp_path / "runs/small/export/default"
    assert (folder / "model.tflite").stat().st_size > 5_000
    metrics = tmp_path / "runs/small/subnet/default/metrics.json"
    assert json.loads(metrics.read_text())["test_images"]


def test_a_plan_from_python(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "_MOST_EPOCHS", 1)
    plan = plan_supernet(folder(write(tmp_path / "photos")))
    trained = train_supernet(
        plan.blueprint,
        plan.train,
        work_dir=tmp_path / "runs",
        options=dataclasses.replace(plan.options, validate_every=0),
        recipe=plan.recipe,
    )
    assert trained.step == plan.recipe.values["steps"] < 10
