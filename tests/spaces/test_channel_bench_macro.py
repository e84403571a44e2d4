"""Channel-Bench-Macro: the structure, the table's counts, what is refused."""

import itertools

import numpy as np
import pytest

from layer_count import count_layers
from spos_tf.analysis.benchmark_table import read_table
from spos_tf.analysis.table_architectures import sub_table
from spos_tf.cost.counting import counts
from spos_tf.cost.table import cost_table
from spos_tf.errors import UserError
from spos_tf.networks.subnet import build_subnet
from spos_tf.space.search_space import parse_encoding
from spos_tf.spaces import build_blueprint

NAME = "channel_bench_macro"


def by_hand(encoding):
    """(params, multiply-adds) of a network, written down from the facts."""
    full = (128, 768, 768, 768, 256, 1536, 1024)
    w = [f * (e + 1) // 4 for f, e in zip(full, encoding, strict=True)]
    params, macs = 27 * w[0] + 2 * w[0], 256 * 27 * w[0]
    for into, hidden, out, first, last in (
        (w[0], w[1], w[0], 256, 256),
        (w[0], w[2], w[0], 256, 256),
        (w[0], w[3], w[4], 256, 64),
        (w[4], w[5], w[4], 64, 64),
    ):
        params += into * hidden + 9 * hidden + hidden * out
        params += 4 * hidden + 2 * out
        macs += first * into * hidden + last * (9 * hidden + hidden * out)
    params += w[4] * w[6] + 2 * w[6] + 10 * w[6] + 10
    macs += 64 * w[4] * w[6] + 10 * w[6]
    return params, macs


def test_the_choices_are_the_benchmarks_digits():
    blueprint = build_blueprint(NAME)
    assert [choice.name for choice in blueprint.search_space.choices] == [
        "stem.width",
        "stage1.block1.width",
        "stage1.block2.width",
        "stage2.block1.width",
        "stage2.channels",
        "stage2.block2.width",
        "head.width",
    ]
    assert blueprint.search_space.size == 1_024
    assert blueprint.output_shapes == (
        *[(16, 16, 128)] * 3,
        *[(8, 8, 256)] * 2,
        (10,),
    )
    some = counts(blueprint)["log_widths"]([[3] * 7, [3, 0, 3, 3, 3, 3, 3]])
    assert some[0] == 0 and some[1] == pytest.approx(np.log(0.25))


@pytest.mark.parametrize("quarters", [(4, 4), (1, 3)])
def test_counts_by_hand(quarters):
    blueprint = build_blueprint(NAME, stage_quarters=list(quarters))
    encodings = blueprint.search_space.sample(np.random.default_rng(0), 50)
    assert (encodings[:, [0, 4]] + 1 == quarters).all()
    found = [
        cost_table(blueprint, name)(encodings) for name in ("params", "macs")
    ]
    assert np.transpose(found).tolist() == [[*by_hand(e)] for e in encodings]


def test_the_built_network_has_the_same_counts():
    encoding = [3, 0, 1, 2, 3, 1, 0]
    counted = count_layers(build_subnet(build_blueprint(NAME), encoding))
    assert (counted["params"], counted["macs"]) == by_hand(encoding)


def test_every_row_of_the_table(shared_dir):
    with np.load(shared_dir / "data" / "channel_bench_macro.npz") as table:
        encodings = table["encodings"].astype(np.int32)
        expected = {
            name: table[f"{name}_mobilenet"] for name in ("params", "macs")
        }
    rows = 0
    for first, second in itertools.product(range(4), repeat=2):
        blueprint = build_blueprint(
            NAME, stage_quarters=[first + 1, second + 1]
        )
        some = (encodings[:, 0] == first) & (encodings[:, 4] == second)
        rows += some.sum()
        for name, values in expected.items():
            counted = cost_table(blueprint, name)(encodings[some])
            assert np.array_equal(counted, values[some])
    assert rows == len(encodings) == 8_192


def test_the_part_of_the_table_that_is_searched(shared_dir):
    table = read_table(shared_dir / "data" / "channel_bench_macro.npz")
    space = build_blueprint(NAME).search_space
    found = sub_table(table, space, parse_encoding)
    assert len(found) + found.left_out == 8_192
    # About half of 1,024, as of everything.
    assert 400 < len(found) < 600
    assert (found.encodings[:, [0, 4]] == 3).all()
    assert table.numbers("mean_mobilenet")[found.rows].min() > 89


def test_the_quarter_takes_a_sixteenth():
    full, proxy = (
        build_blueprint(NAME, preset=p) for p in ("cifar", "quarter")
    )
    rows = full.search_space.sample(np.random.default_rng(1), 200)
    share = cost_table(proxy, "macs")(rows) / cost_table(full, "macs")(rows)
    assert share.mean() == pytest.approx(1 / 16, rel=0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stage_quarters": [4]}, "one value a stage; got"),
        ({"stage_quarters": [4, 5]}, "are 1 to 4; got"),
        ({"stage_quarters": [0, 4]}, "stage_quarters takes positive"),
        ({"stage_widths": [128, 250]}, "multiples of 4; got 250"),
        ({"stem_width": 64}, "first stage's width; got stem_width 64"),
        ({"stage_repeats": [2, 1]}, "at least two blocks"),
        ({"expansion": 0}, "expansion takes positive"),
    ],
)
def test_a_network_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        build_blueprint(NAME, **arguments)
