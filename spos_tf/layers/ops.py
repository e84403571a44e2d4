"""The operations a block is written in, whoever reads it.

A block is a function of an `Ops` and an input. Counting it, building it as a
stand-alone Keras network and running it inside a supernet are three `Ops`;
the block itself is written once. What `T` is belongs to the reader: a shape,
a symbolic Keras tensor, or a tensor.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Ops(Protocol[T]):
    """Operations on a feature map `[batch, height, width, channels]`.

    Convolutions have no bias and `"same"` padding. `name` is unique within a
    block: weights are stored and transferred under it.
    """

    def channels(self, x: T) -> int:
        """Size of the last axis."""

    def conv(
        self,
        x: T,
        filters: int,
        kernel_size: int = 1,
        *,
        strides: int = 1,
        stddev: float | None = None,
        name: str,
    ) -> T:
        """A convolution; `stddev` of its initial kernel is 1 / channels."""

    def depthwise(
        self, x: T, kernel_size: int, *, strides: int = 1, name: str
    ) -> T:
        """A depthwise convolution, multiplier 1."""

    def batch_norm(self, x: T, *, epsilon: float = 1e-5, name: str) -> T:
        """Normalisation over batch, height and width."""

    def relu(self, x: T) -> T:
        """max(x, 0)."""

    def split_even_odd(self, x: T) -> tuple[T, T]:
        """Channels 0, 2, 4, ... and channels 1, 3, 5, ..."""

    def concat(self, xs: Sequence[T]) -> T:
        """Concatenation of the channels."""

    def normalize(self, x: T, kind: str, *, name: str) -> T:
        """Input normalisation; see `INPUT_KINDS`."""

    def global_average_pool(self, x: T) -> T:
        """Mean over height and width, `[batch, channels]`."""

    def dropout(self, x: T, rate: float, *, name: str) -> T:
        """Dropout in training, identity otherwise."""

    def dense(
        self, x: T, units: int, *, use_bias: bool, stddev: float, name: str
    ) -> T:
        """A fully connected layer over `[batch, channels]`, float32 out."""


class Block(Protocol):
    """A piece of a network, described once for every reader."""

    def __call__(self, ops: Ops[Any], x: Any) -> Any:
        """Applies the block to `x` with the reader's operations."""


# RGB 0..255 comes in. The official SPOS code trains on BGR 0..255 without any
# normalisation; "standard" is per-channel (x - mean) / std with CIFAR-like
# figures that suit natural images of any set.
INPUT_KINDS = ("bgr", "standard")
RGB_MEAN = (125.0, 123.0, 114.0)
RGB_STD = (63.0, 62.0, 67.0)
