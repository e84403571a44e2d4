"""The official files of NAS-Bench-201 and NATS-Bench as a table.

Layouts are those that the benchmarks' own readers take (D-X-Y/NATS-Bench and
D-X-Y/NAS-Bench-201): a dict of `meta_archs`, the architectures' texts by
index, and `arch2infos`, of each index the results by schedule. Results are
`{"dataset_seed": {data set: [seed]}, "all_results": {(data set, seed): run}}`,
and a run's accuracies `eval_acc1es` are by `"set@epoch"`, in percent.
"""

import bz2
import collections
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spos_tf.analysis.plain_pickle import load_pickle, load_torch_file
from spos_tf.errors import UserError

# (architecture's text, {epochs of the schedule: results}).
Entry = tuple[str, Mapping[str, Any]]

_EXTENSION = ".pickle.pbz2"
# By schedule: how NATS-Bench calls it, and how NAS-Bench-201 does.
_SCHEDULES = {12: ("12", "less"), 200: ("200", "full")}


class _Column(NamedTuple):
    name: str
    data_set: str
    split: str


# The 10,000 test images of CIFAR-10; of the others the half of the test images
# that the benchmark calls test, and the other half to validate on.
_COLUMNS = (
    _Column("test{}_cifar10", "cifar10", "ori-test"),
    _Column("valid{}_cifar10", "cifar10-valid", "x-valid"),
    _Column("test{}_cifar100", "cifar100", "x-test"),
    _Column("valid{}_cifar100", "cifar100", "x-valid"),
    _Column("test{}_imagenet16", "ImageNet16-120", "x-test"),
    _Column("valid{}_imagenet16", "ImageNet16-120", "x-valid"),
)
# Costs are those of the CIFAR-10 networks.
_COST_DATA_SETS = ("cifar10", "cifar10-valid")
# Architectures of the topology space, and of NATS-Bench's other one: widths.
_TOPOLOGY = re.compile(r"\|\w+~0\|\+\|\w+~0\|\w+~1\|\+(\|\w+~[012]){3}\|")
_SIZES = re.compile(r"\d+(:\d+)*")
# The run whose costs the benchmark's reader takes where repeated ones disagree.
_COST_SEED = 888
# The benchmark counts an addition for each bias of the classifier.
_BIAS_ADDITIONS = 10


class Converted(NamedTuple):
    """What was in the files.

    Attributes:
        columns: Of equal lengths; `arch_str` is text, the others numbers.
        incomplete: Columns that some architectures lack, left out, with how
            many have them.
        absent: Architectures without any results, left out.
    """

    columns: dict[str, npt.NDArray[Any]]
    incomplete: dict[str, int]
    absent: int


def convert(
    path: str | pathlib.Path,
    *,
    progress: Callable[[Iterator[Entry], int], Iterator[Entry]],
) -> Converted:
    """Reads the official files.

    Args:
        path: A folder `NATS-tss-v1_0-3ffb9-simple` of one file an
            architecture; or a file `.pickle.pbz2` of NATS-Bench or `.pth` of
            NAS-Bench-201, which is in memory as a whole while it is read.
        progress: Given the entries and their number; passes them on.

    Raises:
        UserError: It cannot be read, is damaged, is of another layout, or
            names classes that are not plain values.
    """
    path = pathlib.Path(path)
    texts, entries = _open(path)
    rows: list[dict[str, float]] = []
    names: list[str] = []
    for text, schedules in progress(entries, len(texts)):
        try:
            row = dict(_figures(schedules))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"The results of {text!r} in {str(path)!r} are not laid out as "
                f"the benchmark's are ({type(error).__name__}: {error}). Give "
                "the files as they were published."
            ) from None
        if row:
            names.append(text)
            rows.append(row)
    if not rows:
        raise UserError(
            f"{str(path)!r} has no results of any architecture. Give the "
            "files as they were published."
        )
    counts = collections.Counter(name for row in rows for name in row)
    whole = [name for name, count in counts.items() if count == len(rows)]
    columns: dict[str, npt.NDArray[Any]] = {"arch_str": np.array(names)}
    for name in whole:
        numbers = np.array([row[name] for row in rows])
        is_cost = name in ("macs", "params")
        columns[name] = numbers.astype(np.int64) if is_cost else numbers
    return Converted(
        columns,
        {name: count for name, count in counts.items() if name not in whole},
        len(texts) - len(rows),
    )


