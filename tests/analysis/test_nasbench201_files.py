"""The official files, laid out small; what is not plain is refused."""

import bz2
import collections
import pathlib
import pickle

import numpy as np
import pytest

import official_files
from official_files import (
    SEEDS,
    TEXTS,
    accuracy,
    whole,
    write_compressed,
    write_folder,
    write_torch,
)
from spos_tf.analysis.nasbench201_files import convert
from spos_tf.analysis.plain_pickle import load_torch_file
from spos_tf.errors import UserError

COLUMNS = {
    "test{}_cifar10": ("cifar10", "ori-test"),
    "valid{}_cifar10": ("cifar10-valid", "x-valid"),
    "test{}_cifar100": ("cifar100", "x-test"),
    "valid{}_cifar100": ("cifar100", "x-valid"),
    "test{}_imagenet16": ("ImageNet16-120", "x-test"),
    "valid{}_imagenet16": ("ImageNet16-120", "x-valid"),
}


def converted(path):
    return convert(path, progress=lambda entries, count: entries)


def nasbench201():
    return whole(("less", "full"))


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: write_folder(folder / "NATS-tss-v1_0-3ffb9-simple"),
        lambda folder: write_compressed(
            folder / "NATS-tss-v1_0-3ffb9.pickle.pbz2", whole()
        ),
        lambda folder: write_torch(
            folder / "NAS-Bench-201-v1_1.pth", nasbench201(), zipped=False
        ),
        lambda folder: write_torch(
            folder / "NAS-Bench-201-v1_1.pth", nasbench201(), zipped=True
        ),
    ],
    ids=["folder", "nats", "torch", "torch-zip"],
)
def test_every_kind_gives_the_same_table(write, tmp_path):
    found = converted(write(tmp_path))
    assert found.columns["arch_str"].tolist() == TEXTS
    assert (found.incomplete, found.absent) == ({}, 0)
    for epochs in (12, 200):
        for name, where in COLUMNS.items():
            expected = [
                np.mean([accuracy(i, epochs, *where, seed) for seed in SEEDS])
                for i in range(len(TEXTS))
            ]
            np.testing.assert_allclose(
                found.columns[name.format(epochs)], expected, rtol=1e-12
            )
    # Of (index + 1) * 10 million, without the additions of 10 biases.
    assert found.columns["macs"].tolist() == [10**7, 2 * 10**7, 3 * 10**7]
    assert found.columns["params"].tolist() == [100_002, 200_002, 300_002]
    assert found.columns["macs"].dtype == np.int64
    assert len(found.columns) == 1 + 2 * len(COLUMNS) + 2


def test_the_size_space_is_refused(tmp_path, monkeypatch):
    sizes = ["64:64:64:64:64", "8:16:24:32:40", "8:8:8:8:8"]
    monkeypatch.setattr(official_files, "TEXTS", sizes)
    file = write_compressed(tmp_path / "NATS-sss.pickle.pbz2", whole())
    folder = write_folder(tmp_path / "NATS-sss-v1_0-50262-simple")
    for source in (file, folder):
        with pytest.raises(UserError) as caught:
            converted(source)
        said = str(caught.value)
        assert "The topology space (tss) is read" in said
        assert "'64:64:64:64:64' and is of the size space" in said
        assert repr(str(source)) in said and "\n" not in said


def test_what_some_architectures_lack_is_said(tmp_path):
    data = whole(indexes=(0, 2))
    less = data["arch2infos"][2]
    less["12"] = official_files.results(2, 12, ("cifar10-valid",))
    found = converted(write_compressed(tmp_path / "a.pickle.pbz2", data))
    assert found.columns["arch_str"].tolist() == [TEXTS[0], TEXTS[2]]
    assert found.absent == 1
    assert found.incomplete["test12_cifar10"] == 1
    assert "test12_cifar10" not in found.columns
    assert "valid12_cifar10" in found.columns
    assert "test200_cifar10" in found.columns
    folder = write_folder(tmp_path / "simple", indexes=(1,))
    assert converted(folder).absent == 2


def test_costs_that_repetitions_disagree_on(tmp_path):
    """The benchmark's own reader takes those of seed 888."""
    data = whole(indexes=(0,))
    runs = data["arch2infos"][0]["12"]["all_results"]
    runs["cifar10", 777]["params"] = 0.5
    found = converted(write_compressed(tmp_path / "a.pickle.pbz2", data))
    assert found.columns["params"].tolist() == [100_002]


