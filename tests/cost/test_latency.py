"""Latency tables: what they add up to, and what is refused."""

import dataclasses
import math

import numpy as np
import pytest
import yaml

from spos_tf.cost.latency import latency_table, read_latency_table
from spos_tf.cost.latency_entries import LatencyEntry, MeasuredTable
from spos_tf.cost.spread import spread_encodings
from spos_tf.cost.table import SlotOption, cost_table, slot_options
from spos_tf.errors import UserError
from spos_tf.spaces import build_blueprint

SHAPE = (56, 56, 24)


@pytest.fixture(scope="module")
def blueprint():
    return build_blueprint("shufflenet_blocks", preset="demo")


@pytest.fixture
def table(blueprint):
    """Every part takes as many milliseconds as it has multiply-adds."""
    entries = [
        LatencyEntry(
            slots=(option.name,),
            choices=option.choices,
            input_shape=option.input_shape,
            output_shape=option.output_shape,
            macs=option.macs,
            median_ms=float(option.macs),
            low_ms=option.macs - 1.0,
            high_ms=option.macs + 1.0,
            repeats=30,
        )
        for option in slot_options(blueprint)
    ]
    return MeasuredTable(
        search_space="shufflenet_blocks",
        space_arguments={"preset": "demo"},
        machine={"processor": "abacus", "cores": 2},
        runtime="tflite",
        threads=1,
        batch=1,
        overhead_ms=0.0,
        entries=tuple(entries),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.yaml"


def test_a_latency_is_the_sum_over_the_parts(blueprint, table, path):
    table.write(path)
    costs = latency_table(blueprint, read_latency_table(path))
    macs = cost_table(blueprint, "macs")
    encodings = blueprint.search_space.sample(np.random.default_rng(0), 5)
    assert costs.name == "latency_ms"
    np.testing.assert_allclose(costs(encodings), macs(encodings))
    assert costs.minimum == macs.minimum


def test_the_overhead_of_a_call_is_taken_off_every_part(blueprint, table):
    plain = latency_table(blueprint, table)([0] * 5)
    less = latency_table(
        blueprint, dataclasses.replace(table, overhead_ms=2.5)
    )([0] * 5)
    # Five blocks, stem and head.
    assert math.isclose(plain - less, 7 * 2.5)
    # A part that is quicker alone than a call's overhead takes no time.
    least = min(entry.median_ms for entry in table.entries)
    most = dataclasses.replace(table, overhead_ms=2 * least)
    assert latency_table(blueprint, most).minimum >= 0


def test_what_was_written_is_read(table, path):
    entry = dataclasses.replace(
        table.entries[1], slots=("a", "b"), choices={"bits": (1, 2), "w": 0.4}
    )
    table = dataclasses.replace(table, entries=(entry,))
    table.write(path)
    found = read_latency_table(path)
    assert found == dataclasses.replace(table, source=repr(str(path)))
    # For people: an entry's short lists are on one line.
    assert "slots: [a, b]" in path.read_text("utf-8")


def test_missing_entries_are_named_and_counted(blueprint, table, path):
    dataclasses.replace(table, entries=table.entries[:-3]).write(path)
    with pytest.raises(UserError) as error:
        latency_table(blueprint, read_latency_table(path))
    message = str(error.value)
    assert "lacks 3: " in message
    assert "'stage2.block3 op=7x7 on 2x2x72'" in message
    assert "'head on 2x2x72'" in message
    assert str(path) in message


def test_a_table_of_another_preset_lacks_every_entry(table):
    other = build_blueprint("shufflenet_blocks", preset="cifar")
    with pytest.raises(UserError, match="lacks 82: .* and 77 more. Build"):
        latency_table(other, table)


@pytest.mark.parametrize(
    "value", [-1.0, math.nan, math.inf, "fast", None, True, [1]]
)
@pytest.mark.parametrize("field", ["median_ms", "high_ms"])
def test_what_is_no_latency_is_refused(table, path, field, value):
    table.write(path)
    data = yaml.safe_load(path.read_text("utf-8"))
    data["entries"][2][field] = value
    path.write_text(yaml.safe_dump(data), "utf-8")
    with pytest.raises(UserError) as error:
        read_latency_table(path)
    assert "at least 0; 'stage1.block1 op=5x5" in str(error.value)
    assert repr(value) in str(error.value)


CHANGES = {
    "schema": ({"schema": 2}, "schema 1, kind latency_ms; .* schema 2"),
    "kind": ({"kind": "energy_mj"}, "kind 'energy_mj'"),
    "entries": ({"entries": 5}, "'entries' .* of type list"),
    "entry": ({"entries": [5]}, "entry 1 of .* is '5'"),
    "no slots": ({"entries": [{}]}, "'slots' .* of type list"),
    "threads": ({"threads": "all"}, "'threads' .* of type int"),
    "overhead": ({"overhead_ms": math.nan}, "'overhead_ms' of .* is nan"),
    "all overhead": ({"overhead_ms": 1e9}, "'overhead_ms' of .* has 1e\\+09"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_a_file_that_is_not_one_of_ours(table, path, change, message):
    table.write(path)
    data = yaml.safe_load(path.read_text("utf-8"))
    path.write_text(yaml.safe_dump({**data, **change}), "utf-8")
    with pytest.raises(UserError, match=message):
        read_latency_table(path)


def test_two_entries_for_a_part(table, path):
    entries = (*table.entries, table.entries[0])
    dataclasses.replace(table, entries=entries).write(path)
    with pytest.raises(UserError, match="has two for 'stem'"):
        read_latency_table(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"entries: [1", "is YAML"),
        (b"a: !!python/object/apply:os.getcwd []", "is YAML"),
        (b"\xff\xfe\x00", "is YAML"),
        (b"", "has neither"),
        (b"- 1", "has neither"),
        (b"a: 1", "has neither"),
        (b"kind: 1\nkind: 2", r"is not \(line 2: 'kind' stands twice\)"),
    ],
)
def test_what_is_no_table(path, content, message):
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_latency_table(path)
    assert "\n" not in str(error.value)


def test_no_file(path):
    with pytest.raises(UserError, match="No such file.*build_latency_table"):
        read_latency_table(path)


@dataclasses.dataclass(frozen=True)
class Mobile:
    """An inverted residual as ProxylessNAS has it."""

    expansion: int
    kernel_size: int
    filters: int = 24
    strides: int = 1

    def __call__(self, ops, x):
        y = x
        if self.expansion > 1:
            y = ops.conv(y, self.expansion * ops.channels(x), name="pw1")
            y = ops.relu(ops.batch_norm(y, name="pw1_bn"), maximum=6)
        y = ops.depthwise(y, self.kernel_size, strides=self.strides, name="dw")
        y = ops.conv(y, self.filters, name="pw2")
        same = self.strides == 1 and ops.channels(x) == self.filters
        return ops.add(x, y) if same else y


def part(block, shape=SHAPE):
    return SlotOption("stage1.block2", {"op": "k3e3"}, block, shape)


def layers(path, entries):
    path.write_text(
        yaml.safe_dump({key: {"mean": ms} for key, ms in entries.items()})
    )
    return read_latency_table(path)


BLOCK = "expanded_conv-input:56x56x24-output"


def test_expansion_as_a_ratio_and_as_channels(path):
    keys = (
        f"{BLOCK}:56x56x24-expand:3-kernel:5-stride:1-idskip:1",
        f"{BLOCK}:28x28x40-expand:6-kernel:3-stride:2-idskip:0",
        f"{BLOCK}:56x56x24-expand:1-kernel:3-stride:1-idskip:1",
    )
    blocks = (Mobile(3, 5), Mobile(6, 3, 40, 2), Mobile(1, 3))
    ratio = layers(path, dict(zip(keys, (1.5, 2.5, 3.5), strict=True)))
    assert [ratio.latency_of(part(b)) for b in blocks] == [1.5, 2.5, 3.5]
    assert ratio.latency_of(part(Mobile(3, 7))) is None
    assert ratio.name_of(part(Mobile(3, 7))) == (
        f"{BLOCK}:56x56x24-expand:3-kernel:7-stride:1-idskip:1"
    )
    channels = layers(
        path,
        {
            f"{BLOCK}:56x56x24-expand:72-kernel:5-stride:1-idskip:1"
            "-se:0-hs:0": 1.0,
            f"{BLOCK}:56x56x24-expand:72-kernel:3-stride:1-idskip:1"
            "-se:1-hs:0": 2.0,
        },
    )
    assert channels.latency_of(part(Mobile(3, 5))) == 1.0
    # Squeeze and excitation is another layer.
    assert channels.latency_of(part(Mobile(3, 3))) is None


def test_a_skip_is_free_and_other_blocks_are_missing(path, blueprint):
    table = layers(path, {"Conv-input:8x8x3-output:8x8x8": 1.0})
    assert table.latency_of(part(lambda ops, x: x)) == 0
    with pytest.raises(UserError, match="stage1.block1 3x3 .not one of its"):
        latency_table(blueprint, table)


@pytest.mark.parametrize("value", ["-1", ".nan", ".inf", "fast", "[1]", ""])
def test_what_is_no_mean_is_refused(path, value):
    key = "Conv-input:8x8x3-output:8x8x8"
    path.write_text(f"{key}:\n  mean: {value}\n")
    with pytest.raises(UserError, match=f"at least 0; '{key}' of .* is "):
        read_latency_table(path)


def test_keys_that_cannot_be_read(path):
    path.write_text("Conv-input:8x8x3-output:\n  mean: 1\n")
    with pytest.raises(UserError, match="has 'Conv-input:8x8x3-output'"):
        read_latency_table(path)


def test_the_phone_tables_are_read(shared_dir):
    pixel = read_latency_table(
        shared_dir / "data" / "latency" / "proxyless_pixel.yaml"
    )
    block = Mobile(3, 5)
    shape = (14, 14, 80)
    block = dataclasses.replace(block, filters=80)
    assert pixel.latency_of(part(block, shape)) == 1.9960465116279071
    note = read_latency_table(
        shared_dir / "data" / "latency" / "ofa_note10_224.yaml"
    )
    block = Mobile(6, 5, 32, 2)
    found = note.latency_of(part(block, (112, 112, 24)))
    assert found == 6.585063492063491


def test_the_pixel_table_is_complete_for_proxyless_default(shared_dir):
    path = shared_dir / "data" / "latency" / "proxyless_pixel.yaml"
    blueprint = build_blueprint("proxyless_default")
    costs = latency_table(blueprint, read_latency_table(path))
    data = yaml.safe_load(path.read_text("utf-8"))
    fixed = [
        "Conv-input:224x224x3-output:112x112x32",
        "expanded_conv-input:112x112x32-output:112x112x16-expand:1-kernel:3"
        "-stride:1-idskip:0",
        "Conv_1-input:7x7x320-output:7x7x1280",
        "Logits-input:7x7x1280-output:1000",
    ]
    assert math.isclose(costs.constant, sum(data[key]["mean"] for key in fixed))
    assert len(costs.reads) == 21
    # All k3e3 but a skip wherever it may be.
    skips = [6 if slot % 4 else 0 for slot in range(21)]
    blocks = (
        ("112x112x16", "56x56x24", 2),
        ("56x56x24", "28x28x40", 2),
        ("28x28x40", "14x14x80", 2),
        ("14x14x80", "14x14x96", 1),
        ("14x14x96", "7x7x192", 2),
        ("7x7x192", "7x7x320", 1),
    )
    expected = costs.constant + sum(
        data[
            f"expanded_conv-input:{a}-output:{b}-expand:3-kernel:3-stride:{s}"
            "-idskip:0"
        ]["mean"]
        for a, b, s in blocks
    )
    assert math.isclose(costs(skips), expected)


def test_a_phone_table_of_other_sizes_is_refused(shared_dir):
    path = shared_dir / "data" / "latency" / "proxyless_pixel.yaml"
    blueprint = build_blueprint("proxyless_mobile")
    with pytest.raises(UserError, match="output:56x56x32-expand:3-kernel:3"):
        latency_table(blueprint, read_latency_table(path))


def test_spread_architectures_lie_evenly_over_the_range(blueprint, table):
    costs = latency_table(blueprint, table)
    space = blueprint.search_space
    encodings = spread_encodings(costs, space, 9)
    found = costs(encodings)
    assert (found[0], found[-1]) == (costs.minimum, costs.maximum)
    aims = np.linspace(costs.minimum, costs.maximum, 9)
    assert np.abs(found - aims).max() < 0.25 * (aims[1] - aims[0])
    np.testing.assert_array_equal(encodings, spread_encodings(costs, space, 9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repeats": 0}, "called at least once; 'stage1.block1 op=5x5"),
        ({"repeats": -6}, "and repeats -6"),
        ({"choices": {"op": {"a": 1}}}, "'choices' .* 'op': {'a': 1}"),
        ({"choices": {"op": [[1], 2]}}, "'choices' .* 'op'"),
        ({"choices": {1: 2}}, "'choices' .* 1: 2"),
    ],
)
def test_an_entry_that_cannot_be(table, path, change, message):
    table.write(path)
    data = yaml.safe_load(path.read_text("utf-8"))
    data["entries"][2].update(change)
    path.write_text(yaml.safe_dump(data), "utf-8")
    with pytest.raises(UserError, match=message):
        read_latency_table(path)
