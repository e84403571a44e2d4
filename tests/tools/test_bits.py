"""A mixed-precision search from the supernet to the exported network."""

import json

import keras
import numpy as np
import pytest

from refusals import TINY_RUN, refuses
from spos_tf.quantization import Pact, QuantizedKernel
from spos_tf.space.record import read_record

SPACE = ("--search_space=resnet18_bits", *TINY_RUN)
# Some networks of the space are below, some above.
LIMIT = 0.0012
INTEGER = ("tflite_lowbit", "onnx_qdq", "onnx_deploy")
EXACT = ("saved_model", "tflite", "onnx")


@pytest.fixture
def found(work_dir, tool):
    """What was found in a supernet of bits, and trained from its weights."""
    folder = work_dir / "subnet" / "default"
    if not folder.exists():
        tool("train_supernet", *SPACE, "--holdout_per_class=5")
        tool(
            "search",
            "--dataset=digits",
            "--augmentation=shift",
            "--holdout_per_class=5",
            "--recalibration_images=50",
            "--population=6",
            "--generations=2",
            "--top_k=2",
            f"--max_bit_ops={LIMIT}",
            "--min_bit_ops=0.0004",
        )
        tool("train_subnet", *TINY_RUN, f"--inherit_from={work_dir}")
    return folder


def test_every_candidate_keeps_the_limits(work_dir, found):
    record = read_record(work_dir / "search" / "default" / "record.jsonl")
    assert len(record) == 12
    assert all(0.0004 <= one.costs["bit_ops"] <= LIMIT for one in record)
    assert len({one.costs["bit_ops"] for one in record}) > 1


def test_what_is_trained_has_few_bits(work_dir, found):
    model = keras.saving.load_model(found / "subnet.keras")
    best = json.loads(
        (work_dir / "search" / "default" / "best.json").read_text("utf-8")
    )
    metrics = json.loads((found / "metrics.json").read_text("utf-8"))
    assert metrics["bit_ops"] == best["costs"]["bit_ops"]
    for layer in model.layers:
        block = layer.name.rpartition(".")[0]
        if isinstance(layer, QuantizedKernel):
            weights, _ = best["choices"][f"{block}.bits"]
            assert layer.quantizer.bits == weights
            assert len(np.unique(layer.quantized_kernel())) <= 2**weights
        elif isinstance(layer, Pact):
            _, features = best["choices"][f"{block}.bits"]
            assert layer.quantizer.bits == features


def test_it_is_exported_in_the_formats_that_hold_it(work_dir, tool, found):
    tool("export", "--dataset=digits")
    # Integer files of a network that does not round what they round are made
    # only where they are asked for.
    path = work_dir / "export" / "default" / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    assert set(manifest["files"]) == {*EXACT, "onnx_qdq"}
    assert "deploy_form" not in manifest
    tool(
        "export",
        "--dataset=digits",
        f"--formats={','.join((*EXACT, *INTEGER))}",
        "--min_agreement=deploy_form=0",
    )
    manifest = json.loads(path.read_text("utf-8"))
    files = manifest["files"]
    assert set(files) == {*EXACT, *INTEGER}
    assert all(files[name]["top1_agreement"] > 0.99 for name in EXACT)
    assert manifest["deploy_form"]["images"] == 360
    sizes = {name: one["bytes"] for name, one in files.items()}
    assert sizes["onnx_qdq"] < sizes["onnx_deploy"] < sizes["onnx"]
    best = work_dir / "search" / "default" / "best.json"
    choices = json.loads(best.read_text("utf-8"))["choices"]
    for name in INTEGER:
        most = files[name]["most_weights_a_channel"]
        for layer, found in most.items():
            bits, _ = choices[f"{layer.rpartition('.')[0]}.bits"]
            assert 1 < found <= 2**bits


