"""The converter's command line; what it reads is in tests/analysis."""

import numpy as np

from official_files import TEXTS, whole, write_compressed, write_folder
from refusals import refuses, tree
from spos_tf.analysis.benchmark_table import read_table


def test_its_table_is_read(run_tool, tmp_path):
    source = write_folder(tmp_path / "simple", indexes=(0, 1))
    output = tmp_path / "nb201.npz"
    done = run_tool(
        "convert_nasbench201", f"--source={source}", f"--output={output}"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 architectures, columns arch_str, ")
    assert "1 architectures have no results" in done.stderr
    table = read_table(output)
    assert table.architectures == tuple(TEXTS[:2])
    assert len(table.accuracy_columns) == 12
    assert np.isfinite(table.numbers("test200_cifar10")).all()
    assert table.numbers("params").tolist() == [100_002, 200_002]


def test_bad_input(run_tool, tmp_path):
    data = whole()
    data["arch2infos"][0]["12"]["more"] = print
    source = write_compressed(tmp_path / "a.pickle.pbz2", data)

    def refused(source, output, *expected):
        before = tree(tmp_path)
        done = run_tool(
            "convert_nasbench201", f"--source={source}", f"--output={output}"
        )
        refuses(done, *expected)
        assert tree(tmp_path) == before

    refused(source, tmp_path / "a.npz", "It names builtins.print", "run code")
    refused(source, tmp_path / "a.csv", "--output ends in .npz")
    refused(source, tmp_path / "no" / "a.npz", "There is no folder")
    refused(tmp_path / "no.pth", tmp_path / "a.npz", "Cannot read", "no.pth")
