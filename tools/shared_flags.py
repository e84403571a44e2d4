"""Flags that tools share, and the objects they turn into.

Importing defines nothing: a tool calls the `define_` functions it needs. The
defaults are the paper's ImageNet run. Heavy imports are inside functions so
that `--help` and `--only_check_args` answer at once.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from spos_tf.errors import UserError, said_of
from spos_tf.strict_json import parse_json

if TYPE_CHECKING:
    import pathlib

    import numpy as np

    from spos_tf.data.preprocessing import PreprocessingOptions
    from spos_tf.data.splits import Splits
    from spos_tf.networks.blueprint import Blueprint

FLAGS = flags.FLAGS

_DEFAULT_SPACE = "shufflenet_blocks"


def define_run() -> None:
    """--work_dir, --name, --seed."""
    flags.DEFINE_string("work_dir", None, "Folder of all results.")
    flags.DEFINE_string(
        "name", "default", "Sub-folder of this run, below the tool's own."
    )
    flags.DEFINE_integer(
        "seed",
        0,
        "Seed of everything random.",
        lower_bound=0,
        upper_bound=2**32 - 1,
    )
    flags.mark_flag_as_required("work_dir")


def define_threads() -> None:
    """--threads."""
    flags.DEFINE_integer(
        "threads",
        None,
        "CPU threads of the run; all cores if unset.",
        lower_bound=1,
    )


def set_threads() -> None:
    """Applies --threads; before TensorFlow has run anything."""
    import tensorflow as tf

    if FLAGS.threads:
        tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
        tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)


def define_space() -> None:
    """--search_space, --preset, --image_size, --num_classes, ..."""
    flags.DEFINE_string(
        "search_space",
        # Unset where a checkpoint or an architecture file says which.
        None,
        "Search space: a name that describe.py --list prints "
        f"({_DEFAULT_SPACE} if nothing else says which); or a file of your "
        "own, path/to/file.py or path/to/file.py:space, whose code is run "
        "(docs/custom_space.md).",
    )
    flags.DEFINE_string(
        "preset",
        None,
        "Size of the networks: imagenet (default), cifar or demo.",
    )
    flags.DEFINE_integer(
        "image_size", None, "Height and width in pixels; the preset's if unset."
    )
    flags.DEFINE_integer("num_classes", None, "Classes; the preset's if unset.")
    flags.DEFINE_string(
        "space_arguments",
        "{}",
        "Further arguments of the space as a JSON object, for example "
        "'{\"stage_widths\": [32, 64, 128, 256]}'.",
    )


def define_width_mode() -> None:
    """--width_mode."""
    flags.DEFINE_enum(
        "width_mode",
        "slice",
        ["slice", "mask"],
        "How elastic widths are taken. slice: only the channels that are taken "
        "are computed. mask: all are, and the others set to zero; shapes are "
        "static, as --jit_compile needs.",
    )


def space_arguments() -> dict[str, Any]:
    """The space's arguments that the flags give.

    Raises:
        UserError: --space_arguments is not a JSON object.
    """
    try:
        further = parse_json(FLAGS.space_arguments)
    except ValueError:
        further = None
    if not isinstance(further, dict):
        raise UserError(
            "--space_arguments is a JSON object; got "
            f"{FLAGS.space_arguments!r}."
        )
    named = {
        name: FLAGS[name].value
        for name in ("preset", "image_size", "num_classes")
        if FLAGS[name].value is not None
    }
    return {**further, **named}


def blueprint() -> "Blueprint":
    """The blueprint that the flags name."""
    from spos_tf.spaces import build_blueprint

    return build_blueprint(
        FLAGS.search_space or _DEFAULT_SPACE, **space_arguments()
    )


def network_of(path: "str | pathlib.Path") -> "Network":
    """Reads an architecture file; the space is the file's.

    A flag that says the same as the file is welcome, another is refused.

    Raises:
        UserError: The file is none, or contradicts the flags.
    """
    from spos_tf.space import Architecture
    from spos_tf.spaces import (
        at_its_place,
        build_blueprint,
        stored_blueprint,
    )

    architecture = Architecture.read(path)
    arguments = {**architecture.space_arguments, **space_arguments()}
    name = FLAGS.search_space
    with said_of(path):
        if name is None:
            found = stored_blueprint(architecture.search_space, arguments)
        else:
            found = build_blueprint(name, **arguments)
            stored = architecture.search_space
            architecture = dataclasses.replace(
                architecture, search_space=at_its_place(stored, name)
            )
        return Network(found, found.encode(architecture))


class Network(NamedTuple):
    """One network of a family.

    Attributes:
        blueprint: The family.
        encoding: int32 `[num_choices]`.
    """

    blueprint: "Blueprint"
    encoding: "np.ndarray"


def define_network() -> None:
    """--network; the space's flags replace arguments of the network."""
    flags.DEFINE_string(
        "network",
        None,
        "Name of a published network, which describe.py --list prints, "
        "instead of --encoding and --architecture. Its space is settled; "
        "--preset, --image_size, --num_classes and --space_arguments apply.",
    )
    flags.DEFINE_integer(
        "uniform_bits",
        None,
        "The network of full width with this many bits of weights and "
        "features in all blocks, instead of --encoding; --search_space is one "
        "of bits.",
    )


