"""The compiled forward passes of a segment, shared by all segments like it."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

# There is no public function that tells determinism.
from tensorflow.python.framework import config as framework_config

from spos_tf.ops.dispatch import case, on_host
from spos_tf.ops.path_norm import BatchNorm, CollectingBatchNorm, PathNorm
from spos_tf.ops.protocol import Block
from spos_tf.ops.selection import Path, Selection
from spos_tf.ops.shape_ops import Shape, ShapeOps
from spos_tf.ops.tensor_ops import ChosenWidths, FoldedOps, TensorOps, WidthMode

# By "operation.weight".
Weights = Mapping[str, tf.Tensor]
# Segments whose functions a process keeps, their networks gone or not. At most
# 14 of a space here differ.
_MOST_SHARED = 64


class SegmentFunctions:
    """Runs blocks, one an option, with weights that it is given.

    Slots of equal shape have equal blocks and share these functions: the 20
    slots of the paper's space need 8 traces.

    Args:
        blocks: One an option; None where the option is not legal.
        input_shape: Without the batch axis.
        norm: How batch norm normalises in training.
        width_mode: How elastic widths are taken.
        dtype: Of the features.
    """

    def __init__(
        self,
        blocks: Sequence[Block | None],
        input_shape: Shape,
        norm: PathNorm,
        width_mode: WidthMode,
        dtype: str,
    ) -> None:
        legal = [(i, block) for i, block in enumerate(blocks) if block]
        # By option the place among the legal ones; what is not legal is not
        # asked for.
        self._places: npt.NDArray[np.int32] | None = None
        if len(legal) < len(blocks):
            self._places = np.zeros(len(blocks), np.int32)
            self._places[[i for i, _ in legal]] = np.arange(len(legal))
        self._legal = [i for i, _ in legal]
        self._norm = norm
        self._mode = width_mode
        self._dtype = dtype
        self._output_shape = legal[0][1](ShapeOps(), input_shape)
        self._num_channels = max(
            _batch_norm_channels(block, input_shape) for _, block in legal
        )
        train = [
            _not_inlined(functools.partial(self._train, block, option))
            for option, block in legal
        ]
        collect, infer = (
            [
                _of_any_batch(_not_inlined(functools.partial(run, block)))
                for _, block in legal
            ]
            for run in (self._collect, self._infer)
        )
        # These run one option, given as a Python integer.
        self.collect_option = dict(zip(self._legal, collect, strict=True))
        self.infer_option = dict(zip(self._legal, infer, strict=True))
        # These run the option that a tensor says.
        self.train = _inlined(functools.partial(self._choose, train))
        self.collect = _inlined(functools.partial(self._choose, collect))
        self.infer = _inlined(functools.partial(self._choose, infer))

    def _choose(
        self,
        functions: Sequence[Callable[..., Any]],
        x: tf.Tensor,
        selection: Selection,
        weights: Sequence[Weights],
        *rest: Any,
    ) -> Any:
        """Calls the function of the option that is selected.

        With branch weights the results, one tensor each, are summed; what has
        weight 0 does not run.
        """
        calls = [
            functools.partial(function, x, weights[option], *rest)
            for option, function in zip(self._legal, functions, strict=True)
        ]
        if isinstance(selection, Path):
            place = selection.options
            if self._places is not None:
                with on_host():
                    place = tf.gather(tf.constant(self._places), place)
            return case(place, calls)
        return tf.add_n(
            [
                self._weighted(selection.weights[option], x, call)
                for option, call in zip(self._legal, calls, strict=True)
            ]
        )

    def _weighted(
        self, weight: tf.Tensor, x: tf.Tensor, call: Callable[[], tf.Tensor]
    ) -> tf.Tensor:
        def zeros() -> tf.Tensor:
            return tf.zeros([tf.shape(x)[0], *self._output_shape], self._dtype)

        def product() -> tf.Tensor:
            return tf.cast(weight, self._dtype) * call()

        with on_host():
            runs = tf.cast(tf.not_equal(weight, 0.0), tf.int32)
        return case(runs, [zeros, product])

    def _train(
        self,
        block: Block,
        option: int,
        x: tf.Tensor,
        weights: Weights,
        sizes: tf.Tensor,
        first: tf.Tensor,
        dropout_seed: tf.Tensor | None,
    ) -> tf.Tensor:
        """Normalises with the batch.

        `sizes` is int32 `[elastic choices]`, option indexes; `first` is
        int32, the number of branches in the segments before.
        """
        ops = TensorOps(
            weights,
            self._dtype,
            norm=self._norm,
            branch=first + option,
            dropout_seed=dropout_seed,
            widths=ChosenWidths(sizes, self._mode),
        )
        return block(ops, x)

    def _collect(
        self, block: Block, x: tf.Tensor, weights: Weights, sizes: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As in training; gives the moments of the batch norms as well.

        They are float32 `[2, channels]`: mean and variance of all channels in
        the order of the batch norms, padded to the length of the widest
        option, since a Case gives one shape.
        """
        norm = CollectingBatchNorm()
        widths = ChosenWidths(sizes, self._mode)
        y = block(TensorOps(weights, self._dtype, norm=norm, widths=widths), x)
        moments = norm.moments()
        padding = self._num_channels - moments.shape[1]
        return y, tf.pad(moments, [[0, 0], [0, padding]])

    def _infer(
        self,
        block: Block,
        x: tf.Tensor,
        weights: Weights,
        sizes: tf.Tensor,
        given: tf.Tensor,
    ) -> tf.Tensor:
        """Normalises with `given`, float32 `[2, channels]` as collected."""
        widths = ChosenWidths(sizes, self._mode)
        ops = FoldedOps(weights, self._dtype, statistics=given, widths=widths)
        return block(ops, x)


