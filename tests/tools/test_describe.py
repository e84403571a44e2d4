"""`tools/describe.py`: exact numbers, and what it says to wrong input."""

import importlib.util
import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from source_tree import REPO
from spos_tf.cost.table import cost_table
from spos_tf.spaces import build_blueprint

PAPER = (2, 1, 0, 1, 2, 0, 2, 0, 2, 0, 2, 3, 0, 0, 0, 0, 3, 2, 3, 3)
OFFICIAL = (0, 0, 3, 1, 1, 1, 0, 0, 2, 0, 2, 1, 1, 0, 2, 0, 2, 1, 3, 2)
FIELDS = [
    "search_space",
    "space_arguments",
    "num_choices",
    "size_log10",
    "encoding",
    "architecture",
    "macs",
    "params",
    "params_without_bn",
    "bit_ops",
    "ranges",
    "slots",
]


def text(encoding):
    return ",".join(map(str, encoding))


def describe(*arguments):
    return subprocess.run(
        [sys.executable, "tools/describe.py", *map(str, arguments)],
        cwd=REPO,
        capture_output=True,
        text=True,
    )


def described(*arguments):
    result = describe(*arguments, "--format=json")
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_the_network_of_the_contract():
    data = described(
        "--search_space=shufflenet_blocks", f"--encoding={text(PAPER)}"
    )
    assert list(data) == FIELDS
    assert data["search_space"] == "shufflenet_blocks"
    assert data["space_arguments"] == {}
    assert data["num_choices"] == 20
    assert math.isclose(data["size_log10"], 20 * math.log10(4))
    assert data["encoding"] == list(PAPER)
    assert data["macs"] == 322_918_720
    assert data["params"] == 3_558_464
    assert data["params_without_bn"] == 3_529_312
    assert data["bit_ops"] is None
    assert data["architecture"]["choices"]["stage1.block1.op"] == "7x7"


def test_slots_are_the_choices_and_the_rest_is_fixed():
    data = described(f"--encoding={text(PAPER)}")
    slots = data["slots"]
    assert len(slots) == 20
    assert slots[0] == {
        "name": "stage1.block1",
        "choices": {
            "op": {
                "options": ["3x3", "5x5", "7x7", "xception"],
                "chosen": "7x7",
            }
        },
        "input_shape": [112, 112, 16],
        "output_shape": [56, 56, 64],
        # Depthwise 7x7 and 1x1 on 16 channels; 1x1 to 32, depthwise, 1x1.
        "macs": 56 * 56 * (49 * 16 + 16 * 16 + 49 * 32 + 32 * 48)
        + 112 * 112 * 16 * 32,
        "params": 49 * 16
        + 16 * 16
        + 16 * 32
        + 49 * 32
        + 32 * 48
        + 2 * (16 + 16 + 32 + 32 + 48),
    }
    for before, after in itertools.pairwise(slots):
        assert before["output_shape"] == after["input_shape"]
    stem = 112 * 112 * 27 * 16
    head = 7 * 7 * 640 * 1024 + 1024 * 1000
    assert data["macs"] == stem + head + sum(slot["macs"] for slot in slots)


@pytest.mark.parametrize(
    ("encoding", "macs"),
    [
        (OFFICIAL, 318_729_024),
        ([0] * 20, 295_842_496),
        ([1] * 20, 313_654_976),
        ([2] * 20, 340_373_696),
        ([3] * 20, 358_825_920),
    ],
    ids=["official", "3x3", "5x5", "7x7", "xception"],
)
def test_exact_macs(encoding, macs):
    assert described(f"--encoding={text(encoding)}")["macs"] == macs


def test_a_space_without_an_encoding():
    data = described("--preset=demo")
    assert data["space_arguments"] == {"preset": "demo"}
    for field in ("encoding", "architecture", "macs", "params"):
        assert data[field] is None
    slot = data["slots"][0]
    assert (slot["macs"], slot["params"]) == (None, None)
    assert slot["choices"]["op"]["chosen"] is None
    assert slot["output_shape"] == [4, 4, 36]