def network_is_named() -> bool:
    """Whether --network or --uniform_bits names a network."""
    return FLAGS.network is not None or FLAGS.uniform_bits is not None


def named_network() -> "Network":
    """The network of --network or --uniform_bits, with the space's flags.

    Raises:
        UserError: It is unknown, is named beside another one, or the flags
            say another space.
    """
    from spos_tf.spaces import named_network as find
    from spos_tf.spaces import uniform_network

    ways = ("network", "uniform_bits", "encoding", "architecture")
    named = [name for name in ways if FLAGS[name].value is not None]
    if len(named) > 1:
        raise UserError(f"Give --{named[0]} or --{named[1]}, not both.")
    if FLAGS.uniform_bits is not None:
        return Network(
            *uniform_network(
                FLAGS.search_space or _DEFAULT_SPACE,
                FLAGS.uniform_bits,
                **space_arguments(),
            )
        )
    found = Network(*find(FLAGS.network, **space_arguments()))
    space = found.blueprint.search_space.name
    if FLAGS.search_space not in (None, space):
        raise UserError(
            f"Network {FLAGS.network!r} is of space {space!r}; the flags say "
            f"--search_space={FLAGS.search_space}. Leave that out."
        )
    return found


def define_data(*, holdout_per_class: int = 50) -> None:
    """--dataset, --data_dir, --holdout_per_class, augmentation."""
    flags.DEFINE_string(
        "dataset",
        "imagenet2012",
        "digits, folder:PATH (PATH/{train,test}/<class>/*), or any TFDS "
        "image-classification set.",
    )
    flags.DEFINE_string("data_dir", None, "Where TFDS sets are prepared.")
    flags.DEFINE_float(
        "test_fraction",
        0.0,
        "Share of a folder:PATH without train and test folders that is test.",
    )
    flags.DEFINE_integer(
        "first_classes",
        None,
        "Only the images of so many first classes: 120 of "
        "imagenet_resized/16x16 are ImageNet16-120.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "holdout_per_class",
        holdout_per_class,
        "Training images a class held out to score paths in the search.",
    )
    flags.DEFINE_enum(
        "augmentation",
        None,
        ["imagenet", "cifar", "shift", "none"],
        "Of training images. imagenet: random resized crop, colour jitter, "
        "flip. cifar: pad 4, crop, flip. shift: pad 1, crop. Unset: imagenet "
        "from 64 pixels on, cifar from 16, shift below.",
    )
    flags.DEFINE_float("color_jitter", 0.4, "Strength, imagenet only.")
    flags.DEFINE_integer(
        "eval_resize",
        None,
        "Short side in pixels before evaluation's centre crop.",
    )


def splits(blueprint: "Blueprint", whose: str = "the network") -> "Splits":
    """Loads the data and holds the search split out.

    Args:
        blueprint: Of the networks.
        whose: What the message calls them: a file may say a wrong number.

    Raises:
        UserError: The data cannot be had, or has other classes.
    """
    from spos_tf.data.class_subset import first_classes
    from spos_tf.data.sources import load_source
    from spos_tf.data.splits import carve

    source = load_source(
        FLAGS.dataset,
        data_dir=FLAGS.data_dir,
        test_fraction=FLAGS.test_fraction,
    )
    if FLAGS.first_classes is not None:
        source = first_classes(source, FLAGS.first_classes)
    if source.num_classes != blueprint.num_classes:
        raise UserError(
            f"Data set {FLAGS.dataset!r} has {source.num_classes} classes; "
            f"{whose} has {blueprint.num_classes}. Pass "
            f"--num_classes={source.num_classes}."
        )
    return carve(source, holdout_per_class=FLAGS.holdout_per_class)


def preprocessing(blueprint: "Blueprint") -> "PreprocessingOptions":
    """How images become inputs of the blueprint's networks."""
    from spos_tf.data.preprocessing import (
        PreprocessingOptions,
        default_augmentation,
    )

    size = blueprint.image_size
    return PreprocessingOptions(
        image_size=size,
        augmentation=FLAGS.augmentation or default_augmentation(size),
        color_jitter=FLAGS.color_jitter,
        eval_resize=FLAGS.eval_resize,
    )
