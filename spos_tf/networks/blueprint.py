"""The one description of a network family; it holds no weights."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from spos_tf.errors import UserError
from spos_tf.layers.ops import Block
from spos_tf.layers.shape_ops import Shape, ShapeOps
from spos_tf.space import Architecture, SearchSpace


@dataclasses.dataclass(frozen=True)
class Segment:
    """A step of the network's body: one block, or a choice between blocks.

    Args:
        name: Path of the segment, for example `"stage1.block1"`.
        branches: One block an option, in the choice's order.
        choice: Name of the structural choice, None where nothing is chosen.
    """

    name: str
    branches: tuple[Block, ...]
    choice: str | None = None


@dataclasses.dataclass(frozen=True)
class Blueprint:
    """A search space together with the networks it spans.

    Args:
        search_space: The choices.
        space_arguments: What differs from the paper's network; JSON values.
        image_size: Height and width of the input, pixels.
        num_classes: Logits of the classifier.
        segments: From image to logits.
        stage_widths: Output channels of every stage, where the space takes
            an argument of this name.
        export_formats: Formats its networks can be exported to.
    """

    search_space: SearchSpace
    space_arguments: Mapping[str, Any]
    image_size: int
    num_classes: int
    segments: tuple[Segment, ...]
    stage_widths: tuple[int, ...] = ()
    export_formats: tuple[str, ...] = (
        "saved_model",
        "tflite",
        "tflite_float16",
        "tflite_int8",
        "onnx",
    )

    @property
    def input_shape(self) -> Shape:
        """(height, width, 3)."""
        return (self.image_size, self.image_size, 3)

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """Input shape of every segment; all its branches agree on the output.

        Raises:
            ValueError: Two branches of a segment give different shapes.
        """
        shapes = [self.input_shape]
        for segment in self.segments:
            outputs = {
                block(ShapeOps(), shapes[-1]) for block in segment.branches
            }
            if len(outputs) != 1:
                raise ValueError(
                    f"The branches of {segment.name!r} disagree on the output "
                    f"shape: {sorted(outputs)}."
                )
            shapes.append(outputs.pop())
        return tuple(shapes[:-1])

    @property
    def option_positions(self) -> tuple[int | None, ...]:
        """For every segment the index of its choice in the encoding."""
        return tuple(
            None
            if segment.choice is None
            else self.search_space.position(segment.choice)
            for segment in self.segments
        )

    def chosen(self, encoding: npt.ArrayLike) -> tuple[int, ...]:
        """Index of the branch taken in every segment.

        Raises:
            UserError: The encoding is not one of this space.
        """
        checked = self.search_space.check(encoding)
        return tuple(
            0 if position is None else int(checked[position])
            for position in self.option_positions
        )

    def architecture(self, encoding: npt.ArrayLike) -> Architecture:
        """The named form of an encoding."""
        return Architecture(
            self.search_space.name,
            self.space_arguments,
            self.search_space.decode(encoding),
        )

    def encode(self, architecture: Architecture) -> npt.NDArray[np.int32]:
        """The encoding of an architecture of this very network family.

        Raises:
            UserError: It belongs to another space or to other arguments.
        """
        if architecture.search_space != self.search_space.name:
            raise UserError(
                f"This run is about space {self.search_space.name!r}; the "
                f"architecture is of space {architecture.search_space!r}."
            )
        theirs = plain_arguments(architecture.space_arguments)
        ours = plain_arguments(self.space_arguments)
        if theirs != ours:
            raise UserError(
                f"The architecture was made for space arguments {theirs}; "
                f"this run has {ours}. Use the same --preset, --image_size "
                "and --num_classes."
            )
        return self.search_space.encode(architecture.choices)


def plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Space arguments as JSON has them, in a fixed order: tuples as lists."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in sorted(arguments.items())
    }
