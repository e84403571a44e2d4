"""The operations a block is written in, whoever reads it.

A block is a function of an `Ops` and an input. Counting it, building it as a
stand-alone Keras network and running it inside a supernet are three `Ops`;
the block itself is written once. What `T` is belongs to the reader: a shape,
a symbolic Keras tensor, or a tensor.
"""

import dataclasses
from collections.abc import Sequence
from typing import (
    Any,
    Generic,
    NamedTuple,
    NoReturn,
    Protocol,
    TypeVar,
    runtime_checkable,
)

from spos_tf.errors import UserError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class ElasticWidth:
    """Channels of which a choice takes the first ones.

    Args:
        options: Number of channels by the index of the choice's option.
        choice: Which of the segment's elastic choices it is, from 0.
    """

    options: tuple[int, ...]
    choice: int = 0

    @property
    def most(self) -> int:
        """Channels of the weights that all options share."""
        return max(self.options)


Width = int | ElasticWidth


def most_channels(width: Width) -> int:
    """Channels of the weights for a width."""
    return width.most if isinstance(width, ElasticWidth) else width


MOST_BITS = 8


class Precision(NamedTuple):
    """Bits of a convolution, each from 1 to `MOST_BITS`.

    Attributes:
        weights: Of its kernel.
        features: Of its input.
    """

    weights: int
    features: int


@dataclasses.dataclass(frozen=True)
class ElasticPrecision:
    """Bits that a choice settles; the weights are the same ones.

    Args:
        options: By the index of the choice's option.
        choice: Which of the segment's elastic choices it is, from 0.
        shares_clip: Whether one clip level serves all bits of features; else
            each number of bits has its own.
    """

    options: tuple[Precision, ...]
    choice: int = 0
    shares_clip: bool = False

    @property
    def feature_bits(self) -> tuple[int, ...]:
        """Bits of features by the index of their clip level, ascending."""
        return tuple(sorted({option.features for option in self.options}))

    @property
    def clip_of_option(self) -> tuple[int, ...]:
        """By the index of an option that of its clip level."""
        if self.shares_clip:
            return (0,) * len(self.options)
        levels = self.feature_bits
        return tuple(levels.index(one.features) for one in self.options)


Bits = Precision | ElasticPrecision


def clip_levels(bits: Bits) -> tuple[int, ...]:
    """The bits that every clip level is for; a shared one is for the most."""
    if isinstance(bits, Precision):
        return (bits.features,)
    levels = bits.feature_bits
    return levels[-1:] if bits.shares_clip else levels


class Ops(Generic[T]):
    """Operations on a feature map `[batch, height, width, channels]`.

    A reader of blocks is a subclass; it overrides the operations that it
    computes, and the others are refused.

    Convolutions have no bias and `"same"` padding. `name` is unique within a
    block: weights are stored and transferred under it.
    """

    def refuse(self, operation: str) -> NoReturn:
        """Ends the reading of a block at an operation that is not known here.

        Args:
            operation: Name of the method.

        Raises:
            UserError: Always.
        """
        raise UserError(
            f"{type(self).__name__} cannot read a block with the operation "
            f"{operation!r}. Use blocks without it, or override "
            f"{operation!r} in a subclass."
        )

    def channels(self, x: T) -> int:
        """Size of the last axis."""
        self.refuse("channels")

    def conv(
        self,
        x: T,
        filters: Width,
        kernel_size: int = 1,
        *,
        strides: int = 1,
        stddev: float | None = None,
        bits: Bits | None = None,
        name: str,
    ) -> T:
        """A convolution; `stddev` of its initial kernel is 1 / channels.

        With `bits` its kernel is quantized; `bits.features` says what its
        input was quantized to, by `clip`.
        """
        self.refuse("conv")

    def depthwise(
        self, x: T, kernel_size: int, *, strides: int = 1, name: str
    ) -> T:
        """A depthwise convolution, multiplier 1."""
        self.refuse("depthwise")

    def batch_norm(self, x: T, *, epsilon: float = 1e-5, name: str) -> T:
        """Normalisation over batch, height and width."""
        self.refuse("batch_norm")

    def relu(self, x: T, *, maximum: float | None = None) -> T:
        """max(x, 0), and at most `maximum`."""
        self.refuse("relu")

    def clip(self, x: T, bits: Bits, *, name: str) -> T:
        """ReLU, clipped at a learned level and quantized (PACT)."""
        self.refuse("clip")

    def max_pool(self, x: T, size: int, *, strides: int) -> T:
        """The most of a window, `"same"` padding."""
        self.refuse("max_pool")

    def avg_pool(self, x: T, size: int, *, strides: int) -> T:
        """The mean of a window, `"same"` padding, which is not counted."""
        self.refuse("avg_pool")

    def zeros(self, x: T) -> T:
        """Zeros in the shape of `x`: nothing passes."""
        self.refuse("zeros")

    def add(self, x: T, y: T) -> T:
        """The sum: a residual connection."""
        self.refuse("add")

    def split_halves(self, x: T) -> tuple[T, T]:
        """The first and the second half of the channels."""
        self.refuse("split_halves")

    def interleave(self, x: T, y: T) -> T:
        """Channels x0, y0, x1, y1, ...: a shuffle of two groups."""
        self.refuse("interleave")

    def split_even_odd(self, x: T) -> tuple[T, T]:
        """Channels 0, 2, 4, ... and channels 1, 3, 5, ..."""
        self.refuse("split_even_odd")

    def concat(self, xs: Sequence[T]) -> T:
        """Concatenation of the channels."""
        self.refuse("concat")

    def normalize(self, x: T, kind: str, *, name: str) -> T:
        """Input normalisation; see `INPUT_KINDS`."""
        self.refuse("normalize")

    def global_average_pool(self, x: T) -> T:
        """Mean over height and width, `[batch, channels]`."""
        self.refuse("global_average_pool")

    def dropout(self, x: T, rate: float, *, name: str) -> T:
        """Dropout in training, identity otherwise."""
        self.refuse("dropout")

    def dense(
        self, x: T, units: int, *, use_bias: bool, stddev: float, name: str
    ) -> T:
        """A fully connected layer over `[batch, channels]`, float32 out."""
        self.refuse("dense")


@runtime_checkable
class ElasticBlock(Protocol):
    """A block with widths or bits that are chosen."""

    def __call__(self, ops: Ops[Any], x: Any) -> Any:
        """Applies the block with `ElasticWidth`s and `ElasticPrecision`s."""

    def sized(self, *options: int) -> "Block":
        """The block with the widths and bits of these option indexes."""


class Block(Protocol):
    """A piece of a network, described once for every reader."""

    def __call__(self, ops: Ops[Any], x: Any) -> Any:
        """Applies the block to `x` with the reader's operations."""


def passes_on(block: Block | None) -> bool:
    """Whether a block gives its input as it is: a skip.

    Such a block asks for no operation, so it can do without any.
    """
    if block is None:
        return False
    probe = object()
    try:
        return block(Ops(), probe) is probe
    except UserError:
        return False


# RGB 0..255 comes in. The official SPOS code trains on BGR 0..255 without any
# normalisation; "standard" is per-channel (x - mean) / std with CIFAR-like
# figures that suit natural images of any set.
INPUT_KINDS = ("bgr", "standard")
RGB_MEAN = (125.0, 123.0, 114.0)
RGB_STD = (63.0, 62.0, 67.0)