def test_what_the_networks_of_a_space_cost():
    blueprint = build_blueprint("shufflenet_blocks", preset="demo")
    every = np.array([*itertools.product(range(4), repeat=5)], np.int32)
    ranges = described("--preset=demo")["ranges"]
    assert sorted(ranges) == ["macs", "params"]
    for name, found in ranges.items():
        costs = np.sort(cost_table(blueprint, name)(every))
        assert (found["least"], found["most"]) == (costs[0], costs[-1])
        assert found["median"] in costs
        # Of 10,000 random ones: between the 48th and the 52nd percentile.
        below, above = np.percentile(costs, (48, 52))
        assert below <= found["median"] <= above
    assert described(f"--encoding={text(PAPER)}")["ranges"] is None
    lines = describe("--preset=demo").stdout.splitlines()
    macs = " ".join(lines[4].split())
    assert macs == "macs " + " ".join(
        f"{ranges['macs'][end]:,}" for end in ("least", "median", "most")
    )
    bits = described("--search_space=resnet18_bits")["ranges"]["bit_ops"]
    assert bits["least"] < bits["median"] < bits["most"]


def test_an_architecture_file_brings_its_arguments(tmp_path):
    encoding = [0, 1, 2, 3, 0]
    by_flags = described(
        "--preset=demo", "--num_classes=7", f"--encoding={text(encoding)}"
    )
    path = tmp_path / "best.json"
    # What a search adds to an architecture is left alone.
    path.write_text(json.dumps({**by_flags["architecture"], "accuracy": 0.5}))
    assert described(f"--architecture={path}") == by_flags
    same = described(f"--architecture={path}", "--num_classes=7")
    assert same == by_flags


def test_other_image_size_and_classes():
    data = described(
        f"--encoding={text([0] * 20)}", "--image_size=192", "--num_classes=10"
    )
    assert data["space_arguments"] == {"image_size": 192, "num_classes": 10}
    paper = described(f"--encoding={text([0] * 20)}")
    assert data["params"] == paper["params"] - 990 * 1024
    assert data["slots"][0]["input_shape"] == [96, 96, 16]


def test_the_list():
    result = describe("--list")
    assert (result.returncode, result.stderr) == (0, "")
    spaces, networks = result.stdout.split("\n\n")
    names = [line.split()[0] for line in spaces.splitlines()]
    assert "shufflenet_blocks" in names
    assert "fbnet_a, fbnet_b" in networks
    result = describe("--list", "--format=json")
    assert json.loads(result.stdout) == names


def test_the_table():
    result = describe(f"--encoding={text(PAPER)}")
    assert result.returncode == 0
    assert "Next: python tools/train_subnet.py --dataset=" in result.stderr
    assert result.stderr.count("\n") == 1
    for expected in ("322,918,720", "3,558,464", "3,529,312", "stage4.block4"):
        assert expected in result.stdout
    space = describe("--preset=demo")
    assert space.returncode == 0
    assert space.stderr.endswith(" --work_dir=DIR --preset=demo\n")


def architecture(**changes):
    return json.dumps(
        {
            "schema": 1,
            "search_space": "shufflenet_blocks",
            "space_arguments": {"preset": "demo"},
            "choices": {
                f"stage{stage}.block{block}.op": "3x3"
                for stage, blocks in ((1, 2), (2, 3))
                for block in range(1, blocks + 1)
            },
            **changes,
        }
    )


