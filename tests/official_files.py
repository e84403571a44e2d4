"""Small files laid out as NATS-Bench's and NAS-Bench-201's.

What `nats_bench.ArchResults.state_dict` and `ResultsCount.state_dict` give;
the readers of both benchmarks (nats-bench 1.8, nas-bench-201 2.1) take them.
"""

import bz2
import io
import pathlib
import pickle
import sys
import zipfile
from typing import Any

import numpy as np

TEXTS = [
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+"
    "|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+"
    "|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
]
SETS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}
SEEDS = (777, 888)


def accuracy(index: int, epochs: int, data_set: str, split: str, seed: int):
    """A figure that is different for everything."""
    place = list(SETS).index(data_set) + len(split) / 100
    return 10.0 * place + index + epochs / 1000 + (seed - 700) / 10_000


def _run(index: int, epochs: int, data_set: str, seed: int) -> dict[str, Any]:
    """A `ResultsCount.state_dict()`; NumPy scalars as some runs have them."""
    last = {
        f"{split}@{epoch}": accuracy(index, epochs, data_set, split, seed)
        - (epochs - 1 - epoch)
        for split in SETS[data_set]
        for epoch in (epochs - 2, epochs - 1)
    }
    return {
        "name": data_set,
        "net_state_dict": None,
        "train_acc1es": {epochs - 1: 99.0},
        "train_acc5es": None,
        "train_losses": {epochs - 1: np.float64(0.1)},
        "train_times": None,
        "arch_config": {
            "channel": 16,
            "num_cells": 5,
            "arch_str": TEXTS[index],
            "class_num": 10,
        },
        # Millions.
        "params": np.float64(0.1 * (index + 1) + 2e-6),
        "flop": 10.0 * (index + 1) + 1e-5,
        "seed": seed,
        "epochs": epochs,
        "latency": [np.float32(0.01)],
        "eval_names": list(SETS[data_set]),
        "eval_acc1es": {key: np.float64(value) for key, value in last.items()},
        "eval_times": {},
        "eval_losses": dict.fromkeys(last, 1.0),
    }


def results(index: int, epochs: int, data_sets=tuple(SETS)) -> dict[str, Any]:
    """An `ArchResults.state_dict()`."""
    return {
        "arch_index": index,
        "arch_str": TEXTS[index],
        "all_results": {
            (data_set, seed): _run(index, epochs, data_set, seed)
            for data_set in data_sets
            for seed in SEEDS
        },
        "dataset_seed": {data_set: [*SEEDS] for data_set in data_sets},
        "clear_net_done": True,
    }


def whole(names=("12", "200"), indexes=(0, 1, 2)) -> dict[str, Any]:
    """What the one large file of either benchmark holds."""
    return {
        "meta_archs": TEXTS,
        "arch2infos": {
            index: {
                names[0]: results(index, 12),
                names[1]: results(index, 200),
            }
            for index in indexes
        },
        "evaluated_indexes": set(indexes),
    }


def write_compressed(path: pathlib.Path, data: Any) -> pathlib.Path:
    with bz2.open(path, "wb") as file:
        pickle.dump(data, file, protocol=4)
    return path


def write_folder(folder: pathlib.Path, indexes=(0, 1, 2)) -> pathlib.Path:
    """NATS-tss-v1_0-3ffb9-simple."""
    folder.mkdir()
    meta = {"meta_archs": TEXTS, "evaluated_indexes": [*indexes]}
    write_compressed(folder / "meta.pickle.pbz2", meta)
    infos = whole(indexes=indexes)["arch2infos"]
    for index, info in infos.items():
        write_compressed(folder / f"{index:06d}.pickle.pbz2", info)
    return folder


def write_torch(path: pathlib.Path, data: Any, *, zipped: bool) -> pathlib.Path:
    """As `torch.save` does, of the zip format or of the one before."""
    if zipped:
        stream = io.BytesIO()
        pickle.dump(data, stream, protocol=2)
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(f"{path.stem}/data.pkl", stream.getvalue())
            file.writestr(f"{path.stem}/byteorder", sys.byteorder)
            file.writestr(f"{path.stem}/version", "3\n")
        return path
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {
        "protocol_version": 1001,
        "little_endian": True,
        "type_sizes": sizes,
    }
    with path.open("wb") as file:
        for one in (0x1950A86A20F9469CFC6C, 1001, system, data, []):
            pickle.dump(one, file, protocol=2)
    return path
