"""Benchmark tables: what is read, what is refused, and in which words."""

import functools
import pickle

import numpy as np
import pytest

from spos_tf.analysis.benchmark_table import read_table
from spos_tf.analysis.table_architectures import sub_table
from spos_tf.errors import UserError
from spos_tf.options import CorrelationOptions
from spos_tf.space.choice import Choice
from spos_tf.space.search_space import SearchSpace, parse_encoding
from spos_tf.spaces import build_blueprint, parse_architecture

TEXTS = ("0,0", "1,0", "2,1", "0,1")
ACCURACIES = (0.5, 0.7, 0.6, 0.4)


@pytest.fixture
def space():
    return SearchSpace("toy", (Choice("a", (1, 2, 3)), Choice("b", (1, 2))))


@pytest.fixture
def write(tmp_path):
    """Writes a table of either kind."""

    def write(name, **columns):
        path = tmp_path / name
        if name.endswith(".npz"):
            np.savez(path, **columns)
        else:
            rows = zip(*columns.values(), strict=True)
            lines = [",".join(f'"{value}"' for value in row) for row in rows]
            path.write_text("\n".join([",".join(columns), *lines]) + "\n")
        return path

    return write


def architectures(path, space):
    return sub_table(read_table(path), space, parse_encoding)


@pytest.mark.parametrize("name", ["table.npz", "table.csv"])
@pytest.mark.parametrize("column", ["arch", "arch_str"])
def test_both_kinds_say_the_same(write, space, name, column):
    path = write(name, **{column: TEXTS}, test=ACCURACIES, macs=(3, 4, 5, 6))
    table = read_table(path)
    assert table.architectures == TEXTS
    assert table.accuracy_columns == ("test",)
    assert table.numbers("test").tolist() == list(ACCURACIES)
    assert table.numbers("macs").tolist() == [3, 4, 5, 6]
    found = sub_table(table, space, parse_encoding)
    # By encoding, whatever the order of the rows.
    assert found.encodings.tolist() == [[0, 0], [0, 1], [1, 0], [2, 1]]
    assert table.numbers("test")[found.rows].tolist() == [0.5, 0.4, 0.7, 0.6]
    assert found.left_out == 0


def test_further_arrays_of_an_npz_are_no_columns(write):
    path = write(
        "table.npz",
        arch_str=TEXTS,
        test=ACCURACIES,
        ops=np.zeros((4, 2)),
        names=np.array(["x", "y"]),
        text=TEXTS,
    )
    assert read_table(path).accuracy_columns == ("test",)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b'\xef\xbb\xbfarch,acc\r\n"0,0",1\r\n"1,0",2\r\n')
    assert read_table(path).numbers("acc").tolist() == [1, 2]


def test_a_smaller_space_takes_its_part(write, space):
    path = write("table.csv", arch=TEXTS, test=ACCURACIES)
    found = architectures(path, space.pinned({"b": 1}))
    assert found.encodings.tolist() == [[0, 0], [1, 0]]
    assert found.left_out == 2
    with pytest.raises(UserError, match="None of the 4 .* is legal in space"):
        architectures(path, space.pinned({"a": 3, "b": 1}))


def test_the_benchmarks_strings(write):
    """Of NAS-Bench-201, for its space and a reduced one."""
    last = "|nor_conv_3x3~0|skip_connect~1|none~2|"
    texts = [
        f"|{op}~0|+|none~0|nor_conv_3x3~1|+{last}"
        for op in ("nor_conv_1x1", "avg_pool_3x3", "skip_connect", "none")
    ]
    table = read_table(write("table.npz", arch_str=texts, a=range(4)))
    # By the option of the first edge.
    rows = {2: 0, 4: 1, 1: 2, 0: 3}
    for name, expected in (
        ("nasbench201", [0, 1, 2, 4]),
        ("nasbench201_reduce1", [0, 1, 4]),
        ("nasbench201_reduce3", [0, 1]),
    ):
        parse = functools.partial(parse_architecture, name)
        space = build_blueprint(name).search_space
        found = sub_table(table, space, parse)
        assert found.encodings.tolist() == [
            [i, 0, 3, 3, 1, 0] for i in expected
        ]
        assert found.left_out == 4 - len(expected)
        assert found.rows.tolist() == [rows[option] for option in expected]
    other = read_table(write("b.csv", arch=["0,0,3,3,1,0"], a=[1]))
    with pytest.raises(UserError, match="Row 1 .*is written .op~0"):
        sub_table(other, space, parse)