FLAG_MISTAKES = {
    "unknown space": (["--search_space=no"], "shufflenet_blocks"),
    "unknown preset": (["--preset=no"], "imagenet, cifar, demo"),
    "too short": (["--encoding=1,2"], "20 integers"),
    "out of range": (
        ["--preset=demo", "--encoding=0,0,0,0,4"],
        "'stage2.block3.op' has options 0 to 3",
    ),
    "negative": (["--preset=demo", "--encoding=0,0,0,0,-1"], "index -1"),
    "not numbers": (["--encoding=3x3,5x5"], "comma-separated"),
    "empty": (["--encoding="], "--encoding is empty"),
    "unknown flag": (["--encodings=1"], "encodings"),
    "unknown format": (["--format=yaml"], "format"),
    "no flag": (["shufflenet_blocks"], "shufflenet_blocks"),
    "no pixels": (["--image_size=0"], "image_size"),
    "not JSON": (["--space_arguments={"], "JSON object"),
    "unknown argument": (['--space_arguments={"depth": 3}'], "'depth'"),
    "not a list": (['--space_arguments={"stage_widths": 5}'], "stage_widths"),
    "not a number": (['--space_arguments={"dropout": "no"}'], "dropout"),
    "missing file": (["--architecture=/no/such.json"], "'/no/such.json'"),
}
FILE_MISTAKES = {
    "garbage": ("\x00garbage", [], "is JSON"),
    "list": ("[1, 2]", [], "JSON object"),
    "schema": (architecture(schema=2), [], "schema 2"),
    "another space": (
        architecture(search_space="fbnet_of_tomorrow"),
        [],
        "'fbnet_of_tomorrow'",
    ),
    "flag says another preset": (
        architecture(),
        ["--preset=cifar"],
        "'preset': 'demo'",
    ),
    "flag says other classes": (architecture(), ["--num_classes=3"], "3"),
    "both": (architecture(), ["--encoding=0,0,0,0,0"], "not both"),
    "no choices": (architecture(choices={}), [], "missing"),
    "unknown option": (
        architecture(
            choices={
                **json.loads(architecture())["choices"],
                "stage1.block1.op": "9x9",
            }
        ),
        [],
        "'9x9'",
    ),
}


def refuses(result, expected):
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("describe.py: ")
    assert expected in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"), FLAG_MISTAKES.values(), ids=FLAG_MISTAKES
)
def test_wrong_flags(arguments, expected):
    refuses(describe("--format=json", *arguments), expected)


@pytest.mark.parametrize(
    ("content", "arguments", "expected"),
    FILE_MISTAKES.values(),
    ids=FILE_MISTAKES,
)
def test_wrong_files(tmp_path, content, arguments, expected):
    path = tmp_path / "architecture.json"
    path.write_text(content)
    refuses(
        describe("--format=json", f"--architecture={path}", *arguments),
        expected,
    )


def test_neither_tensorflow_nor_keras_is_imported():
    """It answers at once because it builds no network."""
    assert importlib.util.find_spec("tensorflow")
    result = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "tools/describe.py",
            "--preset=demo",
            "--encoding=0,0,0,0,0",
        ],
        cwd=REPO,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    imported = {
        line.rpartition("|")[2].strip() for line in result.stderr.splitlines()
    }
    assert "spos_tf.cost.description" in imported
    assert not imported & {"tensorflow", "keras", "tensorflow_datasets"}


@pytest.mark.parametrize(
    ("arguments", "bit_ops"),
    [
        (["--search_space=resnet18_bits", "--uniform_bits=2"], 6.3164),
        (["--search_space=resnet34_bits", "--uniform_bits=3"], 29.7158),
        (["--network=resnet18_4w4a"], 25.2656),
    ],
)
def test_bit_ops_of_uniform_bits(arguments, bit_ops):
    result = describe(*arguments, "--format=json")
    data = json.loads(result.stdout)
    assert data["bit_ops"] == pytest.approx(bit_ops, abs=5e-5)
    assert data["encoding"] is None
    assert data["architecture"]["search_space"] == data["search_space"]


def test_bit_ops_of_an_encoding():
    encoding = ",".join(["1,3"] * 8)
    arguments = ["--search_space=resnet18_bits", f"--encoding={encoding}"]
    result = describe(*arguments, "--format=json")
    data = json.loads(result.stdout)
    # 2 and 4 bits throughout: twice the 2W2A network.
    assert data["bit_ops"] == pytest.approx(2 * 6.31640625)
    assert data["encoding"] == [1, 3] * 8
    table = describe(*arguments).stdout
    assert "BitOps    12.6328 Gi (2^30)" in table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--uniform_bits=2"], "'shufflenet_blocks' has none"),
        (
            ["--search_space=resnet18_bits", "--uniform_bits=9"],
            "from 1 to 8; got 9",
        ),
        (
            ["--uniform_bits=2", "--network=resnet18_2w2a"],
            "Give --network or --uniform_bits, not both.",
        ),
    ],
)
def test_wrong_uniform_bits(arguments, message):
    refuses(describe(*arguments), message)
