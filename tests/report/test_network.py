"""Networks as boxes, as a cell's graph, as a grid."""

import numpy as np
import pytest

from spos_tf.cost.description import describe
from spos_tf.report.network import draw_network
from spos_tf.spaces import build_blueprint


def described(name, **arguments):
    blueprint = build_blueprint(name, **arguments)
    space = blueprint.search_space
    return describe(blueprint, space.sample(np.random.default_rng(0), 1)[0])


@pytest.mark.parametrize(
    ("name", "slots", "columns"),
    [
        ("shufflenet_blocks", 20, 4),
        ("shufflenet_joint", 20, 4),
        ("fbnet", 22, 7),
        ("proxyless_gpu", 21, 6),
        ("resnet18_bits", 8, 4),
    ],
)
def test_every_slot_has_one_box(name, slots, columns):
    data = described(name)
    drawing = draw_network(data)
    stages = drawing["stages"]
    boxes = [box for stage in stages for box in stage["boxes"]]
    assert len(boxes) == slots
    assert len(stages) == columns
    assert [box["name"] for box in boxes] == [s["name"] for s in data["slots"]]
    for slot, box in zip(data["slots"], boxes, strict=True):
        for choice in slot["choices"].values():
            assert str(choice["chosen"]) in box["label"]
    shares = sum(stage["share"] for stage in stages)
    assert shares + drawing["fixed_share"] == pytest.approx(1)
    assert 0 < drawing["fixed_share"] < 1
    for stage in stages:
        assert len({box["shape"] for box in stage["boxes"]}) == 1
    bars = [box["bar"] for box in boxes]
    assert max(bars) == 1 and min(bars) >= 0


OPS = ["none", "skip_connect", "nor_conv_3x3"]
EDGES = ("edge01", "edge02", "edge12", "edge03", "edge13", "edge23")


def cells(count, names):
    """A cell space's description; `names(cell, edge)` names its choice."""
    slots = [
        {
            "name": f"stage{1 + cell // 2}.cell{1 + cell % 2}.{edge}",
            "choices": {edge: {"options": OPS, "chosen": OPS[number % 3]}},
            "output_shape": [32 >> cell // 2] * 2 + [16],
            "macs": 1000 * (number % 3),
        }
        for cell in range(count)
        for number, edge in enumerate(EDGES)
    ]
    choices = {
        names(slot["name"].rpartition(".")[0], edge): None
        for slot in slots
        for edge in slot["choices"]
    }
    return {"macs": 6000 * count + 1000, "slots": slots} | {
        "architecture": {"choices": choices}
    }


def test_a_shared_cell_is_drawn_once():
    drawing = draw_network(cells(6, lambda cell, edge: edge))
    assert "stages" not in drawing
    cell = drawing["cell"]
    assert [edge["name"] for edge in cell["edges"]] == sorted(EDGES)
    assert [node for _, _, node in cell["nodes"]] == [0, 1, 2, 3]
    # Labels lie inside, and apart from one another.
    places = [(edge["x"], edge["y"]) for edge in cell["edges"]]
    assert len(set(places)) == 6
    for x, y in places:
        assert 62 <= x <= cell["width"] - 62
        assert 15 <= y <= cell["height"] - 15
    assert [edge["label"] for edge in cell["edges"] if edge["is_none"]] == [
        "none",
        "none",
    ]
    assert [row["cells"] for row in drawing["cells"]] == [
        [f"stage{stage}.cell1", f"stage{stage}.cell2"] for stage in (1, 2, 3)
    ]


def test_cells_of_their_own_are_a_grid():
    drawing = draw_network(cells(15, lambda cell, edge: f"{cell}.{edge}"))
    grid = drawing["grid"]
    assert grid["columns"] == list(EDGES)
    assert len(grid["rows"]) == 15
    assert all(None not in row["slots"] for row in grid["rows"])


def test_very_many_slots_are_a_grid_too():
    data = described("shufflenet_blocks")
    data["slots"] = [
        {**slot, "name": f"part{n}.{slot['name']}"}
        for n in range(4)
        for slot in data["slots"]
    ]
    assert len(draw_network(data)["grid"]["rows"]) == 16


def test_a_network_without_multiply_adds():
    data = cells(1, lambda cell, edge: f"{cell}.{edge}")
    data["macs"] = 0
    assert draw_network(data)["fixed_share"] == 1