def _open(path: pathlib.Path) -> tuple[list[str], Iterator[Entry]]:
    """Texts of all architectures, and the entries, read one by one."""
    if path.is_dir():
        data = _load_compressed(path / f"meta{_EXTENSION}")
        texts = _texts(data, path)
        return texts, _folder_entries(path, texts)
    if path.name.endswith(_EXTENSION):
        data = _load_compressed(path)
    elif path.suffix == ".pth":
        data = load_torch_file(path)
    else:
        raise UserError(
            "The official files are a folder such as "
            f"NATS-tss-v1_0-3ffb9-simple, or end in {_EXTENSION} or .pth; got "
            f"{str(path)!r}."
        )
    texts = _texts(data, path)
    infos = data.get("arch2infos")
    if not isinstance(infos, dict) or not all(
        isinstance(index, int) and 0 <= index < len(texts) for index in infos
    ):
        raise _other_layout(path, "arch2infos")
    entries = ((texts[index], infos[index]) for index in sorted(infos))
    return texts, entries


def _texts(data: Any, path: pathlib.Path) -> list[str]:
    found = data.get("meta_archs") if isinstance(data, dict) else None
    if not isinstance(found, (list, tuple)) or not all(
        isinstance(text, str) for text in found
    ):
        raise _other_layout(path, "meta_archs")
    others = [text for text in found if not _TOPOLOGY.fullmatch(text)]
    if others:
        sizes = all(_SIZES.fullmatch(text) for text in found)
        raise UserError(
            "The topology space (tss) is read, whose architectures are texts "
            f"such as '|nor_conv_3x3~0|+...'; {str(path)!r} has "
            f"{others[0][:60]!r}"
            f"{' and is of the size space (sss)' if sizes else ''}. Give "
            "NATS-tss-v1_0-3ffb9-simple, or a file of NAS-Bench-201."
        )
    return list(found)


def _other_layout(path: pathlib.Path, key: str) -> UserError:
    return UserError(
        f"{str(path)!r} is not laid out as the benchmark's files are: it has "
        f"no {key!r} of the right kind. Give the files of the topology space "
        "(tss) as they were published."
    )


def _folder_entries(folder: pathlib.Path, texts: list[str]) -> Iterator[Entry]:
    for index, text in enumerate(texts):
        path = folder / f"{index:06d}{_EXTENSION}"
        if path.exists():
            yield text, _load_compressed(path)


def _load_compressed(path: pathlib.Path) -> Any:
    what = f"File {str(path)!r}"
    try:
        with bz2.open(path, "rb") as stream:
            return load_pickle(stream, what, path.stat().st_size)
    except OSError as error:
        reason = error.strerror or "it is damaged"
        raise UserError(f"Cannot read {what}: {reason}.") from None


def _figures(schedules: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """All columns that an architecture has results for."""
    costs: dict[str, int] = {}
    for epochs, names in _SCHEDULES.items():
        found = [schedules[name] for name in names if name in schedules]
        if not found:
            continue
        (results,) = found
        for column in _COLUMNS:
            runs = _runs(results, column.data_set)
            values = [
                float(run["eval_acc1es"][f"{column.split}@{epochs - 1}"])
                for run in runs
                if f"{column.split}@{epochs - 1}" in run["eval_acc1es"]
            ]
            if values:
                yield column.name.format(epochs), float(np.mean(values))
        costs = costs or _costs(results)
    yield from costs.items()


def _runs(results: Mapping[str, Any], data_set: str) -> list[Any]:
    seeds = results["dataset_seed"].get(data_set, [])
    return [results["all_results"][data_set, seed] for seed in seeds]


def _costs(results: Mapping[str, Any]) -> dict[str, int]:
    for data_set in _COST_DATA_SETS:
        runs = _runs(results, data_set)
        if not runs:
            continue
        counted = {*map(_counted, runs)}
        if len(counted) > 1:
            run = results["all_results"][data_set, _COST_SEED]
            counted = {_counted(run)}
        ((flops, params),) = counted
        return {"macs": flops - _BIAS_ADDITIONS, "params": params}
    return {}


def _counted(run: Mapping[str, Any]) -> tuple[int, int]:
    # Both are given in millions.
    return round(1e6 * run["flop"]), round(1e6 * run["params"])