def test_a_sample_is_of_its_seed_and_not_of_the_order_of_rows(write, space):
    order = [2, 0, 3, 1]
    one = architectures(write("a.csv", arch=TEXTS, test=ACCURACIES), space)
    other = architectures(
        write("b.csv", arch=[TEXTS[i] for i in order], test=ACCURACIES), space
    )
    for seed in range(4):
        drawn = [
            part.sample(2, seed).encodings.tolist() for part in (one, other)
        ]
        assert drawn[0] == drawn[1]
        larger = one.sample(3, seed).encodings.tolist()
        assert all(encoding in larger for encoding in drawn[0])
    samples = {
        str(one.sample(2, seed).encodings.tolist()) for seed in range(20)
    }
    assert len(samples) > 3
    assert len(one.sample(0, 0)) == len(one.sample(4, 0)) == 4
    with pytest.raises(UserError, match="has 4 .*got `num_architectures=5`"):
        one.sample(5, 0)


@pytest.mark.parametrize("name", ["table.npz", "table.csv"])
@pytest.mark.parametrize(
    ("columns", "column", "message"),
    [
        ({"arch": TEXTS, "a": ACCURACIES}, "b", "no column 'b'.* are: a[.]"),
        ({"arch": TEXTS}, "b", "accuracies are: none"),
        (
            {"arch": TEXTS, "a": (1, np.nan, 3, np.nan)},
            "a",
            r"'a' .* has nan in row 2 \(2 such rows\)",
        ),
        ({"arch": TEXTS, "a": (1, 2, np.inf, 4)}, "a", "has inf in row 3"),
        ({"arch": TEXTS, "a": ("1", "2", "x", "4")}, "a", "'x' in row 3"),
        ({"a": ACCURACIES}, "a", "column arch_str or arch, .* has: a[.]"),
    ],
)
def test_columns_that_will_not_do(write, name, columns, column, message):
    path = write(name, **columns)
    with pytest.raises(UserError, match=message):
        read_table(path).numbers(column)


@pytest.mark.parametrize("name", ["table.npz", "table.csv"])
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("0,0", "1,0,0"), "Row 2 .* no architecture of space 'toy'.*has 3"),
        (("0,0", "3,0"), "Row 2 .* choice 'a' has options 0 to 2; got 3"),
        (("0,0", "-1,0"), "Row 2 .* got -1"),
        (("|none~0|", "1,0"), "Row 1 .*comma-separated list"),
        (("0,0", "1,1", "0, 0"), "row 3 .* is that of row 1 again: '0, 0'"),
    ],
)
def test_architectures_that_will_not_do(write, space, name, texts, message):
    path = write(name, arch=texts, a=range(len(texts)))
    with pytest.raises(UserError, match=message):
        architectures(path, space)


def test_files_that_are_no_tables(tmp_path, write):
    def refused(path, message):
        with pytest.raises(UserError, match=message):
            read_table(path)

    refused(tmp_path / "no.npz", "Cannot read table .*No such file")
    refused(tmp_path / "table.xlsx", "a .npz or a .csv file")
    refused(tmp_path, "a .npz or a .csv file")
    damaged = write("damaged.npz", arch=TEXTS, a=ACCURACIES)
    whole = damaged.read_bytes()
    for end in (0, 10, len(whole) - 30):
        damaged.write_bytes(whole[:end])
        refused(damaged, "damaged or no NPZ file")
    flipped = bytearray(whole)
    flipped[150] ^= 0xFF
    damaged.write_bytes(flipped)
    refused(damaged, "damaged or no NPZ file")
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    refused(tmp_path / "array.npz", "damaged or no NPZ file")
    empty = tmp_path / "empty.csv"
    for content, message in (
        (b"", "is empty"),
        (b"arch,a\n", "has no row"),
        (
            b"arch,a\n0,1,0.5\n",
            r'Row 1 .* has 3 values, .* in quotes, as in "2',
        ),
        (b"arch,a,a\n", "two columns called 'a'"),
        (b"arch,a\n\xff\xfe,1\n", "no CSV file in UTF-8"),
    ):
        empty.write_bytes(content)
        refused(empty, message)
    refused(write("none.npz", arch=np.zeros(0, "U3")), "has no row")
    refused(write("numbers.npz", arch=np.zeros(3)), "one text a row; got float")


