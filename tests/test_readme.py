"""What README.md tells a newcomer to type exists and is accepted."""

import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from source_tree import REPO

TEXT = (REPO / "README.md").read_text("utf-8")
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *(
        path.relative_to(REPO).as_posix()
        for path in sorted((REPO / "docs").glob("*.md"))
    ),
)


def blocks(language):
    """The fenced blocks of a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.M | re.S)
    return [code for name, code in found if name == language]


def commands():
    """Every command line of the unnamed blocks, continued lines joined."""
    for block in blocks(""):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def test_the_job_is_four_commands():
    names = [words[1] for words in commands() if words[0] == "spos"]
    assert names == ["train_supernet", "search", "train_subnet", "export"]


def test_make_targets():
    makefile = (REPO / "Makefile").read_text("utf-8")
    targets = {words[1] for words in commands() if words[0] == "make"}
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


# Of the code that is shown, so that it takes seconds.
SMALLER = {
    "steps=10_000": "steps=2",
    'time_limit="30m"': "population=2, generations=1",
    "num_classes=5": "num_classes=2",
    "(64, 64)": "(16, 16)",
    "image_size=64": "image_size=16",
    'preset="cifar"': 'preset="demo"',
    "max_macs=22e6": "max_macs=0.8e6",
    '"batch_size": 64': '"batch_size": 8',
}


def write_photos(folder):
    """Pictures of two classes in `train` and `test`."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 6)):
        for name in ("cat", "dog"):
            place = folder / part / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (20, 24, 3), np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")


def test_the_python_lines_run(tmp_path):
    (code,) = blocks("python")
    for shown, smaller in SMALLER.items():
        assert shown in code
        code = code.replace(shown, smaller)
    write_photos(tmp_path / "photos")
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "-1",
            "PYTHONPATH": str(REPO),
        },
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    # The text says that it is there.
    file = tmp_path / "runs" / "photos" / "export" / "model.tflite"
    assert file.stat().st_size > 10_000


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = REPO / page
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text("utf-8")):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link