class Trap:
    """Leaves a trace if it is ever unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_nothing_that_a_file_names_is_run(tmp_path):
    trace = tmp_path / "trace"
    data = nasbench201()
    data["more"] = Trap(trace)
    paths = [
        write_compressed(tmp_path / "a.pickle.pbz2", data),
        write_torch(tmp_path / "a.pth", data, zipped=False),
        write_torch(tmp_path / "b.pth", data, zipped=True),
    ]
    for path in paths:
        with pytest.raises(UserError, match=r"It names \w+\.open, which"):
            converted(path)
    folder = write_folder(tmp_path / "simple")
    write_compressed(folder / "000001.pickle.pbz2", Trap(trace))
    with pytest.raises(UserError, match=r"000001.*open"):
        converted(folder)
    assert not trace.exists()


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(3),
        np.array(None, object),
        np.datetime64("2020-01-01"),
        pathlib.PurePosixPath("x"),
        print,
        Trap,
    ],
    ids=str,
)
@pytest.mark.parametrize("zipped", [False, True])
def test_what_is_not_plain_is_refused(tmp_path, value, zipped):
    path = write_torch(tmp_path / "a.pth", {"x": value}, zipped=zipped)
    with pytest.raises(UserError, match="is not read. It (names|holds)"):
        load_torch_file(path)


def test_a_codec_other_than_latin_1_is_refused(tmp_path):
    path = tmp_path / "a.pickle.pbz2"
    # codecs.encode("x", "rot13") in protocol 0.
    program = b"c_codecs\nencode\n(Vx\nVrot13\ntR."
    assert pickle.loads(program) == "k"
    path.write_bytes(bz2.compress(program))
    with pytest.raises(UserError, match="the codec 'rot13'"):
        converted(path)


def test_tensors_are_refused(tmp_path):
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return "storage" if isinstance(obj, bytes) else None

    path = tmp_path / "a.pth"
    with path.open("wb") as file:
        for one in (0x1950A86A20F9469CFC6C, 1001, {}):
            pickle.dump(one, file, protocol=2)
        Pickler(file, 2).dump({"weight": b"12"})
    with pytest.raises(UserError, match="holds tensors"):
        load_torch_file(path)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_plain_values_come_through(tmp_path, zipped, order):
    numbers = {
        kind: np.dtype(order + kind).type(3)
        for kind in ("f2", "f4", "f8", "i4", "i8", "u2")
    }
    value = {
        "ordered": collections.OrderedDict(a=1, b=[2.5]),
        "default": collections.defaultdict(list, x=[1]),
        "sets": [{1, 2}, frozenset("a")],
        "bytes": b"\x00\xff",
        "flag": np.bool_(True),
        "byte": np.int8(-3),
        **numbers,
    }
    path = write_torch(tmp_path / "a.pth", value, zipped=zipped)
    assert load_torch_file(path) == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "no 'meta_archs'"),
        ([], "no 'meta_archs'"),
        ({"meta_archs": [3]}, "no 'meta_archs'"),
        ({"meta_archs": TEXTS}, "no 'arch2infos'"),
        ({"meta_archs": TEXTS, "arch2infos": {3: {}}}, "no 'arch2infos'"),
        ({"meta_archs": TEXTS, "arch2infos": {}}, "has no results"),
        (
            {"meta_archs": TEXTS, "arch2infos": {0: {"12": {}}}},
            "not laid out as .*KeyError: 'dataset_seed'",
        ),
    ],
)
def test_other_layouts(tmp_path, data, message):
    with pytest.raises(UserError, match=message):
        converted(write_compressed(tmp_path / "a.pickle.pbz2", data))


def test_damaged_files(tmp_path):
    def refused(path, message):
        with pytest.raises(UserError, match=message):
            converted(path)

    refused(tmp_path / "no.pth", "Cannot read .*No such file")
    refused(tmp_path / "no.pickle.pbz2", "Cannot read .*No such file")
    refused(tmp_path, "Cannot read .*meta.pickle.pbz2.*No such file")
    refused(tmp_path / "a.zip", "official files are a folder")
    path = write_compressed(tmp_path / "a.pickle.pbz2", whole())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refused(path, "damaged or of another kind")
    path.write_bytes(b"x" * 100)
    refused(path, "damaged")
    for zipped in (False, True):
        path = write_torch(tmp_path / "a.pth", whole(), zipped=zipped)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        refused(path, "damaged|not written by torch.save")
    path.write_bytes(pickle.dumps(whole()))
    refused(path, "not written by torch.save")
