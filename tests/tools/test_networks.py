"""--network: published networks described, trained and exported by name."""

import json
import subprocess
import sys

import pytest

from source_tree import REPO

DATA = ["--dataset=digits", "--augmentation=shift"]
SMALL = ["--network=fbnet_a", "--preset=cifar", "--image_size=8"]


def describe(*arguments):
    return subprocess.run(
        [sys.executable, "tools/describe.py", *arguments],
        cwd=REPO,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "name, space, macs, params",
    [
        ("proxyless_mobile", "proxyless_mobile", 320_427_584, 4_080_512),
        ("proxyless_gpu", "proxyless_gpu", 465_260_160, 7_119_848),
        ("fbnet_a", "fbnet", 249_369_912, 4_318_648),
        ("fbnet_b", "fbnet", 295_561_032, 4_812_088),
        ("fbnet_c", "fbnet", 382_984_480, 5_567_880),
    ],
)
def test_a_network_is_described_by_its_name(name, space, macs, params):
    result = describe(f"--network={name}", "--format=json")
    assert (result.returncode, result.stderr) == (0, "")
    data = json.loads(result.stdout)
    assert data["search_space"] == space
    assert len(data["encoding"]) == data["num_choices"]
    assert (data["macs"], data["params"]) == (macs, params)
    # The same network by its encoding.
    encoding = ",".join(map(str, data["encoding"]))
    again = describe(
        f"--search_space={space}",
        f"--space_arguments={json.dumps(data['space_arguments'])}",
        f"--encoding={encoding}",
        "--format=json",
    )
    assert again.stdout == result.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["--network=fbnet_d"],
            "Unknown network 'fbnet_d'. The networks are: fbnet_a, fbnet_b, "
            "fbnet_c, proxyless_gpu, proxyless_mobile, resnet18_2w2a, "
            "resnet18_3w3a, resnet18_4w4a, resnet34_2w2a, resnet34_3w3a, "
            "resnet34_4w4a.",
        ),
        (
            ["--network=fbnet_a", "--encoding=0"],
            "Give --network or --encoding, not both.",
        ),
        (
            ["--network=fbnet_a", "--architecture=best.json"],
            "Give --network or --architecture, not both.",
        ),
        (
            ["--network=fbnet_a", "--search_space=shufflenet_blocks"],
            "Network 'fbnet_a' is of space 'fbnet'; got "
            "--search_space=shufflenet_blocks. Leave that out.",
        ),
        (["--network=fbnet_a", "--preset=demo"], "its space has 5."),
        (["--network=fbnet_a", "--preset=huge"], "no preset 'huge'."),
        (["--search_space=a/my.py"], "There is no file 'a/my.py'"),
        (
            ["--search_space=tools/measure_of_nothing.py:space"],
            "There is no file 'tools/measure_of_nothing.py'",
        ),
        (["--search_space=spos_tf/errors.py"], "defines SPACES"),
    ],
)
def test_a_network_or_space_that_is_not_there(arguments, message):
    result = describe(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_network_is_trained_and_exported(work_dir, tool):
    tool("train_subnet", *DATA, *SMALL, "--batch_size=16", "--steps=1")
    folder = work_dir / "subnet" / "default"
    architecture = json.loads((folder / "architecture.json").read_text())
    assert architecture["search_space"] == "fbnet"
    assert architecture["space_arguments"] == {
        "preset": "cifar",
        "image_size": 8,
    }
    # Blocks of FBNet-A: skip, k3e3, k3e1, ...
    assert list(architecture["choices"].values())[:3] == [
        *("skip", "k3e3", "k3e1")
    ]
    tool("export", *DATA, "--formats=tflite")
    assert (work_dir / "export" / "default" / "model.tflite").exists()
