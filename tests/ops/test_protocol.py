"""A reader computes what it overrides and refuses everything else."""

import inspect

import pytest

from spos_tf.blocks.cell import Zero
from spos_tf.blocks.mobile import Identity, InvertedResidual, Style
from spos_tf.errors import UserError
from spos_tf.networks.keras_file import _every_operation
from spos_tf.ops.keras_ops import KerasOps
from spos_tf.ops.protocol import Ops, passes_on
from spos_tf.ops.shape_ops import ShapeOps
from spos_tf.ops.tensor_ops import TensorOps

OPERATIONS = {
    name
    for name, _ in inspect.getmembers(Ops, inspect.isfunction)
    if not name.startswith("_") and name != "refuse"
}


class Widths(Ops):
    """Reads the number of channels and nothing else."""

    def channels(self, x):
        return x


@pytest.mark.parametrize("name", sorted(OPERATIONS - {"channels"}))
def test_an_operation_that_is_not_overridden_is_refused(name):
    operation = getattr(Widths(), name)
    arguments = {
        parameter.name: None
        for parameter in inspect.signature(operation).parameters.values()
        if parameter.default is parameter.empty
    }
    with pytest.raises(UserError, match=f"Widths .*'{name}'.* subclass"):
        operation(**arguments)


def test_an_operation_that_is_overridden_is_not():
    assert Widths().channels(3) == 3


@pytest.mark.parametrize("reader", [KerasOps, ShapeOps, TensorOps])
def test_a_reader_of_all_blocks_overrides_every_operation(reader):
    inherited = {
        name
        for name in OPERATIONS
        if getattr(reader, name) is getattr(Ops, name)
    }
    assert not inherited


def test_files_may_hold_the_layers_of_every_operation():
    """The classes that a `.keras` file may name are derived from this block."""
    read = set()

    class Recorder(ShapeOps):
        def __getattribute__(self, name):
            read.add(name)
            return super().__getattribute__(name)

    assert _every_operation(Recorder(), (8, 8, 3)) == (1,)
    assert read >= OPERATIONS


def test_a_skip_is_what_gives_its_input_back():
    class OwnSkip:
        def __call__(self, ops, x):
            return x

    class Relu:
        def __call__(self, ops, x):
            return ops.relu(x)

    skips = [Identity(), OwnSkip()]
    others = [None, Zero(), Relu(), InvertedResidual(3, 3, 8, Style())]
    assert [passes_on(one) for one in skips] == [True, True]
    assert [passes_on(one) for one in others] == [False] * 4
