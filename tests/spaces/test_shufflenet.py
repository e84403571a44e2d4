"""The paper's Table 2."""

from spos_tf.spaces import build_blueprint


def test_the_space_is_table_2():
    blueprint = build_blueprint("shufflenet_blocks")
    space = blueprint.search_space
    assert space.size == 4**20
    assert {choice.options for choice in space.choices} == {
        ("3x3", "5x5", "7x7", "xception")
    }
    assert [choice.name for choice in space.choices] == [
        f"stage{stage}.block{block}.op"
        for stage, repeats in enumerate((4, 4, 8, 4), 1)
        for block in range(1, repeats + 1)
    ]
    shapes = blueprint.input_shapes
    assert shapes[0] == (224, 224, 3)
    assert shapes[1] == (112, 112, 16)
    assert [shapes[i] for i in (2, 6, 10, 18)] == [
        (56, 56, 64),
        (28, 28, 160),
        (14, 14, 320),
        (7, 7, 640),
    ]
    assert blueprint.num_classes == 1000
    # Only the first block of a stage projects.
    assert [
        number
        for number, segment in enumerate(blueprint.segments[1:-1])
        if segment.branches[0].projects
    ] == [0, 4, 8, 16]
