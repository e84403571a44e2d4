"""train_subnet on its own: networks that no search has found."""

import json
import zipfile

DATA = ["--dataset=digits", "--augmentation=shift"]
NETWORK = [
    *DATA,
    "--preset=demo",
    '--space_arguments={"dropout": 0.1}',
    "--encoding=0,1,2,3,0",
    "--batch_size=64",
    "--learning_rate=0.1",
    "--validate_every=0",
]


def read(path):
    return json.loads(path.read_text("utf-8"))


def test_fit_macs_prints_widths_and_is_not_above(work_dir, tool):
    limit = 400_000
    done = tool(
        "train_subnet",
        *NETWORK,
        f"--fit_macs={limit}",
        "--name=fitted",
        "--steps=1",
    )
    folder = work_dir / "subnet" / "fitted"
    widths = read(folder / "architecture.json")["space_arguments"][
        "stage_widths"
    ]
    assert all(width % 8 == 0 for width in widths)
    macs = read(folder / "metrics.json")["macs"]
    assert limit / 2 < macs <= limit
    line = f"scaled to {tuple(widths)}: {macs:,} MACs"
    assert line in done.stderr


def test_mixed_precision_leaves_a_float32_network(work_dir, tool):
    tool(
        "train_subnet",
        *NETWORK,
        "--dtype_policy=mixed_bfloat16",
        "--name=mixed",
        "--steps=5",
    )
    folder = work_dir / "subnet" / "mixed"
    with zipfile.ZipFile(folder / "subnet.keras") as file:
        config = file.read("config.json").decode()
    assert '"float32"' in config
    assert "float16" not in config
    # A float32 file has to agree with it on every image.
    tool("export", *DATA, "--name=mixed", "--formats=saved_model")
    metrics = read(folder / "metrics.json")
    manifest = read(work_dir / "export" / "mixed" / "manifest.json")
    entry = manifest["files"]["saved_model"]
    assert entry["accuracy"] == metrics["test_accuracy"]
