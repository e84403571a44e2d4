"""The fused operations that a deploy form is made of."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras

from spos_tf.lowbit.ranges import Grid
from spos_tf.quantization import QuantizedKernel


@dataclasses.dataclass(frozen=True, eq=False)
class Image:
    """The network's input: pixels, rounded to whole numbers from 0 to 255.

    Attributes:
        order: Which of R, G, B its channels are to the network.
        mean: What the network takes off each channel, whole numbers.
        std: What it divides by.
        rounds: Whether the network itself rounds them; whoever deploys it
            does in any case.
    """

    order: tuple[int, ...] = (0, 1, 2)
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    rounds: bool = False

    @property
    def sources(self) -> tuple[Any, ...]:
        """What it is computed from."""
        return ()


@dataclasses.dataclass(frozen=True, eq=False)
class _OneSource:
    """What is computed from the result of one other node."""

    source: Any

    @property
    def sources(self) -> tuple[Any, ...]:
        """What it is computed from."""
        return (self.source,)


@dataclasses.dataclass(frozen=True, eq=False)
class Conv(_OneSource):
    """Convolution, `"same"` padding, batch norm; on `ClipRange` a ReLU.

    Attributes:
        source: Where features come from.
        layer: Has the kernel.
        strides: In both directions.
        norm: Keras's batch norm; None as long as it is not known.
        grid: A `Grid`, of the result; None as long as it is not known.
        rounding: The network's own layer that puts the result on a grid, for a
            sum; None in a network that does not.
        rectified: Whether a ReLU follows, which clipping to `ClipRange` is.
    """

    layer: keras.layers.Layer
    strides: int
    norm: Any = None
    grid: Any = None
    rounding: Any = None
    rectified: bool = False

    @property
    def name(self) -> str:
        """That of the layer."""
        return self.layer.name

    @property
    def bits(self) -> int | None:
        """How many its weights have; None for a kernel in float."""
        if isinstance(self.layer, QuantizedKernel):
            return self.layer.quantizer.bits
        return None


@dataclasses.dataclass(frozen=True, eq=False)
class Add:
    """A sum, and the ReLU that always follows.

    Attributes:
        left: An operand.
        right: The other.
        grid: A `Grid`, of the result; None as long as it is not known.
    """

    left: Any
    right: Any
    grid: Any = None

    @property
    def sources(self) -> tuple[Any, ...]:
        """What it is computed from."""
        return (self.left, self.right)


@dataclasses.dataclass(frozen=True, eq=False)
class MaxPool(_OneSource):
    """The most of a window, on the grid of what it is the most of."""

    size: int
    strides: int

    @property
    def grid(self) -> Any:
        """The grid of the result."""
        return self.source.grid


@dataclasses.dataclass(frozen=True, eq=False)
class Mean(_OneSource):
    """The mean over height and width.

    Attributes:
        source: An `Add`.
        grid: Of the result.
        segment: Name of the segment it is in.
    """

    grid: Grid
    segment: str


@dataclasses.dataclass(frozen=True, eq=False)
class Classifier(_OneSource):
    """The last layer; its logits are float.

    Attributes:
        source: A `Mean`.
        layer: Keras's.
    """

    layer: keras.layers.Dense


Node = Image | Conv | Add | MaxPool | Mean | Classifier


class IntegerGraph(NamedTuple):
    """The operations of a deploy form.

    Attributes:
        nodes: In an order they can run in, from the image to the classifier.
        image_size: Height and width of the image, pixels.
        num_classes: Logits of the classifier.
    """

    nodes: tuple[Node, ...]
    image_size: int
    num_classes: int

    def run(self, functions: Mapping[type, Any], image: Any) -> Any:
        """Computes the logits, by a function of node and operands a class."""
        values: dict[int, Any] = {}
        for node in self.nodes:
            operands = [values[id(one)] for one in node.sources] or [image]
            values[id(node)] = functions[type(node)](node, *operands)
        return values[id(self.nodes[-1])]

    @property
    def classifier(self) -> Classifier:
        """The last of the nodes."""
        last = self.nodes[-1]
        assert isinstance(last, Classifier)
        return last

    @property
    def convolutions(self) -> tuple[Conv, ...]:
        """Those among the nodes."""
        return tuple(one for one in self.nodes if isinstance(one, Conv))
