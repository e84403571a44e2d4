"""The one description of a network family; it holds no weights."""

import collections
import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from spos_tf.errors import UserError, check_kind
from spos_tf.ops.protocol import Block, ElasticBlock, passes_on
from spos_tf.ops.shape_ops import Shape, ShapeOps
from spos_tf.space import Architecture, SearchSpace

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Segment:
    """A step of the network's body: one block, or a choice between blocks.

    Args:
        name: Path of the segment, for example `"stage1.block1"`.
        branches: One block an option, in the choice's order; None where the
            option is not legal here.
        choice: Name of the structural choice, None where nothing is chosen.
        elastic: Names of the choices that size the block which is taken; all
            branches are then `ElasticBlock`s.
        inputs: Names of segments before this one; the sum of their outputs
            comes in. Empty for the segment right before, or the images.

    Example:
        >>> import spos_tf
        >>> blueprint = spos_tf.build_blueprint(
        ...     "shufflenet_blocks", preset="demo")
        >>> segment = blueprint.segments[1]
        >>> segment.name, segment.choice, len(segment.branches)
        ('stage1.block1', 'stage1.block1.op', 4)
    """

    name: str
    branches: tuple[Block | None, ...]
    choice: str | None = None
    elastic: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of all choices that decide what this segment is."""
        structural = () if self.choice is None else (self.choice,)
        return (*structural, *self.elastic)

    def branch_of(self, options: Sequence[int]) -> tuple[int, tuple[int, ...]]:
        """Which branch is taken, and the options of its elastic choices.

        Args:
            options: One option index for each choice in `reads`.
        """
        if self.choice is None:
            return 0, tuple(options)
        return options[0], tuple(options[1:])

    def block(self, options: Sequence[int]) -> Block:
        """The block of a network, at its final size.

        Args:
            options: One option index for each choice in `reads`.
        """
        option, sizes = self.branch_of(options)
        block = self.branches[option]
        if block is None:
            raise ValueError(f"{self.name!r} has no option {option}.")
        if not self.elastic:
            return block
        if not isinstance(block, ElasticBlock):
            raise TypeError(f"{block} of {self.name!r} cannot be sized.")
        return block.sized(*sizes)


@dataclasses.dataclass(frozen=True)
class Blueprint:
    """A search space together with the networks it spans.

    Args:
        search_space: The choices.
        space_arguments: What differs from the paper's network; JSON values.
        image_size: Height and width of the input, pixels.
        num_classes: Logits of the classifier.
        segments: Steps of the network, from image to logits.
        stage_widths: Output channels of every stage, where the space takes
            an argument of this name.
        further_costs: Names in `cost.table.COSTS` that are of this space
            besides the usual ones.

    Raises:
        UserError: A segment takes one that does not stand before it or reads
            a choice that there is not, a legal option has no block, two
            segments have one name or share some of their choices but not all,
            branches disagree on the output, outputs that are summed differ in
            their shapes, or two layers of a block have one name.

    Example:
        >>> import spos_tf
        >>> blueprint = spos_tf.build_blueprint(
        ...     "shufflenet_blocks", preset="demo")
        >>> blueprint.input_shape, blueprint.search_space.num_choices
        ((8, 8, 3), 5)
    """

    search_space: SearchSpace
    space_arguments: Mapping[str, Any]
    image_size: int
    num_classes: int
    segments: tuple[Segment, ...]
    stage_widths: tuple[int, ...] = ()
    further_costs: tuple[str, ...] = ()

    def __repr__(self) -> str:
        space = self.search_space
        return (
            f"Blueprint({space.name!r}, {space.num_choices} choices, "
            f"image_size={self.image_size}, num_classes={self.num_classes})"
        )

    def __post_init__(self) -> None:
        names = collections.Counter(one.name for one in self.segments)
        if not names or max(names.values()) > 1:
            raise UserError(
                "A network has at least one segment, each with a name of its "
                f"own; got {', '.join(map(repr, names.elements())) or 'none'}."
            )
        # Every block is run on shapes here, so that what is wrong is told
        # where it was written: 1 to 25 ms for the spaces of this package.
        assert self._shapes
        groups = [frozenset(reads) for reads in self.reads if reads]
        for one in groups:
            if any(one != other and one & other for other in groups):
                raise UserError(
                    "Two segments read the same choices or none in common; in "
                    f"{self.search_space.name!r} two segments share only some "
                    "of theirs."
                )
        options = self.search_space.legal_options
        for segment, reads in zip(self.segments, self.reads, strict=True):
            legal = (0,) if segment.choice is None else options[reads[0]]
            for option in legal:
                if len(segment.branches) <= option or (
                    segment.branches[option] is None
                ):
                    raise UserError(
                        "Every legal option has a block; "
                        f"{segment.name!r} has no block for option {option}."
                    )

    @property
    def input_shape(self) -> Shape:
        """(height, width, 3)."""
        return (self.image_size, self.image_size, 3)

    @functools.cached_property
    def sources(self) -> tuple[tuple[int, ...], ...]:
        """For every segment the indexes of those whose outputs are summed.

        None for the first, which takes the images.
        """
        before: dict[str, int] = {}
        found: list[tuple[int, ...]] = []
        for index, segment in enumerate(self.segments):
            for name in segment.inputs:
                if name not in before:
                    raise UserError(
                        "A segment takes the outputs of segments before it; "
                        f"{segment.name!r} takes {name!r}, which is none."
                    )
            usual = (index - 1,) if index else ()
            taken = tuple(before[name] for name in segment.inputs)
            found.append(taken or usual)
            before[segment.name] = index
        return tuple(found)

    @property
    def is_chain(self) -> bool:
        """Whether every segment takes what the one before it gives."""
        return all(
            taken == ((index - 1,) if index else ())
            for index, taken in enumerate(self.sources)
        )

    def flow(
        self,
        images: T,
        apply: Callable[[int, T], T],
        add: Callable[[Sequence[T]], T],
    ) -> T:
        """Runs the segments in order.

        Args:
            images: What the first takes.
            apply: From a segment's index and its input to its output.
            add: The sum of several outputs; each sum is made once.

        Returns:
            The last segment's output.
        """
        outputs: list[T] = []
        inputs: dict[tuple[int, ...], T] = {(): images}
        for index, taken in enumerate(self.sources):
            if taken not in inputs:
                terms = [outputs[source] for source in taken]
                inputs[taken] = terms[0] if len(terms) == 1 else add(terms)
            outputs.append(apply(index, inputs[taken]))
        return outputs[-1]

    @functools.cached_property
    def _shapes(self) -> tuple[tuple[Shape, Shape], ...]:
        found = []

        def apply(index: int, shape: Shape) -> Shape:
            segment = self.segments[index]
            outputs = {
                _output_shape(block, shape)
                for block in segment.branches
                if block is not None
            }
            if len(outputs) != 1:
                raise UserError(
                    "All branches of a segment give one output shape; those "
                    f"of {segment.name!r} disagree: {sorted(outputs)}."
                )
            output = outputs.pop()
            found.append((shape, output))
            return output

        def add(shapes: Sequence[Shape]) -> Shape:
            return functools.reduce(ShapeOps().add, shapes)

        self.flow(self.input_shape, apply, add)
        return tuple(found)

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """Input shape of every segment."""
        return tuple(shape for shape, _ in self._shapes)

    @property
    def output_shapes(self) -> tuple[Shape, ...]:
        """Output shape of every segment; its branches agree on it."""
        return tuple(shape for _, shape in self._shapes)

    @functools.cached_property
    def reads(self) -> tuple[tuple[int, ...], ...]:
        """For every segment the indexes of the choices that decide it."""
        positions = {
            choice.name: position
            for position, choice in enumerate(self.search_space.choices)
        }
        for segment in self.segments:
            unknown = set(segment.reads) - set(positions)
            if unknown:
                raise UserError(
                    "A segment reads choices of its search space; "
                    f"{segment.name!r} reads {sorted(unknown)[0]!r}, which is "
                    "none."
                )
        return tuple(
            tuple(positions[name] for name in segment.reads)
            for segment in self.segments
        )

    def canonical(self, encodings: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """The one encoding that stands for all encodings of equal networks.

        In a row of slots with equal blocks, a slot that passes its input on
        may stand anywhere: the network is the same. The canonical encoding
        has such slots at the end of their row. In the supernet equal networks
        share no weights, so that their scores differ.

        Args:
            encodings: int32 `[num_choices]` or `[n, num_choices]`.

        Returns:
            Encodings of the same shape; those that no other encoding equals
            are unchanged.
        """
        found = np.array(encodings, np.int32)
        for positions, skip in self._rows:
            row = found[..., positions]
            order = np.argsort(row == skip, axis=-1, kind="stable")
            found[..., positions] = np.take_along_axis(row, order, axis=-1)
        return found

    @functools.cached_property
    def _rows(self) -> tuple[tuple[list[int], int], ...]:
        """Choices of equal slots in a row, and the option that passes on."""
        if not self.is_chain:
            return ()
        legal = self.search_space.legal_options
        uses = collections.Counter(itertools.chain(*self.reads))

        def kind(index: int) -> Any:
            """What slots of a row have in common; alone in a row: index."""
            segment, reads = self.segments[index], self.reads[index]
            if len(reads) != 1 or uses[reads[0]] > 1 or segment.elastic:
                return index
            options = legal[reads[0]]
            if not any(passes_on(segment.branches[one]) for one in options):
                return index
            return segment.branches, options, self.input_shapes[index]

        rows = []
        for _, group in itertools.groupby(range(len(self.segments)), kind):
            indexes = list(group)
            if len(indexes) > 1:
                branches = self.segments[indexes[0]].branches
                skip = [*map(passes_on, branches)].index(True)
                rows.append(([self.reads[one][0] for one in indexes], skip))
        return tuple(rows)

    def pinned(self, pins: Mapping[str, object]) -> "Blueprint":
        """The same networks with some choices fixed.

        Args:
            pins: `{choice name: option}`.

        Raises:
            UserError: No such choice or option, or it is not legal.
        """
        return dataclasses.replace(
            self, search_space=self.search_space.pinned(pins)
        )

    def blocks(self, encoding: npt.ArrayLike) -> tuple[Block, ...]:
        """Every segment's block of one network, at its final size.

        Raises:
            UserError: The encoding is not one of this space.
        """
        return tuple(
            segment.block(options)
            for segment, options in zip(
                self.segments, self.settings(encoding), strict=True
            )
        )

    def settings(self, encoding: npt.ArrayLike) -> tuple[tuple[int, ...], ...]:
        """For every segment the options of the choices that it reads.

        Raises:
            UserError: The encoding is not one of this space.
        """
        checked = self.search_space.check(encoding)
        return tuple(
            tuple(int(checked[position]) for position in reads)
            for reads in self.reads
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
                f"architecture is of space {architecture.search_space!r}. "
                "Give one of the same space."
            )
        theirs = plain_arguments(architecture.space_arguments)
        ours = plain_arguments(self.space_arguments)
        if theirs != ours:
            raise UserError(
                f"The architecture was made for space arguments {theirs}; "
                f"this run has {ours}. Use the same `preset`, `image_size` "
                "and `num_classes`."
            )
        return self.search_space.encode(architecture.choices)


def _output_shape(block: Block, shape: Shape) -> Shape:
    """What a block makes of a shape; its layers have distinct names."""
    ops = ShapeOps()
    output: Shape = block(ops, shape)
    names = [count.name for count in ops.counts]
    if len(set(names)) < len(names):
        raise UserError(
            "Layers of a block have distinct names; some of "
            f"{block} have one name: {names}."
        )
    return output


def plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Space arguments as JSON has them, in a fixed order: tuples as lists."""
    return {name: _plain(value) for name, value in sorted(arguments.items())}


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value


def check_blueprint(blueprint: object) -> None:
    """Refuses an argument `blueprint` that is none.

    Raises:
        UserError: It is of another kind, for example a space's name, or its
            networks do not give one number a class.
    """
    check_kind(
        blueprint,
        Blueprint,
        "blueprint",
        "what spos_tf.build_blueprint(...) returns",
    )
    assert isinstance(blueprint, Blueprint)
    output = blueprint.output_shapes[-1]
    if output != (blueprint.num_classes,):
        raise UserError(
            "The last segment gives one number for each of the "
            f"{blueprint.num_classes} classes; "
            f"{blueprint.segments[-1].name!r} gives the shape {list(output)}. "
            "Give it as many units, or another `num_classes`."
        )