def test_it_is_trained_on_in_deploy_form(work_dir, tool, found):
    tool(
        "train_subnet",
        *TINY_RUN,
        "--steps=4",
        "--learning_rate=0.001",
        "--name=deployed",
        "--deploy_form",
        "--start_from=default",
    )
    folder = work_dir / "subnet" / "deployed"
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    tool(
        "export",
        "--dataset=digits",
        "--name=deployed",
        "--formats=tflite_lowbit,onnx_qdq",
        "--num_images=0",
    )
    path = work_dir / "export" / "deployed" / "manifest.json"
    deployed = json.loads(path.read_text("utf-8"))["deploy_form"]
    assert deployed["accuracy"] == metrics["deploy_form_accuracy"]
    # It rounds all that the file rounds.
    assert deployed["top1_agreement"] > 0.99
    for name in ("tflite_lowbit", "onnx_qdq"):
        done = tool(
            "evaluate",
            "--dataset=digits",
            "--name=deployed",
            f"--format={name}",
        )
        entry = json.loads(path.read_text("utf-8"))["files"][name]
        assert json.loads(done.stdout)["accuracy"] == entry["accuracy"]
    before, after = (
        keras.saving.load_model(one / "subnet.keras") for one in (found, folder)
    )
    norms = [one for one in before.layers if hasattr(one, "moving_mean")]
    for layer in norms:
        same = after.get_layer(layer.name)
        np.testing.assert_array_equal(layer.moving_mean, same.moving_mean)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--deploy_form"], ["--start_from"]),
        (
            ["--deploy_form", "--start_from=default", "--quantize=int8"],
            ["--quantize for networks in float. Leave one of them out."],
        ),
        (
            [
                "--deploy_form",
                "--start_from=default",
                "--search_space=resnet18_bits",
                "--uniform_bits=2",
            ],
            ["--start_from is a network of another architecture"],
        ),
        (
            ["--deploy_form", "--start_from=x", "--encoding=0,1,2,3,0"],
            ["'shufflenet_blocks' has none"],
        ),
    ],
)
def test_what_a_deploy_form_goes_on_from(
    work_dir, run_tool, found, arguments, expected
):
    result = run_tool(
        "train_subnet",
        *TINY_RUN,
        *arguments,
        "--name=no",
        f"--work_dir={work_dir}",
    )
    refuses(result, *expected)


def test_bits_that_a_file_does_not_store(work_dir, run_tool, found):
    result = run_tool(
        "export",
        "--dataset=digits",
        "--formats=tflite_lowbit",
        "--stored_weight_bits=3",
        f"--work_dir={work_dir}",
    )
    refuses(result, "'tflite_lowbit' stores weights in 8 bits; got --stored_w")


def test_networks_without_bits_have_no_low_bit_files(work_dir, tool, run_tool):
    tool("train_subnet", *TINY_RUN, "--encoding=0,1,2,3,0", "--name=float")
    result = run_tool(
        "export",
        "--dataset=digits",
        "--name=float",
        "--formats=tflite_lowbit",
        f"--work_dir={work_dir}",
    )
    refuses(result, "'shufflenet_blocks'", "'tflite_lowbit'")


def test_a_format_that_cannot_hold_it(work_dir, run_tool, found):
    refuses(
        run_tool(
            "export",
            "--dataset=digits",
            "--formats=tflite_float16",
            f"--work_dir={work_dir}",
        ),
        "tflite_float16",
    )


def test_a_baseline_of_uniform_bits(work_dir, tool):
    tool(
        "train_subnet",
        *SPACE,
        "--uniform_bits=3",
        "--name=baseline",
    )
    folder = work_dir / "subnet" / "baseline"
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert metrics["encoding"] is None
    model = keras.saving.load_model(folder / "subnet.keras")
    bits = {
        layer.quantizer.bits
        for layer in model.layers
        if isinstance(layer, (Pact, QuantizedKernel))
    }
    assert bits == {3}
    # The files say by themselves which network it is.
    tool("evaluate", "--dataset=digits", "--subnet_name=baseline")


@pytest.mark.parametrize("value", [np.nan, -0.5])
def test_a_clip_level_that_makes_no_sense(work_dir, run_tool, found, value):
    model = keras.saving.load_model(found / "subnet.keras")
    model.get_layer("stage1.block1.clip1").alpha.assign(value)
    broken = work_dir / "subnet" / f"broken{value}"
    broken.mkdir()
    model.save(broken / "subnet.keras")
    text = (found / "architecture.json").read_text("utf-8")
    (broken / "architecture.json").write_text(text, "utf-8")
    refuses(
        run_tool(
            "export",
            "--dataset=digits",
            f"--subnet_name={broken.name}",
            f"--work_dir={work_dir}",
        ),
        "'stage1.block1.clip1'",
        f"is {value}",
    )


def test_bit_ops_are_of_spaces_with_bits(run_tool, tmp_path):
    result = run_tool(
        "train_supernet",
        *TINY_RUN,
        "--max_bit_ops=3",
        f"--work_dir={tmp_path / 'runs'}",
    )
    refuses(result, "bit_ops", "resnet18_bits", "Limit macs")