class SharedFunctions:
    """The functions of a segment, made once for all equal ones of a process.

    A second network of the same space, or a second search, traces no block
    again. They take their weights as arguments, so that they fit any network.

    Args:
        blocks: As of `SegmentFunctions`, and so are the others.
        input_shape: Without the batch axis.
        norm: How batch norm normalises in training.
        width_mode: How elastic widths are taken.
    """

    def __init__(
        self,
        blocks: tuple[Block | None, ...],
        input_shape: Shape,
        norm: PathNorm,
        width_mode: WidthMode = "slice",
    ) -> None:
        self._arguments = blocks, input_shape, norm, width_mode
        self._policy = keras.config.dtype_policy()
        # What was shared may be forgotten; a network keeps its own.
        self._made: dict[bool, SegmentFunctions] = {}

    def __call__(self) -> SegmentFunctions:
        """The functions as TensorFlow is set at the moment.

        Where its operations have to be deterministic, others are traced.
        """
        deterministic = framework_config.is_op_determinism_enabled()
        if deterministic not in self._made:
            blocks, shape, norm, mode = self._arguments
            dtype = self._policy.compute_dtype
            # Any other one has a state, or belongs to a strategy.
            if type(norm) is BatchNorm:
                made = _shared(
                    blocks,
                    shape,
                    mode,
                    dtype,
                    self._policy.variable_dtype,
                    deterministic,
                )
            else:
                made = SegmentFunctions(blocks, shape, norm, mode, dtype)
            self._made[deterministic] = made
        return self._made[deterministic]


@functools.lru_cache(maxsize=_MOST_SHARED)
def _shared(
    blocks: tuple[Block | None, ...],
    input_shape: Shape,
    width_mode: WidthMode,
    dtype: str,
    variable_dtype: str,
    deterministic: bool,
) -> SegmentFunctions:
    # What a trace depends on besides.
    del variable_dtype, deterministic
    return SegmentFunctions(blocks, input_shape, BatchNorm(), width_mode, dtype)


def _inlined(run: Callable[..., Any]) -> Any:
    return tf.function(run, autograph=False, reduce_retracing=True)


def _not_inlined(run: Callable[..., Any]) -> Any:
    """A function that is optimized as a graph of its own.

    The body of a Case op is not: neither are its convolutions fused with what
    follows, nor are oneDNN's kernels used in it on CPU. A training step at
    224 px took 1.4 times as long with the blocks inlined there.
    """
    return tf.function(
        run,
        autograph=False,
        reduce_retracing=True,
        experimental_attributes={"_noinline": True},
    )


def _of_any_batch(function: Any) -> Callable[..., Any]:
    """Calls one trace whatever the size of the batch.

    A trace that knows the size folds it into the arithmetic, and what is
    computed differs in its last bits: it would depend on who called first,
    and with which batch.
    """
    traces: dict[tf.DType, Callable[..., Any]] = {}

    def call(x: tf.Tensor, *rest: Any) -> Any:
        if x.dtype not in traces:
            batch = tf.TensorSpec([None, *x.shape[1:]], x.dtype)
            specs = tf.nest.map_structure(tf.TensorSpec.from_tensor, rest)
            # Not within the graph that may be under construction.
            with tf.init_scope():
                traces[x.dtype] = function.get_concrete_function(batch, *specs)
        return traces[x.dtype](x, *rest)

    return call


def _batch_norm_channels(block: Block, input_shape: Shape) -> int:
    ops = ShapeOps()
    block(ops, input_shape)
    return sum(count.batch_norm_channels for count in ops.counts)
