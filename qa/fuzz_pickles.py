"""What `convert_nasbench201.py` has to say of a file, found out by pickle.

Only for files that the fuzz program wrote itself: these are unpickled.
"""

import bz2
import io
import pathlib
import pickle
import zipfile
from typing import Any

import numpy as np

from fuzz_tools import Ran


# Python's own reader in Python: a few bytes cannot make it take gigabytes, as
# they can the one in C.
class _Plain(pickle._Unpickler):  # type: ignore[name-defined]
    """Python's own reading of what the fuzz program itself wrote."""

    def find_class(self, module: str, name: str) -> Any:
        if (module.split(".")[0], name) in (
            ("numpy", "scalar"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
            ("collections", "OrderedDict"),
            ("__builtin__", "set"),
            ("builtins", "set"),
        ):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(name)


def converted(ran: Ran, case: pathlib.Path, right: pathlib.Path) -> str | None:
    """`convert_nasbench201.py`: means over the repetitions."""
    del ran, right
    content = (case.parent / "spoilt").read_bytes()
    if content.startswith(b"BZh"):
        data = _Plain(io.BytesIO(bz2.decompress(content))).load()
    elif zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            name = next(n for n in file.namelist() if n.endswith("data.pkl"))
            data = _Plain(io.BytesIO(file.read(name))).load()
    else:
        stream = io.BytesIO(content)
        for _ in range(3):
            _Plain(stream).load()
        data = _Plain(stream).load()
    with np.load(case / "out.npz", allow_pickle=False) as file:
        table = dict(file)
    texts = [data["meta_archs"][index] for index in sorted(data["arch2infos"])]
    if texts != table["arch_str"].tolist():
        return f"it has the architectures {texts}"
    if "test200_cifar10" not in table:
        return None
    for row, index in enumerate(sorted(data["arch2infos"])):
        results = data["arch2infos"][index]["200"]
        values = [
            results["all_results"]["cifar10", seed]["eval_acc1es"][
                "ori-test@199"
            ]
            for seed in results["dataset_seed"]["cifar10"]
        ]
        if float(np.mean(values)) != table["test200_cifar10"][row]:
            return f"row {row} is not the mean of {values}"
    return None
