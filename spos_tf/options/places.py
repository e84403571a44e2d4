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
        "Name of this run: its folder below supernet/, search/ and so on in "
        "the work_dir.",
        effect=PLACE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThreadOptions(Options):
    """What the process may use."""

    threads: int | None = option(
        None,
        "CPU threads of this process; all cores if unset. The last bits of "
        "scores depend on this number, so resume a run with the same one.",
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
        None,
        "Size of the networks, such as imagenet, cifar or demo. `describe "
        "--list` prints the presets of every space, with the default first. "
        "Later steps take that of the training.",
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
        "Name of a published network, as `describe --list` prints it. It sets "
        "the search space; preset, image_size, num_classes and "
        "space_arguments can be given too.",
    )
    uniform_bits: int | None = option(
        None,
        "In a search space with bits: the network of full width whose weights "
        "and features have this many bits in every block.",
    )
    encoding: str | None = option(
        None,
        "A network as comma-separated option indices, one for every choice.",
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

    dataset: str | None = option(
        None,
        "digits, folder:PATH (PATH/{train,test}/<class>/*), or the name of "
        "any TFDS image-classification set. If unset, a job uses the data set "
        "of the job before it in the work_dir.",
        # What it holds decides, not how it is spelled.
        effect=PLACE,
    )
    data_dir: str | None = option(
        None, "Folder of the data sets that TFDS has prepared.", effect=PLACE
    )
    test_fraction: float | None = option(
        None,
        "Share of the training images that become test images, for data "
        "without a test split.",
        least=0,
        below=1,
    )
    train_split: str | None = option(
        None,
        "Name of the training split if it is not 'train': for folder:PATH a "
        "folder in PATH; for a TFDS set a split or a slice, such as "
        "'train[:80%]'.",
    )
    test_split: str | None = option(
        None,
        "Name of the test split if it is not 'test', 'validation' or 'val'.",
    )
    first_classes: int | None = option(
        None,
        "Use only the first classes, as many as this number. With 120, "
        "imagenet_resized/16x16 is ImageNet16-120.",
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
    """Hard limits on what a network may cost, and costs to record."""

    max_macs: float | None = option(
        None, "Largest number of multiply-adds that is allowed."
    )
    min_macs: float | None = option(
        None, "Smallest number of multiply-adds that is allowed."
    )
    max_params: float | None = option(
        None, "Largest number of weights that is allowed."
    )
    min_params: float | None = option(
        None, "Smallest number of weights that is allowed."
    )
    max_latency_ms: float | None = option(
        None,
        "Largest latency that is allowed, in milliseconds, as the latency "
        "table predicts it.",
    )
    min_latency_ms: float | None = option(
        None,
        "Smallest latency that is allowed, in milliseconds, as the latency "
        "table predicts it.",
    )
    max_bit_ops: float | None = option(
        None,
        "Largest number of BitOps that is allowed, in units of 2^30; for "
        "spaces with bits.",
    )
    min_bit_ops: float | None = option(
        None,
        "Smallest number of BitOps that is allowed, in units of 2^30; for "
        "spaces with bits.",
    )
    constraint: tuple[str, ...] = option(
        (),
        "A limit on any cost, for example 'macs<=330e6', or on one of your "
        "own: 'energy.py:energy_mj<=5'. May be repeated.",
        repeated=True,
    )
    cost: tuple[str, ...] = option(
        (),
        "FILE.py:function, a cost of your own that is recorded without being "
        "limited. May be repeated.",
        repeated=True,
    )
    latency_table: tuple[str, ...] = option(
        (),
        "YAML table from which the cost latency_ms is read. May be repeated: "
        "the first table that has all parts of the networks is used.",
        repeated=True,
        effect=PLACE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PinOptions(Options):
    """Choices that are fixed in advance."""

    fix: tuple[str, ...] = option(
        (),
        "Fix a choice, for example 'stage1.block1.op=3x3'. May be repeated.",
        repeated=True,
    )
    fix_from: str | None = option(
        None,
        "Architecture file, for example a best.json. Every choice in it is "
        "fixed to its option there; this space must have all of these choices.",
        effect=PLACE,
    )
