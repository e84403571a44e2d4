"""Quantization-aware training from a trained network to its integer file."""

import json

import pytest

from refusals import TINY_RUN, refuses

NETWORK = (*TINY_RUN, "--encoding=0,1,2,3,0")


@pytest.fixture
def trained(work_dir, tool):
    folder = work_dir / "subnet" / "int8"
    if not folder.exists():
        many = ("--steps=300", "--learning_rate=0.05", "--checkpoint_every=300")
        tool("train_subnet", *NETWORK, *many)
        few = ("--steps=10", "--learning_rate=0.001")
        tool(
            "train_subnet",
            *NETWORK,
            *few,
            "--name=int8",
            "--quantize=int8",
            "--start_from=default",
        )
    return folder


def test_it_goes_on_from_the_network_in_float(work_dir, trained):
    exact, rounded = (
        json.loads(
            (work_dir / "subnet" / name / "metrics.json").read_text("utf-8")
        )["test_accuracy"]
        for name in ("default", "int8")
    )
    # Far above chance, as the network in float is, after ten steps.
    assert exact > 0.2
    assert rounded > 0.8 * exact


def test_its_integer_file_needs_no_representative_images(
    work_dir, tool, trained
):
    """`write_tflite` refuses a file with anything in float but its ends."""
    tool("export", "--dataset=digits", "--name=int8")
    path = work_dir / "export" / "int8" / "manifest.json"
    files = json.loads(path.read_text("utf-8"))["files"]
    assert set(files) == {"saved_model", "tflite_int8"}
    # Ties of the rounding aside, it is what was trained.
    assert files["tflite_int8"]["top1_agreement"] > 0.98


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--start_from=none"], ["--start_from=none", "subnet.keras"]),
        (
            ["--start_from=default", "--inherit_from=x"],
            ["--start_from or --inherit_from"],
        ),
        (
            [
                "--quantize=int8",
                "--search_space=resnet18_bits",
                "--encoding=0,1,0,1,0,1",
            ],
            ["leave --quantize out"],
        ),
    ],
)
def test_refusals(work_dir, run_tool, trained, arguments, expected):
    result = run_tool(
        "train_subnet",
        *NETWORK,
        *arguments,
        "--name=no",
        f"--work_dir={work_dir}",
    )
    refuses(result, *expected)
    assert not (work_dir / "subnet" / "no").exists()


def test_formats_that_do_not_hold_it(work_dir, run_tool, trained):
    refuses(
        run_tool(
            "export",
            "--dataset=digits",
            "--subnet_name=int8",
            "--formats=onnx",
            f"--work_dir={work_dir}",
        ),
        "'onnx'",
        "saved_model, tflite_int8",
    )