class Trap:
    """Leaves a trace if it is ever unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_pickled_objects_are_never_loaded(tmp_path):
    trace = tmp_path / "trace"
    trap = np.array([Trap(trace)] * 2, object)
    np.savez(tmp_path / "table.npz", arch=trap, a=np.zeros(2))
    with pytest.raises(UserError, match="pickled Python objects.*run code"):
        read_table(tmp_path / "table.npz")
    (tmp_path / "table.npz").write_bytes(pickle.dumps(Trap(trace)))
    with pytest.raises(UserError, match="no NPZ file"):
        read_table(tmp_path / "table.npz")
    assert not trace.exists()
    # The trap is one.
    pickle.loads(pickle.dumps(Trap(trace))).close()
    assert trace.exists()


def test_the_real_table(shared_dir):
    table = read_table(shared_dir / "data" / "nb201.npz")
    assert len(table.architectures) == 15_625
    assert {"test200_cifar10", "test200_cifar100", "test200_imagenet16"} <= {
        *table.accuracy_columns
    }
    assert not {"ops", "latency_ms", "edges"} & {*table.columns}
    # Index 1 is in the benchmark's documentation: CIFAR-10 test accuracy.
    assert table.numbers("test200_cifar10")[1] == pytest.approx(93.66)


def test_encodings_stand_for_a_text(write, space):
    encodings = np.array([[0, 0], [1, 0], [2, 1], [0, 1]], np.uint8)
    path = write("table.npz", encodings=encodings, test=ACCURACIES)
    table = read_table(path)
    assert table.architectures == TEXTS
    assert table.accuracy_columns == ("test",)
    assert len(architectures(path, space)) == 4


@pytest.mark.parametrize(
    "encodings", [np.zeros((4, 2)), np.zeros(4, np.int32)], ids=["real", "flat"]
)
def test_encodings_of_another_kind_are_refused(write, encodings):
    path = write("table.npz", encodings=encodings, test=ACCURACIES)
    with pytest.raises(UserError, match="rows of option indices; got"):
        read_table(path)


def test_equal_networks_count_once(write, space):
    # As if 0 in the second place could stand anywhere: 0,1 is 1,0.
    path = write(
        "table.npz", arch=("0,1", "2,1", "0,0", "1,0"), test=ACCURACIES
    )
    found = sub_table(
        read_table(path),
        space,
        parse_encoding,
        lambda rows: np.where((rows == [0, 1]).all(1)[:, None], [1, 0], rows),
    )
    assert found.encodings.tolist() == [[0, 0], [1, 0], [2, 1]]
    # The row that says it in canonical form, though it comes last.
    assert found.rows.tolist() == [2, 3, 1]
    assert (found.left_out, found.equal) == (0, 1)
    assert found.sample(2, seed=0).equal == 1


def test_equal_networks_without_the_canonical_row(write, space):
    path = write("table.npz", arch=("0,1", "1,1"), test=ACCURACIES[:2])
    found = sub_table(
        read_table(path),
        space,
        parse_encoding,
        lambda rows: np.full_like(rows, 1) - [[0, 1]],
    )
    assert found.encodings.tolist() == [[1, 0]]
    assert found.rows.tolist() == [0]


def test_a_second_sample_shares_nothing_with_the_first(write):
    space = SearchSpace("toy", (Choice("a", tuple(range(10))),) * 1)
    path = write(
        "table.npz",
        arch=tuple(map(str, range(10))),
        test=np.arange(10.0),
    )
    table = architectures(path, space)
    first = table.sample(6, seed=0)
    second = table.sample(4, seed=1, without=(0, 6))
    assert sorted([*first.rows, *second.rows]) == list(range(10))
    rest = table.sample(0, seed=1, without=(0, 6))
    assert rest.rows.tolist() == second.rows.tolist()
    # A smaller one is part of a larger, here too.
    part = table.sample(2, seed=1, without=(0, 6))
    assert {*part.rows} < {*second.rows}
    with pytest.raises(UserError, match="4 architectures .* not in `without"):
        table.sample(5, seed=1, without=(0, 6))
    with pytest.raises(UserError, match="has 0 architectures"):
        table.sample(0, seed=1, without=(0, 10))


@pytest.mark.parametrize("text", ["5", "0:", ":5", "0:0", "a:5", "-1:5", "1:²"])
def test_another_sample_that_is_none(text):
    with pytest.raises(UserError, match="SEED:COUNT, such as 0:500; got"):
        CorrelationOptions(without_sample=text)
