"""Where a run is and what it is of, in words of the command line.

In Python these are arguments: a blueprint, images, limits.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from spos_tf.options.fields import PLACE, Options, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """Where a run's results go."""

    work_dir: str | None = option(None, "Folder of all results.", effect=PLACE)
    name: str = option(
        "default",
        "Folder of this run, below the folder of its kind in the work_dir.",
        effect=PLACE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThreadOptions(Options):
    """What the process may use."""

    threads: int | None = option(
        None,
        "CPU threads of this process; all cores if unset. The number decides "
        "the last bits of scores, so it is part of a run.",
        least=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpaceOptions(Options):
    """Which networks."""

    search_space: str | None = option(
        None,
        "Search space: a name that `describe --list` prints "
        "(shufflenet_blocks if no file says which), or a Python file of your "
        "own, path/to/file.py or path/to/file.py:space, whose code is run "
        "(docs/custom_space.md).",
    )
    preset: str | None = option(
        None, "Size of the networks: imagenet (default), cifar or demo."
    )
    image_size: int | None = option(
        None, "Height and width in pixels; the preset's if unset.", least=1
    )
    num_classes: int | None = option(
        None, "Number of classes; the preset's if unset.", least=1
    )
    space_arguments: Mapping[str, Any] | None = option(
        None,
        "Further arguments of the space as a JSON object, for example "
        "'{\"stage_widths\": [32, 64, 128, 256]}'.",
    )

    @property
    def arguments(self) -> dict[str, Any]:
        """All arguments of the space that are given."""
        named = {
            name: getattr(self, name)
            for name in ("preset", "image_size", "num_classes")
            if getattr(self, name) is not None
        }
        return {**(self.space_arguments or {}), **named}


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkOptions(Options):
    """Which single network of a space."""

    network: str | None = option(
        None,
        "Name of a published network that `describe --list` prints. Its "
        "space is known; preset, image size, classes and space arguments "
        "apply.",
    )
    uniform_bits: int | None = option(
        None,
        "The network of full width with this many bits of weights and "
        "features in all blocks; the search space is one of bits.",
    )
    encoding: str | None = option(
        None, "Comma-separated option indices of a network."
    )
    architecture: str | None = option(
        None,
        "Architecture file of a network, for example a best.json. The space "
        "is the file's.",
        effect=PLACE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceOptions(Options):
    """Which images."""

    dataset: str = option(
        "imagenet2012",
        "digits, folder:PATH (PATH/{train,test}/<class>/*), or the name of "
        "any TFDS image-classification set.",
        # What it holds decides, not how it is spelled.
        effect=PLACE,
    )
    data_dir: str | None = option(
        None, "Folder in which TFDS has prepared its sets.", effect=PLACE
    )
    test_fraction: float | None = option(
        None,
        "Share of the training images that is test, of data without a test "
        "split.",
        least=0,
        below=1,
    )
    train_split: str | None = option(
        None,
        "Name of the training split if it is not 'train': a folder in a "
        "folder:PATH; a split or slice of a TFDS set, such as 'train[:80%]'.",
    )
    test_split: str | None = option(
        None,
        "Likewise of the test split, if it is not 'test', 'validation' or "
        "'val'.",
    )
    first_classes: int | None = option(
        None,
        "Only the images of so many first classes: 120 of "
        "imagenet_resized/16x16 are ImageNet16-120.",
        least=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupernetNameOptions(Options):
    """Which supernet of a work_dir."""

    supernet_name: str = option(
        "default", "Name of the supernet: its folder below supernet/."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LimitOptions(Options):
    """Hard limits on what a network may cost, and costs that are told."""

    max_macs: float | None = option(None, "Most multiply-adds, inclusive.")
    min_macs: float | None = option(None, "Least multiply-adds, inclusive.")
    max_params: float | None = option(None, "Most weights, inclusive.")
    min_params: float | None = option(None, "Least weights, inclusive.")
    max_latency_ms: float | None = option(
        None, "Most milliseconds by the latency table, inclusive."
    )
    min_latency_ms: float | None = option(
        None, "Least milliseconds by the latency table, inclusive."
    )
    max_bit_ops: float | None = option(
        None, "Most BitOps in units of 2^30, inclusive; for spaces of bits."
    )
    min_bit_ops: float | None = option(
        None, "Least BitOps in units of 2^30, inclusive; for spaces of bits."
    )
    constraint: tuple[str, ...] = option(
        (),
        "Repeatable; a limit on any cost, for example 'macs<=330e6', or on "
        "one of your own: 'energy.py:energy_mj<=5'.",
        repeated=True,
    )
    cost: tuple[str, ...] = option(
        (),
        "Repeatable; FILE.py:function, a cost of your own that is written "
        "down without being limited.",
        repeated=True,
    )
    latency_table: tuple[str, ...] = option(
        (),
        "Repeatable; YAML table that the cost latency_ms is read from. The "
        "first table that has all parts of the networks is taken.",
        repeated=True,
        effect=PLACE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PinOptions(Options):
    """Choices that are fixed in advance."""

    fix: tuple[str, ...] = option(
        (),
        "Repeatable; fixes a choice, for example 'stage1.block1.op=3x3'.",
        repeated=True,
    )
    fix_from: str | None = option(
        None,
        "Architecture file, for example a best.json: fixes every choice that "
        "the file has; this space must have these choices.",
        effect=PLACE,
    )
